import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BufferKeys } from '../../../src/buffer/keys.ts';
import { type SchoolProcess, SchoolProcesses } from '../../support/school-processes.ts';
import { until } from '../../support/until.ts';

const DAY_MS = 86_400_000;
const school = new SchoolProcesses();
const redis = new Redis(process.env.REDIS_URL!);
let homework: SchoolProcess;
let dashboard: SchoolProcess;

beforeAll(async () => {
  await school.open();
  [homework, dashboard] = await Promise.all([
    school.startWeb({ SERVICES: 'auth,homework' }),
    school.startWeb({ SERVICES: 'dashboard' }),
  ]);
}, 120_000);
afterAll(async () => {
  redis.disconnect();
  await school.close();
});

it('services in processes of their own hear of each other, also of what happened while one was down', async () => {
  const teacher = await school.login(homework, 'teacher001');
  const student = await school.login(homework, 'student0001');
  const own = (await homework.call('GET', '/api/v1/auth/me', { token: student })).body.data.scopes.own_class.id;
  const mine = (await homework.call('GET', '/api/v1/auth/me', { token: teacher })).body.data.scopes.class_subjects;
  const subject = mine.find((each: { class: { id: string } }) => each.class.id === own);
  const body = {
    class_subject_ids: [subject.id],
    title: 'Apart',
    due_at: new Date(Date.now() + 10 * DAY_MS).toISOString(),
  };
  expect((await dashboard.call('POST', '/api/v1/homework', { token: teacher, body })).status).toBe(404);
  expect((await homework.call('GET', '/api/v1/notifications', { token: student })).status).toBe(404);

  // A worker of another service leaves the event to those it is for.
  await school.startReadyWorker({ SERVICES: 'homework' });
  const given = await homework.call('POST', '/api/v1/homework', { token: teacher, body });
  expect(given.status).toBe(202);
  expect((await dashboard.call('GET', '/api/v1/notifications', { token: student })).body.data).toEqual([]);
  // The reminder of a homework that is due in ten days; its notification itself may have to wait for the morning.
  const reminders = `${new BufferKeys(school.prefix, 1).queue('notifications')}:notifications:delayed`;
  expect(await redis.zcard(reminders)).toBe(0);

  const schedules = () =>
    redis.zrange(`${new BufferKeys(school.prefix, 1).queue('run-tasks')}:run-tasks:repeat`, '0', '-1');
  const platform = await schedules();
  expect(platform).toContain('platform~purge.outbox-events');
  expect(platform.filter((id) => !id.startsWith('platform~'))).toEqual([]);

  const worker = await school.startReadyWorker({ SERVICES: 'dashboard' });
  expect(await schedules()).toEqual(expect.arrayContaining([...platform, 'dashboard~leaderboard.rebuild']));
  expect((await schedules()).filter((id) => id.startsWith('auth~'))).toEqual([]);
  await until(`the reminder; the worker says ${worker.output}`, async () =>
    (await redis.zrange(reminders, '0', '-1')).some((id) => id.startsWith(`homework.due-${given.body.data.id}`))
      ? true
      : undefined,
  );
}, 60_000);
