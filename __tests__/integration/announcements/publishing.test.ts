import type { Worker } from 'bullmq';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RUN_TASKS, scheduleTasks } from '../../../queues/run-tasks.queue.ts';
import type { DomainEvent } from '../../../src/lib/events.ts';
import { startTaskWorker } from '../../../src/task-workers.ts';
import { BLOCKED_LOGIN, createWorlds, type World } from '../../contract/permissions/worlds.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { useStreams } from '../../support/school-streams.ts';
import { TODAY } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const published: DomainEvent[] = [];
const school = useSchool({}, [
  {
    name: 'test-announcements',
    service: 'dashboard',
    on: ['announcement.published'],
    handle: async (event) => void published.push(event),
  },
]);
const listen = useStreams(school);
const NOW = `${TODAY}T08:30:00+05:30`;
const TOMORROW = '2025-09-11T03:00:00.000Z';
const AFTER_TOMORROW = '2025-09-12T03:00:00.000Z';
let admin: Call;
let teacher: Call;
let student: Call;
let own: World;
let others: World;

const text = { title: 'Sports day', body: 'On Saturday, on the large field.' };
const make = async (fields: object = {}, call: Call = admin): Promise<string> => {
  const { status, body } = await call('POST', '/announcements', {
    body: { ...text, audience: 'class', class_id: own.classId, ...fields },
  });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body.data.id;
};
const TASK = 'announcements.publish';
const taskOf = () => school.container.tasks.find(({ name }) => name === TASK)!;
/** @returns how many were told */
const publish = async (): Promise<number> => {
  const { told } = await taskOf().run({ now: school.clock.now(), progress: async () => {} });
  return told!;
};
const eventsOf = (id: string): DomainEvent[] => published.filter(({ aggregateId }) => aggregateId === id);
const toldTo = async (call: Call, id: string) =>
  (await call('GET', '/notifications?limit=100')).body.data.filter(
    (told: { data: Record<string, string> }) => told.data.announcement_id === id,
  );
const hears = (call: Call, id: string) => until(`notice of ${id}`, async () => (await toldTo(call, id))[0]);
/** Everything that was said is sent, handled and done. */
const idle = () =>
  until('no event and no job under way', async () => {
    const { queues, eventLog } = school.engine;
    if ((await school.rows('SELECT 1 FROM outbox_events WHERE published_at IS NULL')).length > 0) return undefined;
    for (let shard = 0; shard < eventLog.shards; shard++) await eventLog.trim(shard, Date.now());
    if ((await eventLog.length()) > 0) return undefined;
    const { active, waiting } = await queues.notifications.getJobCounts('active', 'waiting');
    return active === 0 && waiting === 0 ? true : undefined;
  });
/** Logins that have a notification of an announcement, each as often as it has. */
const toldUsers = async (id: string): Promise<string[]> => {
  const pending = await school.engine.buffer.pendingAll('notification');
  return pending
    .filter(({ document }) => (document.data as Record<string, string>).announcement_id === id)
    .map(({ document }) => String(document.user_id))
    .sort();
};
const usersOf = async (sql: string, values: unknown[] = []): Promise<string[]> =>
  (await school.rows(sql, values)).map(({ id }) => String(id)).sort();

beforeAll(async () => {
  ({ own, others } = await createWorlds(school));
  admin = school.as('admin');
  teacher = school.as('teacher001');
  student = school.as('student0001');
  // The block alone must keep the child hidden, whatever else is ticked.
  await school.rows('UPDATE student_guardians SET can_view = true, is_notified = true WHERE is_blocked');
  await idle();
});
afterEach(() => school.clock.set(NOW));

