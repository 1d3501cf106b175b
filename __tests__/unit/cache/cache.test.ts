import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cache } from '../../../src/cache/cache.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const redis = new Redis(process.env.REDIS_URL!);
const prefix = `c${randomBytes(5).toString('hex')}`;
const DEFAULT_SECONDS = 500;
const hits: boolean[] = [];
const keyOf = (name: string): string => `{${prefix}:${name}}`;
const createCache = () =>
  new Cache({ redis, keyOf, ttlSeconds: DEFAULT_SECONDS, observe: (_name, isHit) => hits.push(isHit) });
const cache = createCache();

/** A loader that answers when it is told to. */
function gate<T>() {
  const waiting: ((value: T) => void)[] = [];
  let calls = 0;
  return {
    load: () => {
      calls++;
      return new Promise<T>((resolve) => waiting.push(resolve));
    },
    calls: () => calls,
    started: (count: number) => until(`${count} loaders`, async () => (calls >= count ? true : undefined)),
    answer: (value: T) => waiting.shift()!(value),
  };
}

describe('cache', () => {
  afterAll(async () => {
    for await (const keys of redis.scanStream({ match: `*${prefix}*` })) if (keys.length > 0) await redis.del(...keys);
    redis.disconnect();
  });

  it('asks the loader once for all that miss at a time', async () => {
    const { load, calls, started, answer } = gate<number>();
    const spec = { name: 'single', ttlSeconds: 60, load };
    const all = Promise.all(Array.from({ length: 20 }, () => cache.get(spec)));
    await started(1);
    // All have missed by now or join the load that is under way.
    answer(7);
    expect((await all).map(({ value }) => value)).toEqual(Array(20).fill(7));
    expect(calls()).toBe(1);
  });

  it('answers from Redis while it is fresh, in any process', async () => {
    const spec = { name: 'from_redis', ttlSeconds: 60, load: async () => ({ deep: [1, null, 'ä'] }) };
    expect(await cache.get(spec)).toMatchObject({ source: 'loader' });
    const other = await createCache().get({ ...spec, load: async () => ({ deep: [] }) });
    expect(other).toEqual({ value: { deep: [1, null, 'ä'] }, source: 'cache' });
  });

  it('keeps an answer no longer than it says it holds', async () => {
    let nowMs = Date.now();
    const timed = new Cache({ redis, keyOf, ttlSeconds: DEFAULT_SECONDS, nowMs: () => nowMs });
    let calls = 0;
    const look = (seconds: number) =>
      timed.get({ name: 'holds', mostSeconds: () => seconds, load: async () => ++calls }).then(({ value }) => value);
    expect(await look(0)).toBe(1);
    expect(await look(30)).toBe(2);
    nowMs += 29_999;
    expect(await look(30)).toBe(2);
    nowMs += 1;
    expect(await look(30)).toBe(3);
  });

  it('keeps shared answers in the process, for as long as they hold and no longer', async () => {
    let nowMs = Date.now();
    const [one, other] = [0, 1].map(
      () => new Cache({ redis, keyOf, ttlSeconds: DEFAULT_SECONDS, nowMs: () => nowMs }),
    ) as [Cache, Cache];
    let source = { name: 'old' };
    const look = (of: Cache) => of.get({ name: 'shared', isShared: true, load: async () => source });
    await look(one);
    const first = (await look(one)).value;
    expect((await look(one)).value).toBe(first);
    source = { name: 'new' };
    await other.drop('shared');
    expect((await look(one)).value).toEqual({ name: 'new' });
    await look(one);
    source = { name: 'newer' };
    nowMs += DEFAULT_SECONDS * 1_200;
    expect((await look(one)).value).toEqual({ name: 'newer' });
  });

  it('does not keep an answer that was loaded before a drop', async () => {
    const { load, started, answer } = gate<string>();
    const reading = cache.get({ name: 'dropped', ttlSeconds: 60, load });
    await started(1);
    await cache.drop('dropped');
    answer('old');
    expect((await reading).value).toBe('old');
    expect(await cache.get({ name: 'dropped', ttlSeconds: 60, load: async () => 'new' })).toEqual({
      value: 'new',
      source: 'loader',
    });
  });

  it('does not hand a load from before a drop to those who come after it', async () => {
    const { load, started, answer } = gate<string>();
    const before = cache.get({ name: 'joined', ttlSeconds: 60, load });
    await started(1);
    await cache.drop('joined');
    const after = cache.get({ name: 'joined', ttlSeconds: 60, load });
    await started(2);
    answer('old');
    answer('new');
    expect((await before).value).toBe('old');
    expect((await after).value).toBe('new');
  });

  it('lets a stale answer stand in when the loader fails, and says why', async () => {
    const spec = { name: 'stale', ttlSeconds: 0.05, staleSeconds: 60 };
    await cache.get({ ...spec, load: async () => 'kept' });
    const failing = { ...spec, load: () => Promise.reject(new Error('database is down')) };
    const answer = await until('the answer to go stale', async () => {
      const found = await cache.get(failing);
      return found.staleBecause ? found : undefined;
    });
    expect(answer).toMatchObject({ value: 'kept', source: 'cache', staleBecause: new Error('database is down') });
    await expect(cache.get({ ...failing, name: 'never loaded' })).rejects.toThrow('database is down');
  });

  it('serves no answer of another state of the source, not even when the loader fails', async () => {
    const spec = { name: 'stamped', ttlSeconds: 60, staleSeconds: 60 };
    await cache.get({ ...spec, stamp: 1, load: async () => 'first' });
    expect(await cache.get({ ...spec, stamp: 1, load: async () => 'never asked' })).toMatchObject({
      value: 'first',
      source: 'cache',
    });
    const down = () => Promise.reject(new Error('database is down'));
    await expect(cache.get({ ...spec, stamp: 2, load: down })).rejects.toThrow('database is down');
    expect(await cache.get({ ...spec, stamp: 2, load: async () => 'second' })).toMatchObject({
      value: 'second',
      source: 'loader',
    });
    expect(await cache.get({ ...spec, stamp: 2, load: down })).toMatchObject({ value: 'second', source: 'cache' });
  });

  it('does not let a load of one state answer for another', async () => {
    const { load, started, answer } = gate<string>();
    const old = cache.get({ name: 'states', ttlSeconds: 60, stamp: 1, load });
    await started(1);
    expect((await cache.get({ name: 'states', ttlSeconds: 60, stamp: 2, load: async () => 'new' })).value).toBe('new');
    answer('old');
    expect((await old).value).toBe('old');
  });

  it('drops the answers of a group together, stamped ones too', async () => {
    const specs = [
      { name: 'member1', group: 'all', ttlSeconds: 60 },
      { name: 'member2', group: 'all', stamp: 4, ttlSeconds: 60 },
    ];
    const sources = () =>
      Promise.all(specs.map(async (spec) => (await cache.get({ ...spec, load: async () => 1 })).source));
    expect(await sources()).toEqual(['loader', 'loader']);
    expect(await sources()).toEqual(['cache', 'cache']);
    await cache.drop('all');
    expect(await sources()).toEqual(['loader', 'loader']);
  });

  it('keeps nothing of a group behind a fence: neither what was there nor what is loaded meanwhile', async () => {
    const spec = { name: 'fenced', group: 'fence', ttlSeconds: 60 };
    const { load, started, answer } = gate<string>();
    const before = cache.get({ ...spec, load });
    await started(1);
    await cache.fence('fence');
    answer('before the change');
    await before;
    const during = await cache.get({ ...spec, load: async () => 'during the change' });
    // Nothing drops it again: the process that changed it is gone.
    const after = await cache.get({ ...spec, load: async () => 'after the change' });
    expect([during.value, after.value]).toEqual(['during the change', 'after the change']);
    expect(await redis.ttl(`${keyOf('fence')}:fence`)).toBeGreaterThan(0);
    await redis.del(`${keyOf('fence')}:fence`); // its time is over
    expect((await cache.get({ ...spec, load: async () => 'later' })).source).toBe('loader');
  });

  it('keeps nothing while there is no room', async () => {
    const full = new Cache({ redis, keyOf, ttlSeconds: DEFAULT_SECONDS, mayStore: () => false });
    await full.get({ name: 'full', ttlSeconds: 60, load: async () => 1 });
    expect(await redis.exists(keyOf('full'))).toBe(0);
  });

  it('spreads expiry', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `spread${index}`);
    await Promise.all(names.map((name) => cache.get({ name, ttlSeconds: 1_000, load: async () => 1 })));
    const ttls = await Promise.all(names.map((name) => redis.ttl(keyOf(name))));
    expect(Math.min(...ttls)).toBeGreaterThanOrEqual(898);
    expect(Math.max(...ttls)).toBeLessThanOrEqual(1_101);
    expect(new Set(ttls).size).toBeGreaterThan(10);
  });

  it('keeps an answer for the default time unless its kind says otherwise', async () => {
    await cache.get({ name: 'ordinary', load: async () => 1 });
    const seconds = await redis.ttl(keyOf('ordinary'));
    expect(seconds).toBeGreaterThanOrEqual(DEFAULT_SECONDS * 0.9 - 2);
    expect(seconds).toBeLessThanOrEqual(DEFAULT_SECONDS * 1.1 + 1);
  });

  it('counts hits and misses', async () => {
    hits.length = 0;
    const spec = { name: 'counted', ttlSeconds: 60, load: async () => 1 };
    await cache.get(spec);
    await cache.get(spec);
    expect(hits).toEqual([false, true]);
  });

  it('works without Redis: slower, not broken', async () => {
    const away = new Redis(1, {
      lazyConnect: true,
      enableOfflineQueue: false,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
    });
    away.on('error', () => {});
    const answer = await new Cache({ redis: away, keyOf, ttlSeconds: DEFAULT_SECONDS }).get({
      name: 'any',
      ttlSeconds: 60,
      load: async () => 'from the database',
    });
    expect(answer).toEqual({ value: 'from the database', source: 'loader' });
    away.disconnect();
  });

  describe('with its answers on a server of their own', () => {
    let wire: TcpProxy;
    let answers: Redis;
    let apart: Cache;
    const connected = () => until('the connection', async () => (answers.status === 'ready' ? true : undefined));

    beforeAll(async () => {
      wire = await TcpProxy.open(process.env.REDIS_URL!);
      answers = new Redis(wire.url, {
        enableOfflineQueue: false,
        maxRetriesPerRequest: 0,
        retryStrategy: () => 20,
        // One server plays both; the prefix tells who has put what.
        keyPrefix: `${prefix}:apart:`,
      });
      answers.on('error', () => {});
      apart = new Cache({ redis, answers, keyOf, ttlSeconds: DEFAULT_SECONDS });
      await connected();
    });
    afterAll(async () => {
      answers.disconnect();
      await wire.close();
    });

    it('keeps them there and nowhere else', async () => {
      const spec = { name: 'elsewhere', ttlSeconds: 60, load: async () => 1 };
      await apart.get(spec);
      expect(await apart.get(spec)).toMatchObject({ source: 'cache' });
      expect(await redis.exists(keyOf('elsewhere'))).toBe(0);
    });

    it('asks the loader when one was evicted', async () => {
      const spec = { name: 'evicted', ttlSeconds: 60, load: async () => 'kept' };
      await apart.get(spec);
      await answers.del(keyOf('evicted'));
      expect(await apart.get({ ...spec, load: async () => 'again' })).toEqual({ value: 'again', source: 'loader' });
    });

    it('asks the loader while that server is away, and fails neither a read nor a drop', async () => {
      await apart.get({ name: 'away', ttlSeconds: 60, load: async () => 'kept' });
      wire.down();
      await until('the end of the connection', async () => (answers.status === 'ready' ? undefined : true));
      try {
        const answer = await apart.get({ name: 'away', ttlSeconds: 60, load: async () => 'from the database' });
        expect(answer).toEqual({ value: 'from the database', source: 'loader' });
        await apart.drop('away');
      } finally {
        wire.up();
        await connected();
      }
    });

    it('serves none that was dropped while it was out of reach', async () => {
      const spec = { name: 'unreachable', ttlSeconds: 60, staleSeconds: 60 };
      await apart.get({ ...spec, load: async () => 'old' });
      wire.down();
      await until('the end of the connection', async () => (answers.status === 'ready' ? undefined : true));
      await apart.drop('unreachable');
      wire.up();
      await connected();
      const down = () => Promise.reject(new Error('database is down'));
      await expect(apart.get({ ...spec, load: down })).rejects.toThrow('database is down');
      expect(await apart.get({ ...spec, load: async () => 'new' })).toEqual({ value: 'new', source: 'loader' });
      expect(await apart.get({ ...spec, load: down })).toMatchObject({ value: 'new', source: 'cache' });
    });

    it('forgets none before the mark of its drop', async () => {
      await apart.get({ name: 'long', ttlSeconds: 30 * 86_400, load: async () => 1 });
      await apart.drop('long');
      const markSeconds = await redis.ttl(`${keyOf('long')}:generation`);
      await apart.get({ name: 'long', ttlSeconds: 30 * 86_400, staleSeconds: 86_400, load: async () => 2 });
      expect(await answers.ttl(keyOf('long'))).toBeLessThan(markSeconds);
    });
  });
});
