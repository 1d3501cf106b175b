import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DomainEvent } from '../../../src/lib/events.ts';
import type { TaskResult } from '../../../src/lib/scheduled-task.ts';
import { whileDatabaseIsDown } from '../../support/database-outage.ts';
import { buildHomework, type Refs, refsOf } from '../../support/documents.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { until } from '../../support/until.ts';

const heard: DomainEvent[] = [];
const school = useSchool({}, [
  {
    name: 'test-alerts',
    service: 'dashboard',
    on: ['platform.flush.failed', 'platform.buffer.stalled'],
    handle: async (event) => void heard.push(event),
  },
]);
let refs: Refs;
let admin: Call;

const HOUR_MS = 3_600_000;

interface Told {
  id: string;
  topic: string;
  severity: string;
  title: string;
  data: Record<string, string>;
}
const toldTo = async (call: Call, topic: string): Promise<Told[]> =>
  (await call('GET', '/notifications?limit=100')).body.data.filter(
    (told: Told) => told.topic === topic && told.data.entity === 'homework',
  );
const eventsOf = (name: string): DomainEvent[] =>
  heard.filter((event) => event.name === name && event.payload.entity === 'homework');
const idle = () =>
  until('no event and no job under way', async () => {
    const { queues, eventLog } = school.engine;
    await eventLog.trim(0, Date.now());
    if ((await eventLog.length()) > 0) return undefined;
    const { active, waiting } = await queues.notifications.getJobCounts('active', 'waiting');
    return active === 0 && waiting === 0 ? true : undefined;
  });
/** Makes all that waits so much older: ages are told by Redis' clock, which cannot be set. */
async function age(byMs: number): Promise<void> {
  const { redis, keys, registry } = school.engine;
  for (const { name } of registry.all()) {
    const dirty = keys.dirty(0, name);
    for (const member of await redis.zrange(dirty, '0', '-1')) await redis.zadd(dirty, 'XX', 'INCR', -byMs, member);
  }
}
/** What the minute's check finds at a later time, in a process whose clock is hours behind or ahead. */
async function check(laterMs = 0): Promise<TaskResult> {
  const task = school.container.tasks.find(({ name }) => name === 'stall-check')!;
  await age(laterMs);
  try {
    return await task.run({ now: new Date(Date.now() + laterMs), progress: async () => {} });
  } finally {
    await age(-laterMs);
  }
}

beforeAll(async () => {
  refs = await refsOf(school);
  admin = school.as('admin');
});
beforeEach(() => {
  heard.length = 0;
});

describe('platform.flush.failed', () => {
  const fail = async (): Promise<string[]> => {
    const bad = [1, 2, 3].map((n) => buildHomework(refs, { title: `bad\0${n}` }));
    await Promise.all(bad.map((document) => school.engine.buffer.put('homework', document)));
    expect((await school.sync()).failed).toBe(3);
    return bad.map(({ id }) => String(id));
  };

  it('is told to admins, once an hour however many writes have failed, at night as well', async () => {
    school.clock.set('2025-09-10T23:00:00+05:30');
    const hours = [new Date().toISOString().slice(0, 13)];
    const ids = [...(await fail()), ...(await fail())];
    await idle();
    hours.push(new Date().toISOString().slice(0, 13));
    // Twice only when the hour has struck in between.
    const events = eventsOf('platform.flush.failed');
    expect(events.length).toBe(new Set(events.map(({ payload }) => payload.hour)).size);
    expect(events.length).toBeGreaterThan(0);
    for (const { payload, aggregateId } of events) {
      expect(aggregateId).toBe('homework');
      expect(payload).toMatchObject({ entity: 'homework', error: '22021' });
      expect(ids).toContain(payload.key);
      expect(hours).toContain(payload.hour);
    }
    const told = await toldTo(admin, 'platform.flush.failed');
    expect(told).toHaveLength(events.length);
    expect(told[0]).toMatchObject({ severity: 'urgent', data: { entity: 'homework', error: '22021' } });
    for (const other of ['principal01', 'teacher001', 'student0001'])
      expect(await toldTo(school.as(other), 'platform.flush.failed')).toEqual([]);
    school.clock.set('2025-09-10T08:30:00+05:30');
  });
});

describe('platform.buffer.stalled', () => {
  it('is told to admins once a day and entity, when writes wait for longer than their lane promises', async () => {
    await school.sync();
    await school.engine.buffer.put('homework', buildHomework(refs));
    // Logins and the like wait as well: what matters here is homework, whose lane promises an hour.
    await check();
    await check(HOUR_MS);
    await idle();
    expect(eventsOf('platform.buffer.stalled')).toEqual([]);
    const first = await check(HOUR_MS + 5 * 60_000);
    expect(first.stalled).toBeGreaterThan(0);
    expect(first.told).toBe(first.stalled);
    // By then what was written to tell them waits as well.
    expect((await check(HOUR_MS + 6 * 60_000)).stalled).toBeGreaterThan(0);
    await idle();
    const [event, ...more] = eventsOf('platform.buffer.stalled');
    expect(more).toEqual([]);
    expect(event!.payload.age_seconds).toBeGreaterThanOrEqual(3_900);
    expect(await toldTo(admin, 'platform.buffer.stalled')).toMatchObject([
      { severity: 'urgent', data: { entity: 'homework', minutes: '65' } },
    ]);
    expect(await toldTo(school.as('principal01'), 'platform.buffer.stalled')).toEqual([]);
    await check(26 * HOUR_MS);
    await idle();
    expect(await toldTo(admin, 'platform.buffer.stalled')).toHaveLength(2);
    await school.sync();
    await check(60 * HOUR_MS);
    await idle();
    expect(eventsOf('platform.buffer.stalled')).toHaveLength(2);
  });

  it('is told while PostgreSQL is away, which is when it happens', async () => {
    await check();
    await admin('GET', '/auth/me');
    await school.engine.buffer.put('homework', buildHomework(refs));
    const before = (await toldTo(admin, 'platform.buffer.stalled')).length;
    await whileDatabaseIsDown(school, async () => {
      await check(100 * HOUR_MS);
      await until('the notification', async () =>
        (await toldTo(admin, 'platform.buffer.stalled')).length > before ? true : undefined,
      );
    });
  });
});
