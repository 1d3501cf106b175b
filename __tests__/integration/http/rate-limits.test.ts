import Joi from 'joi';
import { afterAll, describe, expect, it } from 'vitest';
import { defineRoute, ok } from '../../../src/lib/route.ts';
import { startOwnServer } from '../../support/own-server.ts';
import { Platform, usePlatform } from '../../support/platform.ts';
import { until } from '../../support/until.ts';

const base = { service: 'things', summary: '', response: Joi.any(), mode: 'R' as const, method: 'GET' as const };
const routes = [
  defineRoute({ ...base, path: '/things', access: 'authenticated', handle: async () => ok(1) }),
  defineRoute({ ...base, path: '/entry', access: 'public', rateLimit: 'login', handle: async () => ok(1) }),
];

describe('rate limits', () => {
  const platform = usePlatform(routes, { rateLimitFactor: 1 });
  // A second process of the same deployment: nothing is shared but Redis.
  const other = new Platform(routes, { rateLimitFactor: 1 });
  afterAll(() => other.close());

  const statuses = async (count: number, call: () => Promise<{ status: number }>) => {
    const all: number[] = [];
    for (let index = 0; index < count; index++) all.push((await call()).status);
    return all;
  };

  it('let 120 requests a minute and user pass, then say when to come back', async () => {
    const all = await statuses(125, () => platform.call('GET', '/things', { as: 'teacher-a' }));
    expect(all.slice(0, 120).every((status) => status === 200)).toBe(true);
    expect(all.slice(120).every((status) => status === 429)).toBe(true);
    const { headers, body } = await platform.call('GET', '/things', { as: 'teacher-a' });
    expect(body.code).toBe('RATE_LIMITED');
    const seconds = Number(headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(headers.get('ratelimit-policy')).toBe('"default";q=120;w=60');
    expect(headers.get('ratelimit')).toBe(`"default";r=0;t=${seconds}`);
    expect((await platform.call('GET', '/things', { as: 'teacher-b' })).status).toBe(200);
  });

  it('count down in the RateLimit header', async () => {
    const left = async () =>
      Number(
        /r=(\d+)/.exec((await platform.call('GET', '/things', { as: 'teacher-c' })).headers.get('ratelimit')!)![1],
      );
    expect([await left(), await left(), await left()]).toEqual([119, 118, 117]);
  });

  it('let 10 logins a minute and address pass', async () => {
    const all = await statuses(12, () => platform.call('GET', '/entry', { as: undefined }));
    expect(all).toEqual([...Array(10).fill(200), 429, 429]);
  });

  it('count over all processes, exceeding by what one lets pass before it has asked', async () => {
    await other.open();
    // Same Redis keys as the first process.
    Object.defineProperty(other, 'prefix', { value: platform.prefix });
    await other.server.stop(0);
    await other.listen();
    const [mine, theirs] = await Promise.all(
      [platform, other].map((process) => statuses(120, () => process.call('GET', '/things', { as: 'teacher-d' }))),
    );
    const admitted = [...mine!, ...theirs!].filter((status) => status === 200).length;
    // 80 % of the limit is what one process may count by itself between two settlements.
    expect(admitted).toBeGreaterThanOrEqual(120);
    expect(admitted).toBeLessThanOrEqual(120 + 96);
    await until('the limit', async () =>
      (await other.call('GET', '/things', { as: 'teacher-d' })).status === 429 ? true : undefined,
    );
  });

  it('cost no round trip far from the limit', async () => {
    await platform.call('GET', '/things', { as: 'teacher-e' });
    const { redis } = platform;
    const send = redis.sendCommand.bind(redis);
    let commands = 0;
    redis.sendCommand = (...args) => {
      commands++;
      return send(...args);
    };
    try {
      await statuses(50, () => platform.call('GET', '/things', { as: 'teacher-e' }));
    } finally {
      redis.sendCommand = send;
    }
    expect(commands).toBeLessThan(10);
  });

  it('let a burst at one moment pass up to the limit and no further', async () => {
    const answers = await Promise.all(
      Array.from({ length: 300 }, () => platform.call('GET', '/things', { as: 'teacher-g' })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(120);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(180);
  });

  it('wait a moment for a Redis that hangs, then count alone', async () => {
    const server = await startOwnServer('redis');
    const stuck = new Platform(routes, { rateLimitFactor: 1, redisUrl: server.url });
    await stuck.open();
    try {
      server.hold();
      const startedMs = performance.now();
      const answers = await Promise.all(Array.from({ length: 200 }, () => stuck.call('GET', '/things')));
      expect(performance.now() - startedMs).toBeLessThan(5_000);
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(120);
    } finally {
      server.resume();
      await stuck.close();
      await server.close();
    }
  });

  it('let requests pass while Redis is away, each process counting for itself', async () => {
    const lonely = new Platform(routes, { rateLimitFactor: 1 });
    await lonely.open();
    await lonely.withoutRedis(async () => {
      const all = await statuses(130, () => lonely.call('GET', '/things', { as: 'teacher-f' }));
      expect(all.slice(0, 100).every((status) => status === 200)).toBe(true);
      expect(all.at(-1)).toBe(429);
    });
    await lonely.close();
  });
});
