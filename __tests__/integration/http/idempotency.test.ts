import { randomUUID } from 'node:crypto';
import Joi from 'joi';
import { beforeEach, describe, expect, it } from 'vitest';
import { UnprocessableError } from '../../../src/errors/catalogue.ts';
import { Idempotency } from '../../../src/http/idempotency.ts';
import { defineRoute, type RequestContext, written } from '../../../src/lib/route.ts';
import { usePlatform } from '../../support/platform.ts';
import { receipt } from '../../support/receipts.ts';

interface Order {
  item: string;
}

/** What the route under test does next; each test says. */
let work: (ctx: RequestContext) => Promise<void> = async () => {};
/** Ids under which something was written: what took effect. */
let effects: string[] = [];

const body = Joi.object<Order>({ item: Joi.string().required() });
const order = async (ctx: RequestContext<unknown, unknown, Order>) => {
  const ids = [ctx.newId(), ctx.newId()];
  effects.push(...ids);
  await work(ctx);
  return written({ ids, at: ctx.now.toISOString() }, [receipt], { location: `/api/v1/orders/${ids[0]}` });
};
const base = {
  service: 'orders',
  summary: '',
  response: Joi.any(),
  mode: 'B' as const,
  access: 'authenticated' as const,
  body,
};

const routes = [
  defineRoute<Record<string, never>, Record<string, never>, Order>({
    ...base,
    method: 'POST',
    path: '/orders',
    handle: order,
  }),
  defineRoute<Record<string, never>, Record<string, never>, Order>({
    ...base,
    method: 'POST',
    path: '/payments',
    idempotency: 'required',
    handle: order,
  }),
  defineRoute<Record<string, never>, Record<string, never>, Order>({
    ...base,
    method: 'PUT',
    path: '/orders',
    handle: order,
  }),
];

const DAY_MS = 86_400_000;

