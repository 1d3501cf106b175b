import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Container, createContainer } from '../../../src/container.ts';
import { type NewEvent, stampEvent } from '../../../src/lib/events.ts';
import { newId } from '../../../src/lib/ids.ts';
import { addToOutbox } from '../../../src/stores/postgres/outbox.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { useStreams } from '../../support/school-streams.ts';
import { until } from '../../support/until.ts';

const school = useSchool();
const listen = useStreams(school);
let admin: Call;
let adminId: string;
let classes: { id: string; name: string }[];
/** A second API process of the same school. */
let other: Container;

beforeAll(async () => {
  admin = school.as('admin');
  adminId = (await admin('GET', '/auth/me')).body.data.id;
  classes = (await admin('GET', '/classes')).body.data;
  other = createContainer({ config: school.config, log: school.log, role: 'web', clock: school.clock });
});
afterAll(() => other?.close());

/** Past the second for which a process does not look at a login again. */
const aSecondLater = (): void => school.clock.set(new Date(school.clock.now().getTime() + 1_001).toISOString());
const scopesOf = async (login: string) => (await school.as(login)('GET', '/auth/me')).body.data.scopes;
/** What the other process lets the same access token reach. */
const scopesElsewhere = async (login: string) =>
  (await other.sessions.authenticate(`Bearer ${await school.token(login)}`, school.clock.now().getTime())).scopes();

const staffOf = async (login: string): Promise<string> =>
  String(
    (await school.rows('SELECT s.id FROM staff s JOIN users u ON u.id = s.user_id WHERE u.login = $1', [login]))[0]!.id,
  );
const studentOf = async (login: string): Promise<string> =>
  String(
    (await school.rows('SELECT s.id FROM students s JOIN users u ON u.id = s.user_id WHERE u.login = $1', [login]))[0]!
      .id,
  );
const linksOf = async (studentId: string): Promise<Record<string, unknown>[]> =>
  (await admin('GET', `/students/${studentId}`)).body.data.guardians.map(
    ({ full_name: _, phone: _p, email: _e, ...link }: Record<string, unknown>) => link,
  );

/** Somebody's view of what a change is about: as text, so that any difference shows. */
type Look = (scopes: Awaited<ReturnType<typeof scopesOf>>) => unknown;

interface Change {
  login: string;
  look: Look;
  /** By the API. */
  ask: () => Promise<void>;
  /** The rows and the event that a process committed before it died. */
  commit: () => Promise<{ sql: string; values: unknown[]; event: NewEvent }>;
}

