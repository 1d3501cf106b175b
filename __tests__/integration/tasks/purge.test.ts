import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'bullmq';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RUN_TASKS } from '../../../queues/run-tasks.queue.ts';
import { startTaskWorker } from '../../../src/task-workers.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { until } from '../../support/until.ts';

const DATA_DIR = mkdtempSync(join(tmpdir(), 'schools24-purge-'));
const school = useSchool({ DATA_DIR });
let worker: Worker;
let teacher: Call;
let userId: string;

const DAY_MS = 86_400_000;
const ago = (days: number): Date => new Date(school.clock.now().getTime() - days * DAY_MS);

/** Runs a task as its schedule would. @returns what it did */
async function run(task: string): Promise<Record<string, number>> {
  const queue = school.engine.queues[RUN_TASKS];
  const { id } = await queue.add(task, { task });
  return until(task, async () => {
    const job = (await queue.getJob(id!))!;
    if (job.failedReason) throw new Error(job.failedReason);
    return job.finishedOn === undefined ? undefined : job.returnvalue;
  });
}
const count = async (table: string, where = 'true'): Promise<number> =>
  Number((await school.rows(`SELECT count(*) AS count FROM ${table} WHERE ${where}`))[0]!.count);

beforeAll(async () => {
  teacher = school.as('teacher001');
  const [user] = await school.rows("SELECT id FROM users WHERE login = 'teacher001'");
  userId = String(user!.id);
  worker = await startTaskWorker(school.container, school.log, school.clock);
});
afterAll(async () => {
  await worker.close();
  rmSync(DATA_DIR, { recursive: true });
});