describe('I8: the same request sent twice takes effect once', () => {
  const platform = usePlatform(routes);
  const send = (key: string | undefined, item = 'pen', { as = 'teacher', path = '/orders', method = 'POST' } = {}) =>
    platform.call(method, path, { as, body: { item }, headers: key === undefined ? {} : { 'idempotency-key': key } });

  beforeEach(() => {
    work = async () => {};
    effects = [];
  });

  it('a repetition gets the first answer with its headers, and says so', async () => {
    const key = randomUUID();
    const first = await send(key);
    platform.nowMs += 60_000;
    const second = await send(key);
    expect(second.status).toBe(202);
    expect(second.body).toEqual(first.body);
    for (const name of ['etag', 'location', 'sync-status'])
      expect(second.headers.get(name)).toBe(first.headers.get(name));
    expect([first, second].map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, 'true']);
    expect(effects).toHaveLength(2);
  });

  it('the record lives for 24 hours', async () => {
    const key = randomUUID();
    await send(key);
    const seconds = await platform.redis.ttl(`${platform.prefix}:idem:user-teacher:${key}`);
    expect(seconds).toBeGreaterThan(86_000);
    expect(seconds).toBeLessThanOrEqual(86_400);
  });

  it('without a key each request is one of its own', async () => {
    const [first, second] = [await send(undefined), await send(undefined)];
    expect(second.body.data.ids).not.toEqual(first.body.data.ids);
  });

  it('a key belongs to one user', async () => {
    const key = randomUUID();
    const [mine, yours] = [await send(key), await send(key, 'pen', { as: 'teacher-2' })];
    expect(yours.headers.get('idempotency-replayed')).toBeNull();
    expect(yours.body.data.ids).not.toEqual(mine.body.data.ids);
  });

  it.each([
    ['another body', 'ruler', '/orders'],
    ['another path', 'pen', '/payments'],
  ])('a key with %s is a mismatch', async (_what, item, path) => {
    const key = randomUUID();
    await send(key);
    const { status, body: problem } = await send(key, item, { path });
    expect({ status, code: problem.code }).toEqual({ status: 409, code: 'IDEMPOTENCY_MISMATCH' });
    expect(effects).toHaveLength(2);
  });

  it('while the first is running the second is told to wait', async () => {
    const key = randomUUID();
    let finish = () => {};
    const running = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const started = new Promise<void>((resolve) => {
      work = () => {
        resolve();
        return running;
      };
    });
    const first = send(key);
    await started;
    const second = await send(key);
    expect({ status: second.status, code: second.body.code, wait: second.headers.get('retry-after') }).toEqual({
      status: 409,
      code: 'IDEMPOTENCY_IN_PROGRESS',
      wait: '1',
    });
    finish();
    expect((await first).status).toBe(202);
    expect((await send(key)).headers.get('idempotency-replayed')).toBe('true');
    expect(effects).toHaveLength(2);
  });

  it('of many at the same time one runs', async () => {
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(key)));
    expect(effects).toHaveLength(2);
    for (const { status, body: answer } of answers)
      expect([202, 'IDEMPOTENCY_IN_PROGRESS']).toContain(status === 202 ? 202 : answer.code);
  });

  describe('when the first process died after its write and before its answer', () => {
    /** The record as a killed process leaves it: an attempt of somebody who says nothing any more. */
    async function leaveBehind(key: string, firstAtMs: number, owner: string): Promise<{ ids: string[]; now: Date }> {
      const lost = new Idempotency(platform.redis, (user, name) => `${platform.prefix}:idem:${user}:${name}`);
      const attempt = await lost.begin('user-teacher', key, ['POST', '/api/v1/orders', { item: 'pen' }], firstAtMs);
      lost.close();
      const redisKey = `${platform.prefix}:idem:user-teacher:${key}`;
      const record = JSON.parse((await platform.redis.get(redisKey))!);
      await platform.redis.set(redisKey, JSON.stringify({ ...record, owner: owner || record.owner }), 'KEEPTTL');
      return { ids: [attempt.newId(), attempt.newId()], now: attempt.now };
    }

    it('the repetition takes over at once with the same ids and the same time', async () => {
      const key = randomUUID();
      const { ids, now } = await leaveBehind(key, platform.nowMs - 5_000, 'a process that is gone');
      const { status, body: answer } = await send(key);
      expect(status).toBe(202);
      expect(answer.data).toEqual({ ids, at: now.toISOString() });
    });

    it('a process that lives but has lost it keeps it for 30 seconds', async () => {
      const key = randomUUID();
      const { ids } = await leaveBehind(key, platform.nowMs, '');
      const age = (ms: number) => platform.redis.pexpire(`${platform.prefix}:idem:user-teacher:${key}`, DAY_MS - ms);
      await age(29_000);
      expect((await send(key)).body.code).toBe('IDEMPOTENCY_IN_PROGRESS');
      await age(31_000);
      expect((await send(key)).body.data.ids).toEqual(ids);
    });

    it.each([2, -2])('a process whose clock is %i hours apart takes over when others would', async (hours) => {
      const [running, lost] = [randomUUID(), randomUUID()];
      await leaveBehind(running, platform.nowMs - hours * 3_600_000, '');
      expect((await send(running)).body.code).toBe('IDEMPOTENCY_IN_PROGRESS');
      const { ids } = await leaveBehind(lost, platform.nowMs - hours * 3_600_000, '');
      await platform.redis.pexpire(`${platform.prefix}:idem:user-teacher:${lost}`, DAY_MS - 31_000);
      expect((await send(lost)).body.data.ids).toEqual(ids);
    });

    it('of many repetitions one takes over', async () => {
      const key = randomUUID();
      await leaveBehind(key, platform.nowMs, 'a process that is gone');
      const answers = await Promise.all(Array.from({ length: 10 }, () => send(key)));
      expect(effects).toHaveLength(2);
      expect(
        answers.filter(({ headers, status }) => status === 202 && headers.get('idempotency-replayed') === null),
      ).toHaveLength(1);
    });
  });

  it('what broke may have had part of its effect: the next attempt goes on with the same ids', async () => {
    const key = randomUUID();
    work = async () => {
      throw new Error('the second write failed');
    };
    expect((await send(key)).status).toBe(500);
    work = async () => {};
    const { status, body: answer } = await send(key);
    expect(status).toBe(202);
    expect(answer.data.ids).toEqual(effects.slice(0, 2));
  });

  it('what a rule refused had no effect: the key may be used again', async () => {
    const key = randomUUID();
    work = async () => {
      throw new UnprocessableError('not on Sundays');
    };
    expect((await send(key)).status).toBe(422);
    work = async () => {};
    expect((await send(key, 'ruler')).status).toBe(202);
  });

  it('a request that its fields refuse does not use its key up', async () => {
    const key = randomUUID();
    expect(
      (await platform.call('POST', '/orders', { body: { thing: 1 }, headers: { 'idempotency-key': key } })).status,
    ).toBe(400);
    expect((await send(key)).status).toBe(202);
  });

  it('cannot be promised while Redis is away: 503, and nothing takes effect', async () => {
    await platform.withoutRedis(async () => {
      const { status, headers, body: problem } = await send(randomUUID());
      expect({ status, code: problem.code, wait: headers.get('retry-after') }).toEqual({
        status: 503,
        code: 'BUFFER_UNAVAILABLE',
        wait: '5',
      });
    });
    expect(effects).toEqual([]);
    expect((await send(randomUUID())).status).toBe(202);
  });

  it('is demanded where money moves', async () => {
    const { status, body: problem } = await send(undefined, 'pen', { path: '/payments' });
    expect({ status, code: problem.code }).toEqual({ status: 400, code: 'IDEMPOTENCY_KEY_REQUIRED' });
    expect((await send(randomUUID(), 'pen', { path: '/payments' })).status).toBe(202);
  });

  it.each(['', 'has blanks', 'x'.repeat(201), 'ümlaut'])('refuses the key "%s"', async (key) => {
    expect((await send(key)).body.code).toBe('MALFORMED_REQUEST');
  });

  it('is nothing to a PUT, which may be repeated anyway', async () => {
    const key = randomUUID();
    await send(key, 'pen', { method: 'PUT' });
    expect((await send(key, 'ruler', { method: 'PUT' })).headers.get('idempotency-replayed')).toBeNull();
  });
});