const changes: Record<string, () => Promise<Change>> = {
  'an enrolment': async () => {
    const student_id = await studentOf('student0010');
    const own = (await scopesOf('student0010')).own_class.id;
    const [to, back] = classes.filter(({ id }) => id !== own).map(({ id }) => id) as [string, string];
    return {
      login: 'student0010',
      look: ({ own_class }) => own_class,
      ask: async () => {
        const body = { class_id: to, starts_on: '2025-09-10' };
        expect((await admin('POST', `/students/${student_id}/enrollments`, { body })).status).toBe(201);
      },
      commit: async () => ({
        sql: 'UPDATE enrollments SET class_id = $2, roll_no = 99 WHERE student_id = $1 AND ends_on IS NULL',
        values: [student_id, back],
        event: {
          name: 'school.enrollment.changed',
          aggregateId: student_id,
          payload: { student_id, from: to, to: back, on: '2025-09-10' },
        },
      }),
    };
  },
  'a blocked guardian': async () => {
    const student_id = await studentOf('student0011');
    const user_id = (await school.as('parent0011')('GET', '/auth/me')).body.data.id;
    const [mine] = await school.rows('SELECT id FROM guardians WHERE user_id = $1', [user_id]);
    const set = async (isBlocked: boolean) => {
      const links = (await linksOf(student_id)).map((link) =>
        link.guardian_id === mine!.id
          ? { ...link, is_blocked: isBlocked, is_primary: false }
          : { ...link, is_primary: false },
      );
      const guardians = [...links, { full_name: 'Aunt Eleven', phone: '+91 11', relation: 'aunt', is_primary: true }];
      // Said again, the aunt is there already.
      const body = { guardians: links.length > 2 ? links.map((l, i) => ({ ...l, is_primary: i === 2 })) : guardians };
      expect((await admin('PUT', `/students/${student_id}/guardians`, { body })).status).toBe(200);
    };
    return {
      login: 'parent0011',
      look: ({ children }) => children,
      ask: () => set(true),
      commit: async () => ({
        sql: 'UPDATE student_guardians SET is_blocked = false WHERE student_id = $1 AND guardian_id = $2',
        values: [student_id, mine!.id],
        event: { name: 'auth.user.changed', aggregateId: user_id, payload: { user_id, fields: ['children'] } },
      }),
    };
  },
  'a homeroom': async () => {
    const [, , third] = classes;
    const [teacher, principal] = [await staffOf('teacher006'), await staffOf('principal01')];
    return {
      login: 'teacher006',
      look: ({ homerooms }) => homerooms,
      ask: async () => {
        const body = { homeroom_staff_id: teacher };
        expect((await admin('PATCH', `/classes/${third!.id}`, { body })).status).toBe(200);
      },
      commit: async () => ({
        sql: 'UPDATE classes SET homeroom_staff_id = $2 WHERE id = $1',
        values: [third!.id, principal],
        event: {
          name: 'school.assignment.changed',
          aggregateId: third!.id,
          payload: { class_id: third!.id, class_subject_id: null, from: teacher, staff_id: principal },
        },
      }),
    };
  },
  'a class-subject': async () => {
    const classId = classes[3]!.id;
    const subjects = (await admin('GET', `/classes/${classId}/subjects`)).body.data;
    const [free, next] = [await staffOf('storekeeper01'), await staffOf('principal01')];
    await admin('PUT', `/classes/${classId}/timetable`, { body: { slots: [] } });
    return {
      login: 'storekeeper01',
      look: ({ class_subjects }) => class_subjects,
      ask: async () => {
        const body = {
          subjects: subjects.map(({ subject_id, staff_id, weights }: Record<string, unknown>, index: number) => ({
            subject_id,
            staff_id: index === 0 ? free : staff_id,
            weights,
          })),
        };
        expect((await admin('PUT', `/classes/${classId}/subjects`, { body })).status).toBe(200);
      },
      commit: async () => ({
        sql: 'UPDATE class_subjects SET staff_id = $2 WHERE id = $1',
        values: [subjects[0].id, next],
        event: {
          name: 'school.assignment.changed',
          aggregateId: subjects[0].id,
          payload: { class_id: classId, class_subject_id: subjects[0].id, from: free, staff_id: next },
        },
      }),
    };
  },
  'a substitution': async () => {
    const classId = classes[1]!.id;
    const [first] = (await admin('GET', `/classes/${classId}/subjects`)).body.data;
    const staff_id = await staffOf('driver01');
    const wanted = { absent_staff_id: first.staff_id, staff_id };
    return {
      login: 'driver01',
      look: ({ substitutions }) => substitutions,
      ask: async () => {
        const body = { ...wanted, on_date: '2025-09-10' };
        expect((await admin('POST', `/classes/${classId}/substitutions`, { body })).status).toBe(201);
      },
      commit: async () => ({
        sql: `INSERT INTO teacher_substitutions (id, class_id, on_date, absent_staff_id, staff_id, granted_by)
              VALUES ($1, $2, '2025-09-11', $3, $4, $5)`,
        values: [newId(), classId, first.staff_id, staff_id, adminId],
        event: {
          name: 'school.assignment.changed',
          aggregateId: classId,
          payload: { class_id: classId, class_subject_id: null, on_date: '2025-09-11', ...wanted },
        },
      }),
    };
  },
  'another name of a child’s class': async () => {
    const { children } = await scopesOf('parent0020');
    const { id } = children.find((child: { class: { id: string } | null }) => child.class).class;
    return {
      login: 'parent0020',
      look: ({ children: all }) => all,
      ask: async () => {
        expect((await admin('PATCH', `/classes/${id}`, { body: { name: 'Lions' } })).status).toBe(200);
      },
      commit: async () => ({
        sql: "UPDATE classes SET name = 'Tigers' WHERE id = $1",
        values: [id],
        event: { name: 'school.class.changed', aggregateId: id, payload: { class_id: id } },
      }),
    };
  },
  'another name of a child': async () => {
    const id = await studentOf('student0030');
    return {
      login: 'parent0030',
      look: ({ children }) => children,
      ask: async () => {
        expect((await admin('PATCH', `/students/${id}`, { body: { full_name: 'Another Name' } })).status).toBe(200);
      },
      commit: async () => ({
        sql: "UPDATE students SET full_name = 'A Third Name' WHERE id = $1",
        values: [id],
        event: { name: 'school.student.changed', aggregateId: id, payload: { student_id: id } },
      }),
    };
  },
  'another name of a subject': async () => {
    const { id } = (await scopesOf('teacher007')).class_subjects[0].subject;
    return {
      login: 'teacher007',
      look: ({ class_subjects }) => class_subjects,
      ask: async () => {
        expect((await admin('PATCH', `/subjects/${id}`, { body: { name: 'Sums' } })).status).toBe(200);
      },
      commit: async () => ({
        sql: "UPDATE subjects SET name = 'Numbers' WHERE id = $1",
        values: [id],
        event: { name: 'school.subject.changed', aggregateId: id, payload: { subject_id: id } },
      }),
    };
  },
};

