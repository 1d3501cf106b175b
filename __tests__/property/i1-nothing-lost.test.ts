import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestSync } from '../../queues/request-sync.ts';
import { useHarness } from '../support/engine-harness.ts';
import type { EngineChild } from '../support/engine-process.ts';
import { Load } from '../support/load.ts';
import { Oracle } from '../support/oracle.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** What may happen between two moments of a busy day. */
const event = fc.record({
  what: fc.constantFrom('sync', 'sync', 'kill worker', 'kill writer', 'cut database', 'database down', 'database up'),
  which: fc.nat(1),
  waitMs: fc.integer({ min: 0, max: 120 }),
});

/** Enough that most keys were last written some time before the end: a lost write is not covered by a later one. */
const CLUBS = 400;

describe('I1: an acknowledged write is never lost', () => {
  const h = useHarness();
  let proxy: TcpProxy;
  beforeAll(async () => {
    proxy = await TcpProxy.open(h.databaseUrl);
  });
  afterAll(() => proxy.close());

  it('whatever processes are killed and whenever the database goes, each is stored or in a failed write', {
    timeout: 300_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { minLength: 10, maxLength: 25, size: 'max' }),
        fc.nat(),
        async (events, seed) => {
          const oracle = new Oracle();
          const note = oracle.note.bind(oracle);
          proxy.up();
          // A batch is on its way long enough to meet newer writes of its keys.
          proxy.slow(15);
          const startWorker = () => h.startChild({ role: 'worker', databaseUrl: proxy.url });
          const startWriter = (at: number) =>
            h.startChild({ role: 'writer', clubs: CLUBS, seed: seed + at, name: `w${seed}-${at}` }, note);
          const workers: EngineChild[] = [startWorker(), startWorker()];
          const writers: EngineChild[] = [startWriter(0), startWriter(1)];
          const load = new Load(h.buffer, {
            seed,
            name: `h${seed}`,
            clients: 6,
            clubs: CLUBS,
            onAcknowledged: note,
          }).start();
          await Promise.all([...workers, ...writers].map((child) => child.ready()));
          let serial = 2;
          for (const { what, which, waitMs } of events) {
            if (what === 'sync') await requestSync(h.engine.queues, 'admin');
            if (what === 'kill worker') {
              await workers[which]!.kill();
              workers[which] = startWorker();
            }
            if (what === 'kill writer') {
              await writers[which]!.kill();
              writers[which] = startWriter(serial++);
            }
            if (what === 'cut database') proxy.cut();
            if (what === 'database down') proxy.down();
            if (what === 'database up') proxy.up();
            await delay(waitMs);
          }
          await load.stop();
          await Promise.all(writers.map((writer) => writer.kill()));
          proxy.up();
          await Promise.all(workers.map((worker) => worker.ready()));
          await h.syncAll();
          await Promise.all(workers.map((worker) => worker.kill()));
          expect(oracle.count).toBeGreaterThan(100);
          expect(await oracle.losses(h)).toEqual([]);
          expect(await h.audit()).toEqual([]);
        },
      ),
      { numRuns: 3, endOnFailure: true },
    );
  });
});
