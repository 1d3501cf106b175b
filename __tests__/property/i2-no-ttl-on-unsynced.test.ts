import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failedWriteId } from '../../src/buffer/failed-writes.ts';
import type { Document } from '../../src/lib/entity.ts';
import { EVERYTHING } from '../../src/lib/reach.ts';
import { type EngineHarness, useHarness } from '../support/engine-harness.ts';
import {
  buildClub,
  buildClubMember,
  buildEvent,
  buildMark,
  buildRoll,
  buildScan,
  testId,
} from '../support/test-entities.ts';

const CLUBS = 3;

interface World {
  h: EngineHarness;
  clubs: string[];
}

/** What may happen to a buffered write; afterwards no key that a database lacks may have a TTL. */
const STEPS: Record<string, (world: World, club: string, value: number) => Promise<unknown>> = {
  put: ({ h }, id, size) => h.put('club', buildClub({ id, size })),
  putBad: ({ h }, id) => h.put('club', buildClub({ id, size: -1 })),
  putUnique: ({ h }, id, size) => h.putUnique('club', buildClub({ id, size, name: `${id.slice(0, 20)} ${size}` })),
  remove: ({ h }, id) => h.remove('club', buildClub({ id })),
  putChild: ({ h }, id) => h.put('club_member', buildClubMember(id)),
  putMarks: ({ h }, id) => h.buffer.putSheet('roll', `${id}:2031-05-05`, buildRoll(id), [buildMark()]),
  putBadMarks: ({ h }, id) =>
    h.buffer.putSheet('roll', `${id}:2031-05-05`, buildRoll(id), [buildMark({ minutes: -1 })]),
  putEvent: ({ h }) => h.put('event_log', buildEvent()),
  putScans: ({ h }) => Promise.all([buildScan(), buildScan()].map((scan) => h.put('scan', scan))),
  putBadScan: ({ h }) => Promise.all([buildScan(), buildScan({ minutes: -1 })].map((scan) => h.put('scan', scan))),
  flushScans: async ({ h }) => {
    for await (const keys of h.buffer.dirtyKeys('scan', 0)) await h.flush('scan', keys);
  },
  flushClub: ({ h }, id) => h.flush('club', [id]),
  flushChildren: async ({ h }) => {
    for await (const keys of h.buffer.dirtyKeys('club_member', 0)) await h.flush('club_member', keys);
  },
  flushRoll: ({ h }, id) => h.flush('roll', [`${id}:2031-05-05`]),
  repair: async ({ h }, id, size) => {
    const record = await h.engine.failedWrites.get(failedWriteId('club', id));
    if (record) await h.engine.failedWrites.repair(record, buildClub({ id, size }));
  },
  replay: ({ h }, id) => h.engine.batchWriter.write('club', [id], { replayJobId: 'by-hand' }),
  discard: async ({ h }, id) => {
    const record = await h.engine.failedWrites.get(failedWriteId('club', id));
    if (record) await h.engine.failedWrites.discard(record, 'admin001', 'not wanted', Date.now());
  },
  read: ({ h }, id) => h.reader.get('club', id, EVERYTHING),
};

describe('I2: data not yet in the database never has a TTL', () => {
  const h = useHarness({ settings: { warmSeconds: 5 } });

  it('after every step of every history; and counters, indexes and records agree', async () => {
    const step = fc.tuple(fc.constantFrom(...Object.keys(STEPS)), fc.nat(CLUBS - 1), fc.nat(3));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), async (steps) => {
        const world: World = { h, clubs: Array.from({ length: CLUBS }, () => testId('club')) };
        for (const [name, at, value] of steps) {
          await STEPS[name]!(world, world.clubs[at]!, value);
          expect(await h.audit(), `after ${name}`).toEqual([]);
        }
        for (const record of await h.engine.failedWrites.list())
          await h.engine.failedWrites.discard(record, 'admin001', 'end', Date.now());
        await flushAll();
        await flushAll();
        // Everything is stored: only what a database has as well may remain, and that goes by itself.
        for (const { entries } of await h.buffer.stats()) expect(entries).toBe(0);
        await h.clear();
      }),
      { numRuns: 25 },
    );
  });

  async function flushAll(): Promise<void> {
    for (const entity of ['club', 'club_member', 'roll', 'event_log', 'scan']) {
      for await (const keys of h.buffer.dirtyKeys(entity, 0)) if (keys.length > 0) await h.flush(entity, keys);
    }
    // Children whose parent was never written are refused by the database.
    for (const record of await h.engine.failedWrites.list())
      await h.engine.failedWrites.discard(record, 'admin001', 'end', Date.now());
  }

  it('a warm copy has one, and the entry it was made of is gone', async () => {
    const club: Document = buildClub();
    await h.put('club', club);
    const warm = h.engine.keys.warm(h.engine.registry.get('club'), String(club.id));
    expect(await h.redis.exists(warm)).toBe(0);
    await h.flush('club', [String(club.id)]);
    expect(await h.redis.ttl(warm)).toBeGreaterThan(0);
    expect(await h.buffer.get('club', String(club.id))).toBeUndefined();
  });
});