describe('what a login reaches after', () => {
  it.each(Object.keys(changes))('%s is changed within a second, in every process', async (name) => {
    const { login, look, ask } = await changes[name]!();
    const before = look(await scopesOf(login));
    const elsewhere = JSON.stringify(await scopesElsewhere(login));
    await ask();
    aSecondLater();
    expect(look(await scopesOf(login))).not.toEqual(before);
    expect(JSON.stringify(await scopesElsewhere(login))).not.toBe(elsewhere);
  });

  it.each(Object.keys(changes))(
    '%s follows by its event when the process that made it died before it dropped anything',
    async (name) => {
      const { login, look, commit } = await changes[name]!();
      const before = look(await scopesOf(login));
      const { sql, values, event } = await commit();
      await school.rows(sql, values);
      aSecondLater();
      // The kept login stands until the event comes: without it this would go on for half an hour.
      expect(look(await scopesOf(login))).toEqual(before);
      const caller = { actor: { userId: adminId }, requestId: 'lost', now: school.clock.now(), newId };
      await school.container.knex.transaction((knex) => addToOutbox(knex, [stampEvent(caller, event)]));
      await until('the event', async () => {
        aSecondLater();
        return JSON.stringify(look(await scopesOf(login))) === JSON.stringify(before) ? undefined : true;
      });
    },
  );
});

describe('a move that was settled before', () => {
  it('A7: reaches the logins of the family on its day, though they are kept over midnight', async () => {
    const student = await studentOf('student0012');
    const family = await school.rows(
      `SELECT u.login FROM student_guardians l JOIN guardians g ON g.id = l.guardian_id JOIN users u ON u.id = g.user_id
       WHERE l.student_id = $1 AND l.can_view AND NOT l.is_blocked LIMIT 1`,
      [student],
    );
    const classesOf = async () => {
      const [own, parents] = [await scopesOf('student0012'), await scopesOf(String(family[0]!.login))];
      const child = parents.children.find((one: { student_id: string }) => one.student_id === student);
      const [seen] = (await school.as('student0012')('GET', '/classes')).body.data;
      return [own.own_class.id, child.class.id, seen.id];
    };
    const before = (await scopesOf('student0012')).own_class.id;
    const to = classes.find(({ id }) => id !== before)!.id;
    const daytime = school.clock.now().toISOString();
    school.clock.set('2025-09-10T23:58:00+05:30');
    const body = { class_id: to, starts_on: '2025-09-11' };
    expect((await admin('POST', `/students/${student}/enrollments`, { body })).status).toBe(201);
    // Its event makes the logins be read again, too; that is not what is to help them over midnight.
    await until('the event of the move to be handled', async () => {
      const open = await school.rows('SELECT 1 FROM outbox_events WHERE published_at IS NULL');
      await school.engine.eventLog.trim(0, Date.now());
      return open.length === 0 && (await school.engine.eventLog.length()) === 0 ? true : undefined;
    });
    expect(await classesOf()).toEqual([before, before, before]);
    school.clock.set('2025-09-11T00:01:00+05:30');
    expect(await classesOf()).toEqual([to, to, to]);
    school.clock.set(daytime);
  });
});

