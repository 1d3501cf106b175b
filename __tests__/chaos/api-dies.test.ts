import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { random } from '../support/load.ts';
import { type ProcessAnswer, type SchoolProcess, SchoolProcesses } from '../support/school-processes.ts';
import { chaosSeed } from '../support/seed.ts';
import { testId } from '../support/test-entities.ts';

const RUN_MS = 60_000;

/** FAILURES 6: what a client does not know of happened once or not at all, and its retry makes it once. */
describe('a web process is killed with requests under way', () => {
  const school = new SchoolProcesses();
  beforeAll(() => school.open());
  afterAll(() => school.close());

  async function prepare(web: SchoolProcess): Promise<{ token: string; subject: string }> {
    const token = await school.login(web, 'teacher001');
    const { body } = await web.call('GET', '/api/v1/auth/me', { token });
    return { token, subject: body.data.scopes.class_subjects[0].id };
  }

  const post = (web: SchoolProcess, token: string, subject: string, key: string): Promise<ProcessAnswer> =>
    web.call('POST', '/api/v1/homework', {
      token,
      headers: { 'idempotency-key': key },
      body: { class_subject_ids: [subject], title: key, due_at: new Date(dueMs).toISOString() },
    });
  const dueMs = Date.now() + 86_400_000;

  it('each request, repeated with its key, has one effect', { timeout: 120_000 }, async () => {
    const seed = chaosSeed();
    const next = random(seed);
    const run = testId('run');
    const ids = new Map<string, string>();
    for (let round = 0; round < 3; round++) {
      const web = await school.startWeb();
      const { token, subject } = await prepare(web);
      const keys = Array.from({ length: 30 }, (_, index) => `${run}-${round}-${index}`);
      const answers = Promise.all(keys.map((key) => post(web, token, subject, key).catch(() => undefined)));
      await delay(next() * 60);
      await web.end('SIGKILL');
      for (const [index, answer] of (await answers).entries())
        if (answer?.status === 202) ids.set(keys[index]!, answer.body.data.id);
      const other = await school.startWeb();
      for (const key of keys) {
        let answer = await post(other, token, subject, key);
        // The first attempt counts as running until its process is known to be gone.
        for (const deadline = Date.now() + 30_000; answer.status === 409 && Date.now() < deadline; ) {
          await delay(250);
          answer = await post(other, token, subject, key);
        }
        expect(answer.status, `seed ${seed}: ${JSON.stringify(answer.body)}`).toBe(202);
        // What was acknowledged before is what is acknowledged again.
        if (ids.has(key)) expect(answer.body.data.id).toBe(ids.get(key));
        ids.set(key, answer.body.data.id);
      }
      await other.end('SIGKILL');
    }
    const web = await school.startWeb();
    const worker = await school.startReadyWorker();
    await school.syncAll(web, RUN_MS);
    const rows = await school.rows('SELECT title, id FROM homework WHERE title LIKE $1', [`${run}%`]);
    expect(rows).toHaveLength(ids.size);
    expect(new Map(rows.map(({ title, id }) => [title, id]))).toEqual(ids);
    await Promise.all([web, worker].map((process) => process.end('SIGTERM')));
  });

  it('payload without its pointer job, and pointer job without an answer: stored', { timeout: 120_000 }, async () => {
    const web = await school.startWeb();
    const { token, subject } = await prepare(web);
    const run = testId('run');
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => post(web, token, subject, `${run}-${index}`)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(202));
    await web.end('SIGKILL');
    // As if the process had died before the job was added: nothing points at these writes but the dirty index.
    const redis = new Redis(process.env.REDIS_URL!);
    for (const key of await redis.keys(`{${school.prefix}:write-pointers}*`)) await redis.del(key);
    redis.disconnect();
    const after = await school.startWeb();
    const worker = await school.startReadyWorker();
    await school.syncAll(after, RUN_MS);
    expect(await school.rows('SELECT count(*)::int AS count FROM homework WHERE title LIKE $1', [`${run}%`])).toEqual([
      { count: 10 },
    ]);
    await Promise.all([after, worker].map((process) => process.end('SIGTERM')));
  });
});
