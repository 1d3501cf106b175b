import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Container, createContainer } from '../../../src/container.ts';
import { namedId } from '../../../src/lib/ids.ts';
import { sees } from '../../support/freshness.ts';
import { type Answer, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

/* What dashboards show of classes, subjects and the week: all of it changes rarely, and none of it may be stale. */

const school = useSchool();
const admin = school.as('admin');
const teacher = school.as('teacher001');
const student = school.as('student0001');
const STUDENT = namedId('student:student0001');
const WEDNESDAY = 3;
let homeroom: { id: string; name: string };
let subjectId: string;
/** Of today's first lesson of somebody who leads another class. */
let lesson: { staff: string; login: string; class_id: string; subject_id: string };

const ok = (answer: Answer): Answer => {
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer;
};

beforeAll(async () => {
  const { scopes } = (await teacher('GET', '/auth/me')).body.data;
  homeroom = scopes.homerooms[0];
  const taught = scopes.class_subjects.find((one: { class: { id: string } }) => one.class.id === homeroom.id);
  subjectId = taught.subject.id;
  const body = { class_subject_ids: [taught.id], title: 'First', due_at: `${TODAY}T03:30:00.000Z` };
  ok(await teacher('POST', '/homework', { body }));
  const [found] = await school.rows(
    `SELECT s.id AS staff, u.login, t.class_id, cs.subject_id FROM timetable_slots t
     JOIN class_subjects cs ON cs.id = t.class_subject_id JOIN staff s ON s.id = cs.staff_id JOIN users u ON u.id = s.user_id
     JOIN classes c ON c.id = t.class_id
     WHERE t.weekday = $1 AND c.homeroom_staff_id <> s.id AND t.class_id <> $2 AND cs.subject_id <> $3
       AND t.starts_at = (SELECT min(o.starts_at) FROM timetable_slots o JOIN class_subjects oc ON oc.id = o.class_subject_id
                          WHERE oc.staff_id = s.id AND o.weekday = $1)
     ORDER BY u.login LIMIT 1`,
    [WEDNESDAY, homeroom.id, subjectId],
  );
  lesson = found as typeof lesson;
});

const copy = (name: () => string) => () => school.engine.keys.copy(name());
const lessonKey = copy(() => `dashboard:teacher:${lesson.staff}`);
const firstLesson = async () =>
  ok(await school.as(lesson.login)('GET', '/dashboard/teacher')).body.data.cards.lessons.today[0];
const missing = async (): Promise<number> =>
  ok(await admin('GET', '/dashboard/admin')).body.data.cards.attendance.missing_sheets;
const dueSubject = (answer: Answer): string => ok(answer).body.data.cards.homework.next_due[0].subject;

sees(school, 'names and weeks', [
  {
    change: 'another name of a subject, in dashboard:student',
    key: copy(() => `dashboard:student:${STUDENT}`),
    read: async () => dueSubject(await student('GET', '/dashboard/student')),
    make: () => admin('PATCH', `/subjects/${subjectId}`, { body: { name: 'Sums' } }).then(ok),
    expected: () => 'Sums',
  },
  {
    change: 'another name of a subject, in dashboard:teacher',
    key: lessonKey,
    read: async () => (await firstLesson()).subject,
    make: () => admin('PATCH', `/subjects/${lesson.subject_id}`, { body: { name: 'Songs' } }).then(ok),
    expected: () => 'Songs',
  },
  {
    change: 'another name of a class, in dashboard:teacher of who teaches there',
    key: lessonKey,
    read: async () => (await firstLesson()).class_name,
    make: () => admin('PATCH', `/classes/${lesson.class_id}`, { body: { name: 'Lions' } }).then(ok),
    expected: () => 'Lions',
  },
  {
    change: 'another name of a class, in dashboard:teacher of who leads it',
    key: copy(() => 'dashboard:admin'),
    read: async () =>
      ok(await teacher('GET', '/dashboard/teacher')).body.data.cards.attendance.sheets_not_taken[0].class_name +
      String(await missing()),
    make: () => admin('PATCH', `/classes/${homeroom.id}`, { body: { name: 'Tigers' } }).then(ok),
    expected: (before: string) => before.replace(homeroom.name, 'Tigers'),
  },
  {
    change: 'another week, in dashboard:teacher',
    key: lessonKey,
    read: async () => (await firstLesson()).starts_at,
    make: async () => {
      const path = `/classes/${lesson.class_id}/timetable`;
      const slots = ok(await admin('GET', path)).body.data.map(
        ({ subject: _, staff_id: _s, ...slot }: Record<string, unknown>) =>
          slot.weekday === WEDNESDAY && slot.period_no === 1 ? { ...slot, starts_at: '07:05' } : slot,
      );
      return admin('PUT', path, { body: { slots } }).then(ok);
    },
    expected: () => '07:05',
  },
  {
    change: 'a new class, in dashboard:admin',
    key: copy(() => 'dashboard:admin'),
    read: missing,
    make: async () => {
      const { academic_year_id } = ok(await admin('GET', `/classes/${homeroom.id}`)).body.data;
      return admin('POST', '/classes', { body: { academic_year_id, grade: 1, section: 'Y', capacity: 10 } }).then(ok);
    },
    expected: (before: number) => before + 1,
  },
  {
    change: 'the roll of a class that is empty, in dashboard:admin',
    key: copy(() => 'dashboard:admin'),
    read: missing,
    make: async () => {
      const classes: { id: string; section: string }[] = ok(await admin('GET', '/classes')).body.data;
      const empty = classes.find(({ section }) => section === 'Y')!;
      const body = { entries: [], rest: 'present' };
      return admin('PUT', `/attendance/classes/${empty.id}/sheets/${TODAY}`, { body }).then(ok);
    },
    expected: (before: number) => before - 1,
  },
]);

let other: Container | undefined;
let server: Server | undefined;
afterAll(async () => {
  server?.close();
  await other?.close();
});

it('a name that another process has changed is not kept as this one remembers it', async () => {
  other = createContainer({ config: school.config, log: school.log, role: 'web', clock: school.clock });
  const started = createServer(other.app);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  const authorization = `Bearer ${await school.token('student0001')}`;
  const elsewhere = async (path: string): Promise<Answer['body']> => {
    const url = `http://127.0.0.1:${(started.address() as AddressInfo).port}/api/v1${path}`;
    return (await fetch(url, { headers: { authorization, connection: 'close' } })).json();
  };
  const dueElsewhere = async () => (await elsewhere('/dashboard/student')).data.cards.homework.next_due[0].subject;
  await dueElsewhere();
  // Remembered for a second from here on.
  await elsewhere('/homework');
  ok(await admin('PATCH', `/subjects/${subjectId}`, { body: { name: 'Numbers' } }));
  expect(await dueElsewhere()).toBe('Numbers');
});
