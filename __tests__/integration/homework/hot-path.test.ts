import { expect, inject, it } from 'vitest';
import { whileDatabaseIsDown } from '../../support/database-outage.ts';
import { useSchool } from '../../support/harness.ts';
import { commandsDuring } from '../../support/redis-monitor.ts';

const school = useSchool();
const LOOK_AGAIN_MS = 1_000;
/** What a request could wait for; a script is the group commit itself. */
const READS = new Set(['get', 'mget', 'hget', 'hmget', 'hgetall', 'smembers', 'exists']);

it('giving homework reads neither Redis nor PostgreSQL for each request once the teacher is known', async () => {
  const teacher = school.as('teacher001');
  const [subject] = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  const give = () =>
    teacher('POST', '/homework', {
      body: { class_subject_ids: [subject.id], title: 'Hot', due_at: '2025-09-12T18:00:00Z' },
    });
  expect((await give()).status).toBe(202);

  const statuses: number[] = [];
  const startedMs = performance.now();
  const seen = await commandsDuring(
    inject('urls').REDIS_URL,
    () =>
      whileDatabaseIsDown(school, async () => {
        for (let count = 0; count < 20; count++) statuses.push((await give()).status);
      }),
    () => school.engine.redis.echo(`${school.prefix} done`),
  );
  // The worker of this school does its part beside it.
  const web = /addr=(\S+)/.exec((await school.engine.redis.client('INFO')) as string)![1];
  const own = seen.filter(({ args, source }) => source === web && args.some((arg) => arg.includes(school.prefix)));

  expect(statuses).toEqual(statuses.map(() => 202));
  expect(own.map(({ name }) => name)).toContain('evalsha');
  // Whole commands: a failure says what was read.
  const reads = own.filter(({ name }) => READS.has(name));
  // What is kept of the school is looked at again once a second, however many requests there are.
  const mostLooks = 1 + (performance.now() - startedMs) / LOOK_AGAIN_MS;
  for (const [key, looks] of Map.groupBy(reads, ({ args }) => args.join(' '))) {
    expect(looks.length, key).toBeLessThanOrEqual(mostLooks);
  }
});