describe('an announcement that is out', () => {
  it('is told to the class, its families and its teachers, once each, and to nobody else', async () => {
    const id = await make({}, teacher);
    await hears(student, id);
    await idle();
    expect(eventsOf(id)).toMatchObject([
      {
        name: 'announcement.published',
        payload: { announcement_id: id, audience: 'class', class_id: own.classId, role: null },
      },
    ]);
    expect(JSON.stringify(eventsOf(id))).not.toContain(text.title);
    const wanted = await usersOf(
      `SELECT u.id FROM users u WHERE u.status = 'active' AND u.login <> 'teacher001' AND (
         EXISTS (SELECT 1 FROM students s JOIN enrollments e ON e.student_id = s.id WHERE s.user_id = u.id AND e.class_id = $1 AND e.ends_on IS NULL)
         OR EXISTS (SELECT 1 FROM guardians g JOIN student_guardians sg ON sg.guardian_id = g.id JOIN enrollments e ON e.student_id = sg.student_id
                    WHERE g.user_id = u.id AND e.class_id = $1 AND e.ends_on IS NULL AND sg.can_view AND sg.is_notified AND NOT sg.is_blocked)
         OR EXISTS (SELECT 1 FROM staff s JOIN class_subjects cs ON cs.staff_id = s.id WHERE s.user_id = u.id AND cs.class_id = $1))`,
      [own.classId],
    );
    expect(wanted.length).toBeGreaterThan(50);
    expect(await toldUsers(id)).toEqual(wanted);
    expect(await toldTo(school.as(BLOCKED_LOGIN), id)).toEqual([]);
    expect(await toldTo(school.as('stranger'), id)).toEqual([]);
  });

  it('is a notification with the dedupe key of DOMAIN §6, whose long texts are cut', async () => {
    const start = 'Bring a hat, for it will be hot. '.repeat(40).slice(0, 998);
    const body = `${start}💐💐`;
    const id = await make({ body });
    expect(await hears(student, id)).toMatchObject({ topic: 'announcement', title: text.title, severity: 'info' });
    const pending = await school.engine.buffer.pendingAll('notification');
    const [one] = pending.filter(({ document }) => (document.data as Record<string, string>).announcement_id === id);
    expect(one!.document).toMatchObject({ dedupe_key: `announcement:${id}:${TODAY}`, body: `${start}…` });
  });

  it('is told once, however often its event comes, stored or not', async () => {
    const id = await make();
    const { id: first } = await hears(student, id);
    const again = { topic: 'announcement', about: { announcement_id: id } };
    await school.container.notifications.deliver(again);
    await school.sync();
    await school.container.notifications.deliver(again);
    // The day is that of its publication: a job that goes on after midnight finds what it has told.
    school.clock.set(TOMORROW);
    await school.container.notifications.deliver(again);
    expect((await toldTo(student, id)).map((told: { id: string }) => told.id)).toEqual([first]);
  });

  it('is told to the whole school, whose number exceeds a page', async () => {
    await school.rows(
      `INSERT INTO users (id, login, status, is_password_temporary, failed_logins, token_epoch, prefs)
       SELECT gen_random_uuid(), 'crowd' || n, CASE WHEN n <= 600 THEN 'active' ELSE 'archived' END, false, 0, 0, '{}'
       FROM generate_series(1, 610) n`,
    );
    await school.rows(
      `INSERT INTO user_roles (user_id, role, granted_by, granted_at)
       SELECT u.id, 'driver', a.id, now() FROM users u, users a WHERE u.login LIKE 'crowd%' AND a.login = 'admin'`,
    );
    const toDrivers = await make({ audience: 'role', role: 'driver', class_id: null });
    await hears(school.as('driver01'), toDrivers);
    const toAll = await make({ audience: 'school', class_id: null });
    await hears(student, toAll);
    await idle();
    const drivers = `SELECT u.id FROM users u JOIN user_roles r ON r.user_id = u.id WHERE r.role = 'driver' AND u.status = 'active'`;
    const everybody = `SELECT DISTINCT u.id FROM users u JOIN user_roles r ON r.user_id = u.id WHERE u.status = 'active' AND u.login <> 'admin'`;
    expect(await toldUsers(toDrivers)).toEqual(await usersOf(drivers));
    const told = await toldUsers(toAll);
    expect(told).toEqual(await usersOf(everybody));
    expect(told.length).toBeGreaterThan(600);
  });

  it('is not told when it was taken back, or is over, before its job runs', async () => {
    const { queues } = school.engine;
    await queues.notifications.pause();
    const gone = await make();
    const over = await make({ expires_at: TOMORROW });
    try {
      await until('both jobs', async () =>
        (await queues.notifications.getJobCountByTypes('waiting')) === 2 ? true : undefined,
      );
      await admin('DELETE', `/announcements/${gone}`);
      school.clock.set(TOMORROW);
    } finally {
      await queues.notifications.resume();
    }
    await idle();
    for (const id of [gone, over]) expect(await toldUsers(id)).toEqual([]);
  });

  it('is not told when it is over before it is written', async () => {
    const id = await make({ publish_at: '2025-09-01T00:00:00Z', expires_at: '2025-09-02T00:00:00Z' });
    expect(await publish()).toBe(0);
    await idle();
    expect(eventsOf(id)).toEqual([]);
  });
});

describe('open streams', () => {
  it('hear of it at once, those of its audience and no other, with one message and no text', async () => {
    const logins = ['student0001', 'parent0001', 'teacher001', 'stranger', BLOCKED_LOGIN];
    const streams = await Promise.all(logins.map((login) => listen(login)));
    await Promise.all(streams.map((stream) => stream.next('stream.ready')));
    const heard = (index: number) => streams[index]!.events.filter(({ name }) => name === 'announcement.published');
    const toOwn = await make();
    const toOthers = await make({ class_id: others.classId });
    const toParents = await make({ audience: 'role', role: 'parent', class_id: null });
    const toAll = await make({ audience: 'school', class_id: null });
    await idle();
    const expected = [
      [toOwn, toAll],
      [toOwn, toParents, toAll],
      [toOwn, toAll],
      [toOthers, toAll],
      [toParents, toAll],
    ];
    for (const [index, ids] of expected.entries()) {
      await until(`all of ${logins[index]}`, async () => (heard(index).length >= ids.length ? true : undefined));
      const events = heard(index);
      expect(events.map(({ data }) => data.announcement_id).sort()).toEqual([...ids].sort());
      for (const event of events) {
        expect(Object.keys(event.data)).toEqual(['announcement_id']);
        expect(event.id).toBeUndefined();
      }
    }
    // What must not be missed has a place in the user's own stream.
    const notice = streams[0]!.events.find(
      ({ name, data }) => name === 'notification.created' && data.data.announcement_id === toOwn,
    );
    expect(notice?.id).toMatch(/^\d+-\d+$/);
  });
});

