import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { requestSync } from '../../queues/request-sync.ts';
import { VolatileBufferError } from '../../src/buffer/guard.ts';
import { useHarness } from '../support/engine-harness.ts';
import { Load, random } from '../support/load.ts';
import { Oracle } from '../support/oracle.ts';
import { startOwnServer } from '../support/own-server.ts';
import { chaosSeed } from '../support/seed.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { buildClub, clubEntity } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

const redis = await startOwnServer('redis');
afterAll(() => redis.close());

describe('FAILURES 1: Redis is killed under load and started again on its folder', () => {
  const h = useHarness({ servers: { redisUrl: redis.url } });

  it('loses nothing, and every process connects again by itself', { timeout: 90_000 }, async () => {
    const seed = chaosSeed();
    const next = random(seed);
    const oracle = new Oracle();
    const note = oracle.note.bind(oracle);
    const worker = h.startChild({ role: 'worker' });
    const writer = h.startChild({ role: 'writer', seed, name: 'other' }, note);
    await Promise.all([worker.ready(), writer.ready()]);
    let refused = 0;
    const load = new Load(h.buffer, { seed, onAcknowledged: note, onRefused: () => void refused++ }).start();
    for (let round = 0; round < 3; round++) {
      await delay(200 + next() * 300);
      await requestSync(h.engine.queues, 'admin').catch(() => {});
      await delay(next() * 60);
      await redis.kill();
      await delay(100 + next() * 300);
      await redis.start();
      const before = oracle.count;
      await until('writes to be taken again', async () => (oracle.count > before + 20 ? true : undefined));
    }
    await load.stop();
    await writer.kill();
    // The other process may have been the one that wrote again; this one's connections come back by themselves, too.
    await until('this process to be connected again', () =>
      Promise.all([h.engine.redis.ping(), requestSync(h.engine.queues, 'admin')]).then(
        () => true,
        () => undefined,
      ),
    );
    await h.syncAll();
    await worker.kill();
    expect(refused).toBeGreaterThan(0);
    expect(oracle.count).toBeGreaterThan(300);
    expect(await oracle.losses(h), `seed ${seed}`).toEqual([]);
    expect(await h.audit()).toEqual([]);
  });
});

describe('FAILURES 20: Redis stands still', () => {
  const h = useHarness({ servers: { redisUrl: redis.url } });

  it('a request fails within seconds, a repetition has one effect, and the rest goes on', {
    timeout: 60_000,
  }, async () => {
    const oracle = new Oracle();
    const club = buildClub();
    oracle.noteReceipt(clubEntity, club, (await h.put('club', club)).version);
    redis.hold();
    const startedMs = performance.now();
    await expect(h.put('club', { ...club, size: 50 })).rejects.toThrow();
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    redis.resume();
    const again = { ...club, size: 50 };
    const { version } = await until('Redis to answer', () => h.put('club', again).catch(() => undefined));
    oracle.noteReceipt(clubEntity, again, version);
    await h.startWorker();
    const runs = await h.syncAll();
    // The held write may have reached Redis after all; it counts as superseded then, not as a second row.
    expect(runs.reduce((sum, run) => sum + run.stored, 0)).toBe(1);
    expect(await h.rows('SELECT size FROM clubs')).toEqual([{ size: 50 }]);
    expect(await oracle.losses(h)).toEqual([]);
  });
});

describe('FAILURES 10: a connection to Redis goes dead', () => {
  const h = useHarness({ servers: { redisUrl: redis.url } });

  it('a worker gives it up and goes on over a new one', { timeout: 90_000 }, async () => {
    const proxy = await TcpProxy.open(redis.url);
    const worker = h.startChild({ role: 'worker', redisUrl: proxy.url });
    await worker.ready();
    await h.put('club', buildClub());
    await h.syncAll();
    const club = buildClub();
    await h.put('club', club);
    // What was open stays open and silent; new connections work.
    proxy.abandon();
    await requestSync(h.engine.queues, 'admin');
    await until('a run over new connections', async () => ((await h.dirty()).length === 0 ? true : undefined), 80_000);
    expect(await h.countRows('clubs')).toBe(2);
    await worker.kill();
    await proxy.close();
  });
});

describe('FAILURES 4: a Redis that could lose acknowledged writes', () => {
  const h = useHarness({ servers: { redisUrl: redis.url } });

  it.each([
    ['appendonly', 'no', 'yes', /append-only/],
    ['maxmemory-policy', 'allkeys-lru', 'noeviction', /allkeys-lru/],
    ['appendfsync', 'no', 'always', /appendfsync/],
  ])(
    'with %s %s the process refuses to start, and a running one alarms and takes no writes',
    async (name, bad, good, reason) => {
      await h.redis.config('SET', name, bad);
      const starting = h.startProcess();
      await expect(starting).rejects.toBeInstanceOf(VolatileBufferError);
      await expect(starting).rejects.toThrow(reason);
      const { guard } = h.engine;
      h.log.lines.length = 0;
      await guard.checkDurability();
      expect(guard.isAccepting).toBe(false);
      expect(h.log.lines).toEqual([
        expect.objectContaining({ level: 'error', message: 'redis could lose acknowledged writes' }),
      ]);
      // Whoever says that loss is acceptable gets it.
      const volatile = await h.startProcess({
        guard: { allowVolatile: true, requiredFsync: 'any', softShare: 0.7, hardShare: 0.9, fallbackBytes: 2 ** 30 },
      });
      expect(volatile.engine.guard.isAccepting).toBe(true);
      await volatile.close();
      await h.redis.config('SET', name, good);
      await guard.checkDurability();
      expect(guard.isAccepting).toBe(true);
    },
  );
});