describe('purge', () => {
  it('forgets idempotency keys that are over, in bounded batches, and leaves those that somebody holds', async () => {
    await school.rows(
      `INSERT INTO idempotency_keys (user_id, key, method, path, body_hash, expires_at)
       SELECT $1, 'k' || n, 'POST', '/', '', now() + CASE WHEN n <= 2300 THEN interval '-1 second' ELSE interval '1 hour' END
       FROM generate_series(1, 2400) AS n`,
      [userId],
    );
    const holder = new pg.Client({ connectionString: school.knexUrl });
    await holder.connect();
    try {
      await holder.query("BEGIN; UPDATE idempotency_keys SET expires_at = now() + interval '1 hour' WHERE key = 'k7'");
      expect(await run('purge.idempotency-keys')).toEqual({ deleted: 2_299 });
      await holder.query('COMMIT');
    } finally {
      await holder.end();
    }
    expect(await count('idempotency_keys')).toBe(101);
    expect(await run('purge.idempotency-keys')).toEqual({ deleted: 0 });
  });

  it('removes events that were sent a week ago, and none that was not sent', async () => {
    await school.rows(
      `INSERT INTO outbox_events (id, name, aggregate_id, payload, created_at, published_at)
       SELECT gen_random_uuid(), 'test.old', n::text, '{}', now() - interval '9 days',
              CASE WHEN n <= 1200 THEN now() - interval '8 days' WHEN n <= 1205 THEN now() - interval '6 days' END
       FROM generate_series(1, 1210) AS n`,
    );
    expect(await run('purge.outbox-events')).toEqual({ deleted: 1_200 });
    expect(await count('outbox_events', "name = 'test.old'")).toBe(10);
  });

  it('removes logins and tokens a month after they are of no use', async () => {
    const session = (id: number, expires: Date, revoked: Date | null) =>
      school.rows(
        `INSERT INTO user_sessions (id, user_id, generation, rotated_at, ip, user_agent, expires_at, revoked_at)
         VALUES ($1, $2, 1, $3, '127.0.0.1', $4, $3, $5)`,
        [`00000000-0000-7000-8000-00000000000${id}`, userId, expires, 'purge', revoked],
      );
    await session(1, ago(31), null);
    await session(2, ago(31), ago(50));
    await session(3, ago(29), ago(28));
    await session(4, ago(-20), ago(90));
    expect(await run('purge.logins')).toEqual({ deleted: 2 });
    expect(await count('user_sessions', "user_agent = 'purge'")).toBe(2);

    const token = (id: number, expires: Date, used: Date | null) =>
      school.rows(
        `INSERT INTO auth_tokens (id, user_id, kind, token_hash, expires_at, used_at) VALUES ($1, $2, 'invite', $3, $4, $5)`,
        [`00000000-0000-7000-8000-00000000000${id}`, userId, Buffer.from([id]), expires, used],
      );
    await token(1, ago(31), null);
    await token(2, ago(25), ago(31));
    await token(3, ago(29), null);
    await token(4, ago(-1), ago(2));
    expect(await run('purge.account-tokens')).toEqual({ deleted: 2 });
    expect(await count('auth_tokens')).toBe(2);
  });

  it('gives up uploads that were not completed within a day, with their content', async () => {
    const content = Buffer.from('%PDF-1.7 never completed');
    const announce = async (): Promise<string> => {
      const body = { purpose: 'homework', name: 'a.pdf', mime: 'application/pdf', size: content.length };
      const { data } = (await teacher('POST', '/files', { body })).body;
      const put = { method: 'PUT', headers: data.upload_headers, body: new Uint8Array(content) };
      expect((await fetch(school.baseUrl + data.upload_url, put)).status).toBe(204);
      return data.file_id;
    };
    const stored = (): string[] =>
      readdirSync(join(DATA_DIR, 'objects'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => name);
    const [orphan, ready] = [await announce(), await announce()];
    expect((await teacher('POST', `/files/${ready}/complete`)).status).toBe(200);
    school.clock.set('2025-09-11T08:29:00+05:30');
    expect(await run('purge.uploads')).toEqual({ rows: 0, uploads: 0 });
    expect((await teacher('GET', `/files/${orphan}`)).body.data.status).toBe('pending');
    school.clock.set('2025-09-11T08:31:00+05:30');
    const young = await announce();
    expect(await run('purge.uploads')).toEqual({ rows: 0, uploads: 1 });
    expect((await teacher('GET', `/files/${orphan}`)).status).toBe(404);
    expect((await teacher('POST', `/files/${orphan}/complete`)).status).toBe(404);
    expect(stored().sort()).toEqual([ready, young].sort());
    school.clock.set('2025-09-12T08:30:30+05:30');
    expect(await run('purge.uploads')).toEqual({ rows: 0, uploads: 0 });
    school.clock.set('2025-09-12T08:32:00+05:30');
    expect(await run('purge.uploads')).toEqual({ rows: 1, uploads: 1 });
    expect(await count('files', `id IN ('${orphan}', '${young}', '${ready}')`)).toBe(2);
    expect(stored()).toEqual([ready]);
    school.clock.set('2025-09-10T08:30:00+05:30');
  });

  it.each([
    ['activity_logs', 'purge.activity-logs'],
    ['notification_archive', 'purge.notifications'],
  ])('removes documents of %s whose time is over', async (name, task) => {
    const collection = school.container.db.collection<{
      _id: string;
      user_id: string;
      dedupe_key: string;
      expire_at: Date;
    }>(name);
    // Far enough ahead that the server's own index has nothing to do.
    const now = new Date('2090-01-01T00:00:00.000Z');
    const document = (n: number) => ({
      _id: `purge:${n}`,
      user_id: 'purge',
      dedupe_key: String(n),
      expire_at: new Date(now.getTime() + (n <= 1_100 ? -1 : 1)),
    });
    await collection.insertMany(Array.from({ length: 1_105 }, (_, n) => document(n + 1)));
    school.clock.set(now.toISOString());
    const { deleted } = await run(task);
    school.clock.set('2025-09-10T08:30:00+05:30');
    expect(deleted).toBeGreaterThanOrEqual(1_100);
    const left = await collection.find({ user_id: 'purge' }).toArray();
    expect(left.map(({ _id }) => _id).sort()).toEqual([1101, 1102, 1103, 1104, 1105].map((n) => `purge:${n}`));
  });
});