describe('an announcement with a time to come', () => {
  const workers: Worker[] = [];
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.close()));
  });
  const startWorker = async () => void workers.push(await startTaskWorker(school.container, school.log, school.clock));
  const runJobs = async (count: number) => {
    const queue = school.engine.queues[RUN_TASKS];
    await queue.addBulk(Array.from({ length: count }, () => ({ name: TASK, data: { task: TASK } })));
    await until('the jobs', async () => {
      return (await queue.getJobCountByTypes('waiting', 'active')) === 0 ? true : undefined;
    });
    expect(await queue.getFailedCount()).toBe(0);
  };

  it('is silent until then, and told once by any number of workers', async () => {
    const ids = await Promise.all(Array.from({ length: 3 }, () => make({ publish_at: TOMORROW })));
    expect(await publish()).toBe(0);
    await idle();
    for (const id of ids) {
      expect(eventsOf(id)).toEqual([]);
      expect(await toldTo(student, id)).toEqual([]);
    }
    school.clock.set(TOMORROW);
    await Promise.all([startWorker(), startWorker()]);
    const [, ...counts] = await Promise.all([runJobs(4), ...Array.from({ length: 6 }, publish)]);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(ids.length);
    expect(await publish()).toBe(0);
    for (const id of ids) await hears(student, id);
    await idle();
    for (const id of ids) {
      expect(eventsOf(id)).toMatchObject([{ at: TOMORROW, actorId: null, requestId: null }]);
      expect(await toldTo(student, id)).toHaveLength(1);
    }
  });

  it('goes to one of several claims at the same time, more of them than one takes', async () => {
    const ids = await Promise.all(
      Array.from({ length: 130 }, () => make({ publish_at: AFTER_TOMORROW, class_id: others.classId })),
    );
    school.clock.set(AFTER_TOMORROW);
    const counts = await Promise.all([publish(), publish(), publish()]);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(ids.length);
    const rows = await school.rows(
      `SELECT count(*)::int AS events, count(DISTINCT aggregate_id)::int AS told FROM outbox_events WHERE aggregate_id = ANY($1)`,
      [ids],
    );
    expect(rows).toEqual([{ events: ids.length, told: ids.length }]);
  });

  it('follows its time when that is moved, later or to now', async () => {
    const later = await make({ publish_at: TOMORROW });
    await admin('PATCH', `/announcements/${later}`, { body: { publish_at: AFTER_TOMORROW } });
    school.clock.set(TOMORROW);
    expect(await publish()).toBe(0);
    expect((await student('GET', `/announcements/${later}`)).status).toBe(404);
    school.clock.set(AFTER_TOMORROW);
    expect(await publish()).toBe(1);
    await hears(student, later);

    school.clock.set(NOW);
    const sooner = await make({ publish_at: TOMORROW });
    await admin('PATCH', `/announcements/${sooner}`, { body: { publish_at: NOW } });
    await hears(student, sooner);
    school.clock.set(TOMORROW);
    expect(await publish()).toBe(0);
    await idle();
    for (const id of [later, sooner]) expect(eventsOf(id)).toHaveLength(1);
  });

  it('keeps its version when it is told: who edits it sees nothing change', async () => {
    const id = await make({ publish_at: TOMORROW });
    const before = (await admin('GET', `/announcements/${id}`)).body.data;
    school.clock.set(TOMORROW);
    expect(await publish()).toBe(1);
    const after = (await admin('GET', `/announcements/${id}`)).body.data;
    expect(after).toEqual({ ...before, state: 'current' });
    const headers = { 'if-match': `"${before.version}"` };
    const body = { title: 'Corrected' };
    expect((await admin('PATCH', `/announcements/${id}`, { body, headers })).status).toBe(200);
    await idle();
    expect(eventsOf(id)).toHaveLength(1);
  });

  it('is never told when it is taken back or over before', async () => {
    const gone = await make({ publish_at: TOMORROW });
    const over = await make({ publish_at: TOMORROW, expires_at: AFTER_TOMORROW });
    await admin('DELETE', `/announcements/${gone}`);
    school.clock.set(AFTER_TOMORROW);
    expect(await publish()).toBe(0);
    await idle();
    for (const id of [gone, over]) expect(eventsOf(id)).toEqual([]);
  });

  it('has one schedule, every minute, however many workers plan it', async () => {
    const queue = school.engine.queues[RUN_TASKS];
    const plan = () => scheduleTasks(queue, [taskOf()], { services: ['dashboard'], timezone: 'Asia/Kolkata' });
    await Promise.all([plan(), plan()]);
    await plan();
    const schedulers = await queue.getJobSchedulers();
    expect(schedulers).toMatchObject([{ key: `dashboard~${TASK}`, every: 60_000 }]);
    await queue.removeJobScheduler(schedulers[0]!.key);
  });
});
