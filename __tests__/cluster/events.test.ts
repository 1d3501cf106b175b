import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DomainEvent } from '../../src/lib/events.ts';
import { buildEvent } from '../support/build-event.ts';
import { EventStream } from '../support/event-stream.ts';
import { SchoolHarness } from '../support/harness.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { until } from '../support/until.ts';

const handled: DomainEvent[] = [];
let cluster: RedisCluster;
let school: SchoolHarness;

beforeAll(async () => {
  cluster = await startRedisCluster();
  school = new SchoolHarness({ REDIS_URL: cluster.url, REDIS_CLUSTER: 'true', BUFFER_SHARDS: '6' }, [
    {
      name: 'test-recorder',
      service: 'homework',
      on: ['homework.published', 'leave.decided'],
      handle: async (event) => void handled.push(event),
    },
  ]);
  await school.open();
}, 60_000);

afterAll(async () => {
  await school?.close();
  await cluster?.close();
});

describe('Redis Cluster', () => {
  it('delivers events of all shards, in order for each aggregate', async () => {
    const teacher = school.as('teacher001');
    const subject = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects[0].id;
    const given: string[] = [];
    for (let index = 0; index < 20; index++) {
      const body = { class_subject_ids: [subject], title: `spread ${index}`, due_at: '2026-05-01T10:00:00Z' };
      given.push((await teacher('POST', '/homework', { body })).body.data.id);
    }
    expect(new Set(given.map((id) => school.engine.keys.shardOf(id))).size).toBeGreaterThan(2);
    await school.engine.eventLog.append(
      given.flatMap((aggregateId) => [1, 2].map((number) => buildEvent(aggregateId, number))),
    );
    await until('all events', async () => (handled.length >= given.length * 3 ? true : undefined));
    for (const id of given)
      expect(handled.filter(({ aggregateId }) => aggregateId === id).map(({ payload }) => payload.number)).toEqual([
        undefined,
        1,
        2,
      ]);
  });

  it('tells clients of messages and stored writes', async () => {
    const posted = await school.as('teacher001')('PATCH', '/auth/me', { body: { locale: 'en-GB' } });
    const [id] = posted.body.meta.writes;
    const authorization = `Bearer ${await school.token('teacher001')}`;
    const stream = await EventStream.open(`${school.baseUrl}/api/v1/stream?writes=${id}`, { authorization });
    await stream.next('stream.ready');
    const [user] = await school.rows("SELECT id FROM users WHERE login = 'teacher001'");
    await school.engine.userStreams.append(String(user!.id), 'test.happened', { number: 1 });
    expect((await stream.next('test.happened')).data).toEqual({ number: 1 });
    await school.sync();
    expect((await stream.next('write.stored')).data.id).toBe(id);
    stream.close();
    await stream.ended();
  });
});
