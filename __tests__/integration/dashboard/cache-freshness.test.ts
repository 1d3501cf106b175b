import { beforeAll, expect } from 'vitest';
import { namedId } from '../../../src/lib/ids.ts';
import { buildClosedDay } from '../../support/documents.ts';
import { sees } from '../../support/freshness.ts';
import { useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

/*
 * DOMAIN §7 for the services that are built: what is kept, and every change that must not leave it stale. Each pair fills the
 * cache, makes the change through the API and reads again. Changes show at once; what follows from their events, such as points,
 * shows when those have been delivered, long before the minute after which a dashboard is made anew. Only what no event tells may
 * be a minute old: how many writes wait or have failed.
 *
 * Elsewhere: names and weeks in names-and-weeks, rights and logins in users/access and school/*, lists and rows in property/i4, what
 * is loaded while something changes and how long it is kept in cache-generations and unit/cache.
 */

const school = useSchool();
const admin = school.as('admin');
const teacher = school.as('teacher001');
const student = school.as('student0001');
const parent = school.as('parent0001');
const substitute = school.as('teacher002');

const STUDENT = namedId('student:student0001');
const MONTH = TODAY.slice(0, 7);
const TOMORROW = '2025-09-11';

interface Person {
  student_id: string;
}
let classId: string;
let otherClass: string;
let classmates: string[];
let classSubject: string;
let otherSubject: string;
let staffId: string;
let substituteId: string;
let absentId: string;

beforeAll(async () => {
  const own = (await student('GET', '/auth/me')).body.data.scopes.own_class;
  classId = own.id;
  const { scopes } = (await teacher('GET', '/auth/me')).body.data;
  staffId = scopes.staff_id;
  const taught: { id: string; class: { id: string } }[] = scopes.class_subjects;
  classSubject = taught.find((subject) => subject.class.id === classId)!.id;
  const other = (await substitute('GET', '/auth/me')).body.data.scopes;
  substituteId = other.staff_id;
  const led = new Set(other.homerooms.map(({ id }: { id: string }) => id));
  const classes: { id: string; homeroom_staff_id: string }[] = (await admin('GET', '/classes')).body.data;
  const elsewhere = classes.find(({ id }) => id !== classId && !led.has(id))!;
  otherClass = elsewhere.id;
  absentId = elsewhere.homeroom_staff_id;
  otherSubject = (await admin('GET', `/classes/${otherClass}/subjects`)).body.data[0].id;
  const roster: Person[] = (await admin('GET', `/classes/${classId}/students`)).body.data;
  classmates = roster.map(({ student_id }) => student_id).filter((id) => id !== STUDENT);
  made.deleted = await give('Deleted');
  made.takenBack = await give('Taken back');
  made.before = await give('By the teacher before');
});

const ok = <T extends { status: number; body: unknown }>(answer: T): T => {
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer;
};
let given = 0;
/** Due before everything that was given earlier, so that it is shown first. */
const give = async (title: string, subject = classSubject): Promise<string> => {
  const due_at = new Date(Date.parse(`${TODAY}T03:59:59.000Z`) - ++given * 1_000).toISOString();
  const body = { class_subject_ids: [subject], title, due_at, max_x100: 1_000 };
  return ok(await admin('POST', '/homework', { body })).body.data.id;
};
const roll = (status: string, students = [STUDENT], id = classId) =>
  admin('PUT', `/attendance/classes/${id}/sheets/${TODAY}`, {
    body: { entries: students.map((student_id) => ({ student_id, status })) },
  }).then(ok);
const points = (student_id: string, value: number) =>
  admin('POST', '/points', { body: { student_id, points: value, reason: 'Helped others' } }).then(ok);
const close = (on: string) =>
  admin('POST', '/events', { body: buildClosedDay(`Closed on ${on}`, on, { status: 'published' }) }).then(ok);

const cardsOf = async (id = STUDENT) => ok(await admin('GET', `/dashboard/student?student_id=${id}`)).body.data.cards;
/** Of what this file gives: it is due before what the demo school has. */
const titles = async (id = STUDENT): Promise<string[]> =>
  (await cardsOf(id)).homework.next_due
    .filter(({ due_at }: { due_at: string }) => due_at < `${TODAY}T04:00`)
    .map(({ title }: { title: string }) => title);
const handedIn = async (title: string): Promise<boolean> =>
  (await cardsOf()).homework.next_due.find((due: { title: string }) => due.title === title)?.handed_in;
const teacherCards = async (call = teacher) => ok(await call('GET', '/dashboard/teacher')).body.data.cards;
const notTaken = async (call = teacher): Promise<string[]> =>
  (await teacherCards(call)).attendance.sheets_not_taken.map((sheet: { class_id: string }) => sheet.class_id).sort();
const missing = async (): Promise<number> =>
  ok(await admin('GET', '/dashboard/admin')).body.data.cards.attendance.missing_sheets;
const board = async (id = classId): Promise<Map<string, number>> =>
  new Map(
    ok(await admin('GET', `/leaderboards/classes/${id}?period=month`)).body.data.rows.map(
      (row: { student: { id: string }; points: number }) => [row.student.id, row.points],
    ),
  );
const nameOnBoard = async (id: string): Promise<string | undefined> =>
  ok(await admin('GET', `/leaderboards/classes/${classId}?period=month`)).body.data.rows.find(
    (row: { student: { id: string; name: string } }) => row.student.id === id,
  )?.student.name;
const roster = async (id: string): Promise<string[]> =>
  ok(await admin('GET', `/classes/${id}/students`)).body.data.map(({ student_id }: Person) => student_id);
const children = async (): Promise<string[]> =>
  ok(await parent('GET', '/dashboard/parent')).body.data.children.map(({ student_id }: Person) => student_id);
const monthTitles = async (): Promise<string[]> =>
  ok(await admin('GET', `/events/month/${MONTH}`)).body.data.map(({ title }: { title: string }) => title);
const isOpen = async (on: string): Promise<boolean> =>
  ok(await admin('GET', `/school-days?from=${on}&to=${on}`)).body.data[0].is_open;
const unread = async (): Promise<number> => ok(await student('GET', '/notifications')).body.meta.unread;
const summary = async () => {
  const [term] = await school.rows('SELECT id FROM terms WHERE $1 BETWEEN starts_on AND ends_on', [TODAY]);
  return ok(await admin('GET', `/attendance/students/${STUDENT}/summary?term_id=${term!.id}`)).body.data;
};
const guardiansOf = async (id: string) => {
  const { guardians } = ok(await admin('GET', `/students/${id}`)).body.data;
  return guardians.map(({ full_name: _, phone: _p, email: _e, ...link }: Record<string, unknown>) => link);
};

/** Shared by steps of one story: what one of them has made, another changes. */
const made: Record<string, string> = {};
const plus = (by: number) => (before: number) => before + by;
const first = (title: string) => (before: string[]) => [title, ...before];

const copy = (name: () => string) => () => school.engine.keys.copy(name());
const dashboard = copy(() => `dashboard:student:${STUDENT}`);
const teacherDashboard = copy(() => `dashboard:teacher:${staffId}`);
const substituteDashboard = copy(() => `dashboard:teacher:${substituteId}`);
const adminDashboard = copy(() => 'dashboard:admin');
const leaderboard = () => school.engine.keys.leaderboard(classId, MONTH);
const otherLeaderboard = () => school.engine.keys.leaderboard(otherClass, MONTH);
const rosterKey = copy(() => `class:roster:${classId}`);
const month = copy(() => `calendar:events:${MONTH}`);
const schoolDays = copy(() => `calendar:school_days:${TODAY.slice(0, 4)}`);

sees(school, 'dashboard:student', [
  {
    change: 'new homework',
    key: dashboard,
    read: titles,
    make: async () => {
      made.homework = await give('Fractions');
    },
    expected: first('Fractions'),
  },
  {
    change: 'homework that is changed',
    key: dashboard,
    read: titles,
    make: () => admin('PATCH', `/homework/${made.homework}`, { body: { title: 'Decimals' } }).then(ok),
    expected: ([, ...rest]: string[]) => ['Decimals', ...rest],
  },
  {
    change: 'a submission',
    key: dashboard,
    read: () => handedIn('Decimals'),
    make: () =>
      student('PUT', `/homework/${made.homework}/submission`, { body: { body: 'Done', final: true } }).then(ok),
    expected: () => true,
  },
  {
    change: 'homework that is taken back',
    key: dashboard,
    read: titles,
    make: () => admin('PATCH', `/homework/${made.takenBack}`, { body: { status: 'draft' } }).then(ok),
    expected: (before: string[]) => before.filter((title) => title !== 'Taken back'),
  },
  {
    change: 'homework that is deleted',
    key: dashboard,
    read: titles,
    make: () => admin('DELETE', `/homework/${made.deleted}`),
    expected: (before: string[]) => before.filter((title) => title !== 'Deleted'),
  },
  {
    change: 'a roll',
    key: dashboard,
    read: async () => (await cardsOf()).attendance.today,
    make: () => roll('late'),
    expected: () => 'late',
  },
  {
    change: 'a corrected roll',
    key: dashboard,
    read: async () => (await cardsOf()).attendance.today,
    make: () => roll('absent'),
    expected: () => 'absent',
  },
  {
    change: 'points by hand',
    key: dashboard,
    read: async () => (await cardsOf()).rank.points,
    make: () => points(STUDENT, 5),
    expected: plus(5),
  },
  {
    change: 'points of a classmate',
    key: dashboard,
    read: async () => (await cardsOf()).rank.rank,
    make: async () => {
      const mine = (await cardsOf()).rank.points;
      const rows: { student: { id: string }; points: number }[] = (
        await admin('GET', `/leaderboards/classes/${classId}?period=year`)
      ).body.data.rows;
      const next = rows.find((row) => row.student.id !== STUDENT && row.points <= mine && row.points > mine - 50)!;
      await points(next.student.id, 50);
    },
    expected: plus(1),
  },
  {
    change: 'a move to another class',
    key: copy(() => `dashboard:student:${classmates[0]}`),
    read: async () => (await titles(classmates[0])).includes('Of the other class'),
    make: async () => {
      await give('Of the other class', otherSubject);
      const body = { class_id: otherClass, starts_on: TODAY };
      await admin('POST', `/students/${classmates[0]}/enrollments`, { body }).then(ok);
    },
    expected: () => true,
  },
]);

sees(school, 'dashboard:teacher', [
  {
    change: 'a submission',
    key: teacherDashboard,
    read: async () => (await teacherCards()).homework.to_grade,
    make: async () => {
      const id = await give('To grade');
      await student('PUT', `/homework/${id}/submission`, { body: { body: 'Done', final: true } }).then(ok);
    },
    expected: plus(1),
  },
  {
    change: 'a substitution',
    key: substituteDashboard,
    read: () => notTaken(substitute),
    make: () =>
      admin('POST', `/classes/${otherClass}/substitutions`, {
        body: { on_date: TODAY, absent_staff_id: absentId, staff_id: substituteId },
      }).then(ok),
    expected: (before: string[]) => [...before, otherClass].sort(),
  },
  {
    change: 'the roll of a class that is taken over',
    key: substituteDashboard,
    read: () => notTaken(substitute),
    make: async () => roll('present', (await roster(otherClass)).slice(0, 1), otherClass),
    expected: (before: string[]) => before.filter((id) => id !== otherClass),
  },
  {
    change: 'another homeroom',
    key: substituteDashboard,
    read: () => notTaken(substitute),
    make: async () => {
      const year = (await admin('GET', '/academic-years')).body.data.find(
        ({ is_current }: { is_current: boolean }) => is_current,
      );
      const body = { academic_year_id: year.id, grade: 1, section: 'Z', capacity: 10 };
      made.class = ok(await admin('POST', '/classes', { body })).body.data.id;
      await admin('PATCH', `/classes/${made.class}`, { body: { homeroom_staff_id: substituteId } }).then(ok);
    },
    expected: (before: string[]) => [...before, made.class!].sort(),
  },
  {
    change: 'a subject that another teaches from now on',
    key: substituteDashboard,
    read: async () => (await teacherCards(substitute)).homework.to_grade,
    make: async () => {
      const toGrade = (await teacherCards()).homework.to_grade;
      const path = `/classes/${classId}/subjects`;
      const rows: { id: string; subject_id: string; staff_id: string; weights: object }[] = (await admin('GET', path))
        .body.data;
      await admin('PUT', `/classes/${classId}/timetable`, { body: { slots: [] } }).then(ok);
      const subjects = rows.map(({ id, subject_id, staff_id, weights }) => ({
        subject_id,
        staff_id: id === classSubject ? substituteId : staff_id,
        weights,
      }));
      await admin('PUT', path, { body: { subjects } }).then(ok);
      made.taken = String(toGrade - (await teacherCards()).homework.to_grade);
    },
    expected: (before: number) => before + Number(made.taken),
  },
  {
    change: 'a submission for what the teacher before has given',
    key: substituteDashboard,
    read: async () => (await teacherCards(substitute)).homework.to_grade,
    make: () => student('PUT', `/homework/${made.before}/submission`, { body: { body: 'Done', final: true } }).then(ok),
    expected: plus(1),
  },
  {
    change: 'homework that is archived',
    key: substituteDashboard,
    read: async () => (await teacherCards(substitute)).homework.to_grade,
    make: () => admin('PATCH', `/homework/${made.before}`, { body: { status: 'archived' } }).then(ok),
    expected: plus(-1),
  },
]);

sees(school, 'dashboard:parent', [
  {
    change: 'a guardian who is blocked',
    key: dashboard,
    read: children,
    make: async () => {
      const [row] = await school.rows(
        "SELECT g.id FROM guardians g JOIN users u ON u.id = g.user_id WHERE u.login = 'parent0001'",
      );
      const guardians = (await guardiansOf(STUDENT)).map((link: Record<string, unknown>) =>
        link.guardian_id === row!.id
          ? { ...link, is_primary: false, is_blocked: true }
          : { ...link, is_primary: false },
      );
      guardians.push({ full_name: 'Grand Mother', phone: '+91 98', relation: 'grandmother', is_primary: true });
      await admin('PUT', `/students/${STUDENT}/guardians`, { body: { guardians } }).then(ok);
    },
    expected: (before: string[]) => before.filter((id) => id !== STUDENT),
  },
]);

sees(school, 'dashboard:admin', [
  {
    change: 'a roll',
    key: adminDashboard,
    read: missing,
    make: async () => {
      const untaken: { class_id: string }[] = (await admin('GET', `/attendance/missing?date=${TODAY}`)).body.data;
      const id = untaken.find(({ class_id }) => class_id !== made.class)!.class_id;
      await roll('present', (await roster(id)).slice(0, 1), id);
    },
    expected: plus(-1),
  },
]);

sees(school, 'leaderboard:class', [
  {
    change: 'points by hand',
    key: leaderboard,
    read: async () => (await board()).get(STUDENT),
    make: () => points(STUDENT, 7),
    expected: plus(7),
  },
  {
    change: 'a roll that is stored',
    key: leaderboard,
    read: async () => (await board()).get(STUDENT),
    make: async () => {
      await roll('present');
      await school.sync();
    },
    expected: plus(2),
    isTold: true,
  },
  {
    change: 'homework that is handed in',
    key: leaderboard,
    read: async () => (await board()).get(STUDENT),
    make: async () => {
      const id = await give('For points');
      await student('PUT', `/homework/${id}/submission`, { body: { body: 'Done', final: true } }).then(ok);
    },
    expected: plus(10),
    isTold: true,
  },
  {
    change: 'a move out of the class',
    key: leaderboard,
    read: async () => [...(await board()).keys()].sort(),
    make: () =>
      admin('POST', `/students/${classmates[1]}/enrollments`, {
        body: { class_id: otherClass, starts_on: TODAY },
      }).then(ok),
    expected: (before: string[]) => before.filter((id) => id !== classmates[1]),
    isTold: true,
  },
  {
    change: 'a move into the class',
    key: otherLeaderboard,
    read: async () => [...(await board(otherClass)).keys()].sort(),
    make: () =>
      admin('POST', `/students/${classmates[2]}/enrollments`, {
        body: { class_id: otherClass, starts_on: TODAY },
      }).then(ok),
    expected: (before: string[]) => [...before, classmates[2]!].sort(),
    isTold: true,
  },
  {
    change: 'a student who has left',
    key: leaderboard,
    read: async () => (await board()).has(classmates[3]!),
    make: () =>
      admin('POST', `/students/${classmates[3]}/leave`, { body: { left_on: '2025-09-09', reason: 'moved away' } }).then(
        ok,
      ),
    expected: () => false,
    isTold: true,
  },
  {
    change: 'another name',
    key: leaderboard,
    read: () => nameOnBoard(STUDENT),
    make: () => admin('PATCH', `/students/${STUDENT}`, { body: { full_name: 'Another Name' } }).then(ok),
    expected: () => 'Another Name',
    isTold: true,
  },
]);

sees(school, 'class:roster', [
  {
    change: 'a move to another class',
    key: rosterKey,
    read: () => roster(classId),
    make: () =>
      admin('POST', `/students/${classmates[4]}/enrollments`, {
        body: { class_id: otherClass, starts_on: TODAY },
      }).then(ok),
    expected: (before: string[]) => before.filter((id) => id !== classmates[4]),
  },
]);

sees(school, 'calendar:events', [
  {
    change: 'a new event',
    key: month,
    read: monthTitles,
    make: async () => {
      const body = {
        title: 'Assembly',
        start_local: `${MONTH}-01T00:00`,
        duration_min: 5,
        status: 'published',
        audiences: [{ kind: 'school' }],
      };
      made.event = ok(await admin('POST', '/events', { body })).body.data.event.id;
    },
    expected: (before: string[]) => ['Assembly', ...before],
  },
  {
    change: 'an event that is changed',
    key: month,
    read: monthTitles,
    make: () => admin('PATCH', `/events/${made.event}`, { body: { title: 'Another hour' } }).then(ok),
    expected: ([, ...rest]: string[]) => ['Another hour', ...rest],
  },
  {
    change: 'an event that is deleted',
    key: month,
    read: monthTitles,
    make: () => admin('DELETE', `/events/${made.event}`).then(ok),
    expected: ([, ...rest]: string[]) => rest,
  },
]);

sees(school, 'notifications:unread', [
  {
    change: 'a notification',
    key: copy(() => `notifications:unread:${made.user}`),
    read: async () => {
      made.user ??= (await student('GET', '/auth/me')).body.data.id;
      return unread();
    },
    make: async () => {
      made.told = await give('To be told of');
    },
    expected: plus(1),
    isTold: true,
  },
  {
    change: 'the reading of all',
    key: copy(() => `notifications:unread:${made.user}`),
    read: unread,
    make: () => student('POST', '/notifications/read', { body: { all: true } }).then(ok),
    expected: () => 0,
  },
]);

sees(school, 'user:profile', [
  {
    change: 'one’s own change',
    key: copy(() => `user:profile:${made.user}`),
    read: async () => (await student('GET', '/auth/me')).body.data.phone,
    make: () => student('PATCH', '/auth/me', { body: { phone: '+91 98765 43210' } }).then(ok),
    expected: () => '+91 98765 43210',
  },
]);

sees(school, 'attendance', [
  {
    change: 'a roll, in a student’s summary',
    key: dashboard,
    read: async () => (await summary()).half_day,
    make: () => roll('half_day'),
    expected: plus(1),
  },
]);

/** Last, since the day is closed from here on. */
sees(school, 'a holiday', [
  {
    change: 'it is made, in calendar:school_days',
    key: schoolDays,
    read: () => isOpen(TOMORROW),
    make: () => close(TOMORROW),
    expected: () => false,
  },
  {
    change: 'it is made, in calendar:events',
    key: month,
    read: monthTitles,
    make: () => close('2025-09-12'),
    expected: (before: string[]) => {
      const after = [...before];
      after.splice(before.indexOf(`Closed on ${TOMORROW}`) + 1, 0, 'Closed on 2025-09-12');
      return after;
    },
  },
  {
    change: 'today is closed, in dashboard:teacher',
    key: substituteDashboard,
    read: () => notTaken(substitute),
    make: async () => {
      made.holiday = (await close(TODAY)).body.data.event.id;
    },
    expected: () => [],
  },
  {
    change: 'today is opened again, in dashboard:student',
    key: dashboard,
    read: async () => (await cardsOf()).attendance.today,
    make: () => admin('DELETE', `/events/${made.holiday}`).then(ok),
    expected: () => 'half_day',
  },
  {
    change: 'today is closed, in dashboard:admin',
    key: adminDashboard,
    read: missing,
    make: () => close(TODAY),
    expected: () => 0,
  },
  {
    change: 'today is opened again, in dashboard:admin',
    key: adminDashboard,
    read: missing,
    make: async () => {
      const events: { event_id: string; title: string }[] = (await admin('GET', `/events?from=${TODAY}&to=${TOMORROW}`))
        .body.data;
      for (const { event_id, title } of events)
        if (title === `Closed on ${TODAY}`) await admin('DELETE', `/events/${event_id}`).then(ok);
      made.missing = String((await admin('GET', `/attendance/missing?date=${TODAY}`)).body.data.length);
    },
    expected: () => Number(made.missing),
  },
  {
    change: 'today is closed, in dashboard:student',
    key: dashboard,
    read: async () => (await cardsOf()).attendance.today,
    make: () => close(TODAY),
    expected: () => null,
  },
]);
