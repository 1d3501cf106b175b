import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUCKETS, BufferKeys, bundleKey } from '../../../src/buffer/keys.ts';
import { keyOf, keyParts } from '../../../src/lib/entity.ts';
import { clubEntity, clubMemberEntity, eventLogEntity, rollEntity, scanEntity } from '../../support/test-entities.ts';

const keys = new BufferKeys('p', 6);

describe('placement', () => {
  it('finds the key again from bucket and field', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), (a, b) => {
        for (const [entity, key] of [
          [clubEntity, a],
          [eventLogEntity, b],
          [clubMemberEntity, `${a}:${b}`],
        ] as const) {
          const { bucket, field } = keys.place(entity, key);
          expect(keys.keyAt(entity, bucket, field!)).toBe(key);
        }
        const bundle = bundleKey(a, (b.charCodeAt(0) % 100) + 1);
        const { bucket, field } = keys.place(scanEntity, bundle);
        expect(keys.keyAt(scanEntity, bucket, field!)).toBe(bundle);
        const single = keys.place(scanEntity, a);
        expect(keys.keyAt(scanEntity, single.bucket, single.field!)).toBe(a);
        const sheet = `${a}:2031-05-05`;
        expect(keys.keyAt(rollEntity, keys.place(rollEntity, sheet).bucket, Buffer.from('#'))).toBe(sheet);
      }),
    );
  });

  it('puts a parent, its children and its sheets in one shard, and uses all shards', () => {
    const shards = new Set<number>();
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), (club, person) => {
        const { shard } = keys.place(clubEntity, club);
        shards.add(shard);
        expect(keys.place(clubMemberEntity, `${club}:${person}`).shard).toBe(shard);
        expect(keys.place(rollEntity, `${club}:2031-05-05`).shard).toBe(shard);
      }),
      { numRuns: 300 },
    );
    expect(shards.size).toBe(6);
  });

  it('spreads single keys over all buckets evenly enough to stay compact', () => {
    const counts = new Map<string, number>();
    fc.sample(fc.uuid(), { numRuns: 5_120, seed: 1 }).forEach((id) => {
      const { bucket } = keys.place(clubEntity, id);
      counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
    });
    expect(counts.size).toBeGreaterThan(BUCKETS * 0.9);
    expect(Math.max(...counts.values())).toBeLessThan(40);
  });

  it('tells copies, which may go at any time, from everything else', () => {
    const id = '30055117-a977-506c-828a-1bf7600fa373';
    expect(keys.isCopy(keys.warm(clubEntity, id).toString('latin1'))).toBe(true);
    expect(keys.isCopy(keys.copy('row:club:x'))).toBe(true);
    const others = [
      keys.bucket(0, 'club', '1'),
      keys.dirty(0, 'club'),
      keys.failed(0, 'club'),
      `${keys.relationPrefix(0, 'club')}district:w:`,
      keys.reservation('club', 'name', '}:a:w:'),
      keys.held(clubEntity, id),
      keys.counters(0),
      keys.cache('idem:user:key'),
      `${keys.copy('row:club:x')}:generation`,
      keys.run('run-1'),
      keys.queue('sync'),
    ];
    for (const key of others) expect(keys.isCopy(key), key).toBe(false);
  });

  it('joins and splits keys', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), (club_id, person_id) => {
        const key = keyOf(clubMemberEntity, { club_id, person_id });
        expect(keyParts(clubMemberEntity, key)).toEqual({ club_id, person_id });
      }),
    );
  });

  it('keeps the keys of two shards apart by their hash tags, and those of one together', () => {
    const tag = (key: string): string => /\{(.*?)\}/.exec(key)![1]!;
    for (const shard of [0, 5]) {
      const all = [
        keys.bucket(shard, 'club', '1'),
        keys.dirty(shard, 'club'),
        keys.failed(shard, 'club'),
        keys.counters(shard),
        keys.clock(shard),
        keys.resolved(shard),
        keys.waiters(shard, 'club', 'x'),
        keys.formats(shard),
        keys.relationPrefix(shard, 'club'),
        keys.warmPrefix(shard, 'club'),
      ];
      expect(new Set(all.map(tag))).toEqual(new Set([String(shard)]));
    }
    expect(new Set(['sync', 'write-batches', 'write-pointers'].map((name) => tag(keys.queue(name)))).size).toBe(3);
  });
});
