import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BufferKeys } from '../../src/buffer/keys.ts';
import { type SchoolProcess, SchoolProcesses } from '../support/school-processes.ts';
import { until } from '../support/until.ts';

const DAY_MS = 86_400_000;
const GIVEN = 60;

const school = new SchoolProcesses();
const redis = new Redis(process.env.REDIS_URL!);
let web: SchoolProcess;

beforeAll(async () => {
  await school.open();
  web = await school.startWeb();
}, 120_000);
afterAll(async () => {
  redis.disconnect();
  await school.close();
});

it('events of acknowledged writes reach their consumers, though workers are killed while they handle them', async () => {
  const token = await school.login(web, 'teacher001');
  const { scopes } = (await web.call('GET', '/api/v1/auth/me', { token })).body.data;
  const due_at = new Date(Date.now() + 10 * DAY_MS).toISOString();
  const ids: string[] = [];
  const give = async (): Promise<void> => {
    const body = { class_subject_ids: [scopes.class_subjects[0].id], title: `Survives ${ids.length}`, due_at };
    const answer = await web.call('POST', '/api/v1/homework', { token, body });
    expect(answer.status).toBe(202);
    ids.push(answer.body.data.id);
  };
  let worker = await school.startReadyWorker();
  while (ids.length < GIVEN) {
    await give();
    if (ids.length % (GIVEN / 3) !== 0) continue;
    await worker.end('SIGKILL');
    worker = await school.startReadyWorker();
  }
  // Each homework asks for one reminder; the jobs are named for it.
  const reminders = `${new BufferKeys(school.prefix, 1).queue('notifications')}:notifications:delayed`;
  const reminded = await until(
    'a reminder of each',
    async () => {
      const jobs = (await redis.zrange(reminders, '0', '-1')).filter((id) => id.startsWith('homework.due-'));
      return jobs.length >= GIVEN ? jobs : undefined;
    },
    90_000,
  );
  expect(reminded.sort()).toEqual(ids.map((id) => `homework.due-${id}-${Date.parse(due_at)}`).sort());
});