describe('a guardian who is blocked', () => {
  it('has no dashboard of the child any more, and hears nothing more of it on a stream that is open', async () => {
    const child = await studentOf('student0001');
    const parent = school.as('parent0001');
    const dashboard = () => parent('GET', `/dashboard/student?student_id=${child}`);
    const children = async () =>
      (await parent('GET', '/dashboard/parent')).body.data.children.map(
        (one: { student_id: string }) => one.student_id,
      );
    expect((await dashboard()).status).toBe(200);
    expect(await children()).toContain(child);
    const family = await school.rows(
      `SELECT g.id, u.login FROM student_guardians l JOIN guardians g ON g.id = l.guardian_id JOIN users u ON u.id = g.user_id
       WHERE l.student_id = $1 AND l.is_notified AND l.can_view AND NOT l.is_blocked`,
      [child],
    );
    const blocked = family.find(({ login }) => login === 'parent0001')!;
    const other = family.find(({ login }) => login !== 'parent0001')!;
    const [stream, others] = [await listen('parent0001'), await listen(String(other.login))];
    await Promise.all([stream.next('stream.ready'), others.next('stream.ready')]);
    // The child is absent; parents are told of it ten minutes later, and by then one of them is blocked.
    const homeroom = (await scopesOf('teacher001')).homerooms[0].id;
    const entries = [{ student_id: child, status: 'absent' }];
    const sheet = `/attendance/classes/${homeroom}/sheets/2025-09-10`;
    expect((await school.as('teacher001')('PUT', sheet, { body: { entries } })).status).toBe(202);
    const guardians = (await linksOf(child)).map((link) => ({
      ...link,
      is_primary: link.guardian_id === other.id,
      is_blocked: link.guardian_id === blocked.id,
    }));
    expect((await admin('PUT', `/students/${child}/guardians`, { body: { guardians } })).status).toBe(200);
    aSecondLater();
    expect((await dashboard()).status).toBe(404);
    expect(await children()).not.toContain(child);
    const notice = await until('the notice', async () =>
      (await school.engine.queues.notifications.getDelayed()).find(({ data }) => JSON.stringify(data).includes(child)),
    );
    await notice.promote();
    expect((await others.next('notification.created')).data.data).toMatchObject({ student_id: child });
    // Both would have been told by the same job.
    await until('the notice to go', async () => (/completed|unknown/.test(await notice.getState()) ? true : undefined));
    expect(stream.events.filter(({ name }) => name === 'notification.created')).toEqual([]);
    expect(stream.isEnded).toBe(false);
  });
});

describe('a teacher', () => {
  it('sees the dashboard follow what is taught and led, though one is kept', async () => {
    const teacher = school.as('teacher002');
    const seen = async () => JSON.stringify((await teacher('GET', '/dashboard/teacher')).body.data);
    const before = await seen();
    const body = { homeroom_staff_id: await staffOf('teacher002') };
    expect((await admin('PATCH', `/classes/${classes[2]!.id}`, { body })).status).toBe(200);
    aSecondLater();
    const after = await seen();
    expect(after).not.toBe(before);
    expect(after).toContain(classes[2]!.id);
  });

  it('who stands in for another today sees that class among the sheets not taken', async () => {
    const substitute = school.as('teacher003');
    const open = async () =>
      (await substitute('GET', '/dashboard/teacher')).body.data.cards.attendance.sheets_not_taken.map(
        (sheet: { class_id: string }) => sheet.class_id,
      );
    const { id } = classes[1]!;
    expect(await open()).not.toContain(id);
    const [{ homeroom_staff_id: absent }] = [(await admin('GET', `/classes/${id}`)).body.data];
    const body = { on_date: '2025-09-10', absent_staff_id: absent, staff_id: await staffOf('teacher003') };
    expect((await admin('POST', `/classes/${id}/substitutions`, { body })).status).toBe(201);
    aSecondLater();
    expect(await open()).toContain(id);
  });
});
