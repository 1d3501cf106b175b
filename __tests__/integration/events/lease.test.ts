import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import { Lease } from '../../../src/live/lease.ts';

const HOUR_MS = 3_600_000;
const redis = new Redis(process.env.REDIS_URL!);
afterAll(() => redis.disconnect());

describe('a lease', () => {
  it('is held by one at a time, and passes on when it is released', async () => {
    const key = `lease:${randomUUID()}`;
    const [one, other] = [new Lease(redis, key), new Lease(redis, key)];
    expect([await one.hold(0), await other.hold(0), await one.hold(6_000)]).toEqual([true, false, true]);
    await one.release();
    expect([await other.hold(0), await one.hold(0)]).toEqual([true, false]);
    await redis.del(key);
  });

  it('is not believed in by a process whose clock was put back', async () => {
    const key = `lease:${randomUUID()}`;
    const [one, other] = [new Lease(redis, key), new Lease(redis, key)];
    expect(await one.hold(HOUR_MS)).toBe(true);
    await redis.del(key); // it has run out
    expect(await other.hold(0)).toBe(true);
    expect(await one.hold(1)).toBe(false);
    await redis.del(key);
  });
});
