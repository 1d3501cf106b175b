import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SyncRun } from '../../queues/sync-runs.ts';
import { useHarness } from '../support/engine-harness.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { buildClub, buildClubMember, buildEvent, buildScan, testId } from '../support/test-entities.ts';

/** Entities of writes that are named for what is wrong with them. */
const NAMES: Record<string, string> = { bad: 'club', badScan: 'scan' };
const sums = (run: SyncRun) => run.stored + run.superseded + run.failed + run.left;

describe('I9: a run accounts for every write it took', () => {
  const h = useHarness({ batchSize: 7 });
  let proxy: TcpProxy;
  beforeAll(async () => {
    proxy = await TcpProxy.open(h.databaseUrl);
    const { engine } = await h.startProcess({}, { databaseUrl: proxy.url });
    await h.startWorker(engine, 4);
  });
  afterAll(() => proxy.close());

  /** Writes of some keys: the same key often, some rows bad, some children. */
  const write = fc.record({
    key: fc.nat(9),
    kind: fc.constantFrom('club', 'club', 'bad', 'member', 'event', 'scan', 'badScan'),
  });

  it('stored + superseded + failed + left = taken = what was acknowledged since the last run', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(write, { maxLength: 60, size: 'max' }), async (writes) => {
        await h.clear();
        const ids = Array.from({ length: 10 }, () => testId('club'));
        const scanIds = Array.from({ length: 10 }, () => testId('scan'));
        const bads = new Set(writes.filter(({ kind }) => kind === 'badScan').map(({ key }) => key));
        for (const id of ids) await h.put('club', buildClub({ id }));
        expect(await h.sync()).toMatchObject({ taken: 10, stored: 10 });
        for (const { key, kind } of writes) {
          const id = ids[key]!;
          if (kind === 'club') await h.put('club', buildClub({ id }));
          if (kind === 'bad') await h.put('club', buildClub({ id, size: -1 }));
          if (kind === 'member') await h.put('club_member', buildClubMember(id, { person_id: ids[0] }));
          if (kind === 'event') await h.put('event_log', buildEvent({ id }));
        }
        // Bundled ones go as requests of one moment do; some are the same, as a repeated request's are.
        const scans = writes.filter(({ kind }) => kind === 'scan' || kind === 'badScan');
        await Promise.all(
          scans.map(({ key, kind }) =>
            h.put('scan', buildScan({ id: scanIds[key], minutes: kind === 'badScan' || bads.has(key) ? -1 : 0 })),
          ),
        );
        const run = await h.sync();
        expect(run.taken).toBe(writes.length);
        expect(sums(run)).toBe(run.taken);
        for (const entity of run.entities)
          expect(entity.stored + entity.superseded + entity.failed + entity.left).toBe(entity.taken);
        const newest = new Map(
          writes.map(({ key, kind }) => [
            `${NAMES[kind] ?? kind} ${key}`,
            kind === 'scan' && bads.has(key) ? 'badScan' : kind,
          ]),
        );
        const bad = [...newest.values()].filter((kind) => kind === 'bad' || kind === 'badScan').length;
        const waiting = [...newest].filter(
          ([name]) => name.startsWith('member') && newest.get(`club ${name.split(' ')[1]}`) === 'bad',
        );
        expect(run.failed).toBe(bad);
        expect(run.stored).toBe(newest.size - bad - waiting.length);
        // The clubs were stored once before; what has come since then has not changed their size.
        expect((await h.storedEvents()).map(({ aggregate_id }) => aggregate_id).sort()).toEqual([...ids].sort());
      }),
      { numRuns: 15 },
    );
  });

  it('while others write: no write is counted in no run, and none in two', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(9), { minLength: 20, maxLength: 120, size: 'max' }), async (keys) => {
        await h.clear();
        const ids = Array.from({ length: 10 }, () => testId('club'));
        let acknowledged = 0;
        const writing = (async () => {
          for (const key of keys) {
            await h.put('club', buildClub({ id: ids[key], size: acknowledged }));
            acknowledged++;
          }
        })();
        const runs = [await h.sync(), await h.sync()];
        await writing;
        runs.push(...(await h.syncAll()));
        for (const run of runs) expect(sums(run)).toBe(run.taken);
        const taken = runs.reduce((sum, run) => sum + run.taken - run.left, 0);
        expect(taken).toBe(acknowledged);
      }),
      { numRuns: 10 },
    );
  });

  it('with the database down all is left, nothing is failed and no attempt used up; then all is stored', async () => {
    await h.clear();
    const clubs = Array.from({ length: 30 }, () => buildClub());
    for (const club of clubs) await h.put('club', club);
    for (let index = 0; index < 5; index++) await h.put('event_log', buildEvent());
    proxy.down();
    for (let round = 0; round < 3; round++) {
      const run = await h.sync();
      expect(run).toMatchObject({ taken: round === 0 ? 35 : 30, left: 30, failed: 0, stored: round === 0 ? 5 : 0 });
      expect(run.entities.find(({ entity }) => entity === 'club')!.leftReasons).toEqual(['postgres is unavailable']);
    }
    expect(await h.engine.queues['write-batches'].getFailedCount()).toBe(0);
    proxy.up();
    await h.syncAll();
    expect(await h.countRows('clubs')).toBe(30);
  });
});
