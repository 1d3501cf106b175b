import { beforeAll, describe, expect, it } from 'vitest';
import { Cache } from '../../../src/cache/cache.ts';
import { namedId } from '../../../src/lib/ids.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const school = useSchool();
const STUDENT = namedId('student:student0001');
let admin: Call;
let teacher: Call;
let student: Call;
let parent: Call;
let classId: string;
let otherClassId: string;

beforeAll(async () => {
  admin = school.as('admin');
  teacher = school.as('teacher001');
  student = school.as('student0001');
  parent = school.as('parent0001');
  classId = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
  const classes = (await admin('GET', '/classes')).body.data;
  otherClassId = classes.find(({ id }: { id: string }) => id !== classId).id;
});

const cardOf = async (call: Call, kind: string, name: string) =>
  (await call('GET', `/dashboard/${kind}`)).body.data.cards[name];
const childsCard = async (name: string) =>
  (await parent('GET', '/dashboard/parent')).body.data.children.find(
    ({ student_id }: { student_id: string }) => student_id === STUDENT,
  ).cards[name];

const ownClassSubject = async (): Promise<string> =>
  (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects.find(
    ({ class: { id } }: { class: { id: string } }) => id === classId,
  ).id;

// First: what the others do is told to the same student, sooner or later.
describe('the card of unread notifications', () => {
  it('DB1: counts those of whoever looks, as they are now', async () => {
    const count = async () => (await cardOf(student, 'student', 'unread')).count;
    const [mine, parents] = [await count(), (await childsCard('unread')).count];
    const classSubject = await ownClassSubject();
    await teacher('POST', '/homework', {
      body: { class_subject_ids: [classSubject], title: 'Told', due_at: `${TODAY}T18:00:00.000Z` },
    });
    await until('the notification', async () => ((await count()) > mine ? true : undefined));
    expect((await childsCard('unread')).count).toBe(parents);
    await student('POST', '/notifications/read', { body: { all: true } });
    expect(await count()).toBe(0);
  });
});

describe('the events card', () => {
  const add = async (title: string, audiences: object[], fields: object = {}) =>
    (
      await admin('POST', '/events', {
        body: { title, start_local: `${TODAY}T18:00`, duration_min: 30, audiences, ...fields },
      })
    ).body.data.event.id;
  const titles = async (call = student) =>
    (await cardOf(call, 'student', 'events')).next.map(({ title }: { title: string }) => title);

  it('DB1: shows the next five of those for the student, at once after a change, and the same to the parent', async () => {
    expect(await titles()).not.toContain('For my class');
    const id = await add('For my class', [{ kind: 'class', class_id: classId }]);
    await add('For another class', [{ kind: 'class', class_id: otherClassId }]);
    await add('For me alone', [{ kind: 'user', user_id: namedId('user:student0001') }]);
    await add('For teachers', [{ kind: 'role', role: 'teacher' }]);
    const shown = await titles();
    expect(shown).toEqual(expect.arrayContaining(['For me alone', 'For my class']));
    expect(shown).not.toContain('For another class');
    expect(shown).not.toContain('For teachers');
    expect(shown.length).toBeLessThanOrEqual(5);
    expect((await childsCard('events')).next).toEqual((await cardOf(student, 'student', 'events')).next);
    await admin('DELETE', `/events/${id}?scope=all`);
    expect(await titles()).not.toContain('For my class');
  });

  it('DB1: leaves out what is over', async () => {
    await add('Over by then', [{ kind: 'school' }], { start_local: `${TODAY}T17:00` });
    expect(await titles()).toContain('Over by then');
    const { dashboards } = school.container.dashboard;
    const later = new Date(`${TODAY}T12:01:00.000Z`);
    const { cards } = await dashboards.withCache(ownCache(() => later.getTime())).cardsOfStudent(STUDENT, later, '');
    expect(JSON.stringify(cards.events)).not.toContain('Over by then');
  });

  it('DB1: looks into the months ahead, where what goes on from one into the next is one event', async () => {
    const everybody = [{ kind: 'school' }];
    await add('Over the end of May', everybody, { start_local: '2026-05-31T23:00', duration_min: 3 * 1440 });
    await add('In June', everybody, { start_local: '2026-06-01T09:00' });
    await add('In July', everybody, { start_local: '2026-07-20T09:00' });
    await add('In August', everybody, { start_local: '2026-08-01T09:00' });
    const { dashboards } = school.container.dashboard;
    const later = new Date('2026-05-30T06:00:00.000Z');
    const { cards } = await dashboards.withCache(ownCache(() => later.getTime())).cardsOfStudent(STUDENT, later, '');
    const { next } = cards.events as unknown as { next: { title: string }[] };
    expect(next.map(({ title }) => title)).toEqual(['Over the end of May', 'In June', 'In July']);
  });
});

/** A cache that nothing else has filled, whose time is the test's. */
function ownCache(nowMs: () => number): Cache {
  const { redis, keys } = school.engine;
  const run = Math.random();
  return new Cache({ redis, keyOf: (name) => keys.copy(`${run}:${name}`), ttlSeconds: 60, nowMs });
}

describe('kept cards', () => {
  it('are kept for minutes, but never past the instant at which time alone changes them', async () => {
    const classSubject = await ownClassSubject();
    const start = Date.parse(`${TODAY}T05:00:00.000Z`);
    const at = (seconds: number) => new Date(start + seconds * 1000);
    const given = await teacher('POST', '/homework', {
      body: { class_subject_ids: [classSubject], title: 'Due in a minute', due_at: at(90).toISOString() },
    });
    expect(given.status).toBe(202);
    const { eventLog } = school.engine;
    await until('its event to be handled, which touches the class again', async () => {
      await eventLog.trim(0, Date.now());
      return (await eventLog.length()) === 0 ? true : undefined;
    });
    let nowMs = start;
    const dashboards = school.container.dashboard.dashboards.withCache(ownCache(() => nowMs));
    const look = async (seconds: number) => {
      nowMs = at(seconds).getTime();
      const { cards } = await dashboards.cardsOfStudent(STUDENT, at(seconds), '');
      return cards.homework as unknown as { as_of: string; next_due: { title: string }[] };
    };
    const has = ({ next_due }: Awaited<ReturnType<typeof look>>) =>
      next_due.some(({ title }) => title === 'Due in a minute');
    const first = await look(0);
    expect(has(first)).toBe(true);
    expect((await look(85)).as_of).toBe(first.as_of);
    expect(has(await look(91))).toBe(false);
    // Nothing is due for a while now.
    const quiet = await look(92);
    expect((await look(92 + 200)).as_of).toBe(quiet.as_of);
    expect((await look(92 + 400)).as_of).not.toBe(quiet.as_of);
  });
});

describe("the card of a teacher's lessons", () => {
  it("DB1: shows today's, without those that another takes over", async () => {
    const lessons = async (call: Call) => (await cardOf(call, 'teacher', 'lessons')).today;
    const own = await lessons(teacher);
    expect(own.length).toBeGreaterThan(0);
    const [first] = own;
    const staff = await school.rows(
      `SELECT s.id, u.login FROM staff s JOIN users u ON u.id = s.user_id JOIN user_roles r ON r.user_id = u.id AND r.role = 'teacher'
       ORDER BY u.login LIMIT 2`,
    );
    const [absent, cover] = staff as [{ id: string }, { id: string; login: string }];
    const other = school.as(cover.login);
    const before = await lessons(other);
    const answer = await admin('POST', `/classes/${first.class_id}/substitutions`, {
      body: { on_date: TODAY, absent_staff_id: absent.id, staff_id: cover.id },
    });
    expect(answer.status).toBe(201);
    const moved = own.filter(({ class_id }: { class_id: string }) => class_id === first.class_id);
    expect(await lessons(teacher)).toEqual(
      own.filter(({ class_id }: { class_id: string }) => class_id !== first.class_id),
    );
    const after = await lessons(other);
    expect(after).toHaveLength(before.length + moved.length);
    expect(after).toEqual(expect.arrayContaining([{ ...first, is_substitution: true }]));
  });
});
