import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { replay } from '../../queues/failed-jobs.ts';
import { failedWriteId } from '../../src/buffer/failed-writes.ts';
import { ValueTakenError } from '../../src/buffer/reservations.ts';
import { EVERYTHING } from '../../src/lib/reach.ts';
import { createSyncNeed } from '../../src/sync-need.ts';
import { useHarness } from '../support/engine-harness.ts';
import { buildClub, buildClubMember, NAME_LENGTH, testId } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

const HOURS_MS = 3_600_000;

describe('FAILURES 12: one bad row in a hundred', () => {
  const h = useHarness();
  beforeAll(async () => void (await h.startWorker()));

  it('the other 99 are stored in this run; the bad one is visible, repaired, replayed and stored', async () => {
    const clubs = Array.from({ length: 100 }, (_, index) =>
      buildClub(index === 41 ? { name: 'x'.repeat(NAME_LENGTH + 1) } : {}),
    );
    for (const club of clubs) await h.put('club', club);
    expect(await h.sync()).toMatchObject({ taken: 100, stored: 99, failed: 1, left: 0 });
    const id = String(clubs[41]!.id);
    const record = (await h.engine.failedWrites.get(failedWriteId('club', id)))!;
    expect(record).toMatchObject({ code: '23514', constraint: 'clubs_name_check' });
    await replay(
      h.engine.queues,
      h.engine.failedWrites,
      await h.engine.failedWrites.repair(record, { ...clubs[41], name: 'Short' }),
    );
    await until('the repaired row', async () => ((await h.countRows('clubs')) === 100 ? true : undefined));
  });
});

describe('FAILURES 13: the same key many times, and families', () => {
  const h = useHarness();
  beforeAll(async () => void (await h.startWorker()));

  it('five hundred writes of a key are one row', async () => {
    const club = buildClub();
    for (let size = 1; size <= 500; size++) await h.put('club', { ...club, size });
    expect(await h.sync()).toMatchObject({ taken: 500, stored: 1, superseded: 499 });
    expect(await h.rows('SELECT size FROM clubs WHERE id = ?', [club.id])).toEqual([{ size: 500 }]);
  });

  it('a parent deleted before its child was stored: both end, in order, and nothing fails', async () => {
    const club = buildClub();
    const member = buildClubMember(String(club.id));
    await h.put('club_member', member);
    await h.put('club', club);
    await h.remove('club', club);
    expect(await h.sync()).toMatchObject({ stored: 2, failed: 0, left: 0 });
    expect(await h.reader.get('club', String(club.id), EVERYTHING)).toBeUndefined();
  });

  it('a child whose parent never existed fails alone, with the reason', async () => {
    const good = buildClub();
    await h.put('club', good);
    await h.put('club_member', buildClubMember(String(good.id)));
    const orphan = buildClubMember(testId('nobody'));
    await h.put('club_member', orphan);
    expect(await h.sync()).toMatchObject({ stored: 2, failed: 1 });
    expect(
      await h.engine.failedWrites.get(failedWriteId('club_member', `${orphan.club_id}:${orphan.person_id}`)),
    ).toMatchObject({ code: '23503' });
  });
});

describe('FAILURES 14: two processes take the same unique value at once', () => {
  const h = useHarness();

  it('exactly one is acknowledged, and its row is stored', async () => {
    const other = await h.startProcess();
    const winners: string[] = [];
    for (let round = 0; round < 20; round++) {
      const name = `Club of round ${round}`;
      const clubs = [buildClub({ name }), buildClub({ name })];
      const [mine, theirs] = await Promise.allSettled([
        h.putUnique('club', clubs[0]!),
        h.putUnique('club', clubs[1]!, other),
      ]);
      expect([mine.status, theirs.status].sort()).toEqual(['fulfilled', 'rejected']);
      for (const outcome of [mine, theirs])
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ValueTakenError);
      winners.push(String(clubs[mine.status === 'fulfilled' ? 0 : 1]!.id));
    }
    await h.startWorker();
    await h.syncAll();
    expect(await h.engine.failedWrites.list()).toEqual([]);
    expect((await h.rows('SELECT id FROM clubs')).map(({ id }) => id).sort()).toEqual(winners.sort());
  });
});

describe('FAILURES 18: clocks hours apart, and a change of daylight saving', () => {
  const h = useHarness();
  afterEach(() => void vi.useRealTimers());
  const shift = (ms: number) => {
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms });
  };

  it('order and age come from the time of Redis', async () => {
    const club = buildClub();
    const redisMs = async (): Promise<number> => Number((await h.redis.time())[0]) * 1000;
    let last = 0;
    for (const offset of [2 * HOURS_MS, -2 * HOURS_MS, 0, -2 * HOURS_MS, 2 * HOURS_MS]) {
      shift(offset);
      const { version } = await h.put('club', { ...club, size: Math.abs(offset) / HOURS_MS });
      expect(version).toBeGreaterThan(last);
      expect(Math.abs(version / 1000 - (await redisMs()))).toBeLessThan(5_000);
      last = version;
    }
    const entry = await h.buffer.get('club', String(club.id));
    expect(entry?.header.writes).toBe(5);
    expect(Math.abs(entry!.header.firstWriteMs - (await redisMs()))).toBeLessThan(10_000);
    const [stats] = (await h.buffer.stats()).filter(({ entity }) => entity === 'club');
    expect(Math.abs(stats!.oldestMs! - (await redisMs()))).toBeLessThan(10_000);
    // Whose clock is ahead does not think that its promise is about to be broken, nor does one that is behind miss it.
    const needsSync = createSyncNeed(h.engine, HOURS_MS);
    shift(2 * HOURS_MS);
    expect(await needsSync()).toBeUndefined();
    shift(-2 * HOURS_MS);
    const dirty = h.engine.keys.dirty(0, 'club');
    const members = await h.redis.zrange(dirty, '0', '-1');
    for (const member of members) await h.redis.zincrby(dirty, -HOURS_MS, member);
    expect(await needsSync()).toBe('age');
    await h.flush('club', [String(club.id)]);
    expect(await h.rows('SELECT size, version FROM clubs')).toEqual([{ size: 2, version: last }]);
  });

  it('a clock of Redis that goes back does not hand out a version twice', async () => {
    const club = buildClub();
    const { version } = await h.put('club', club);
    // What the shard has handed out counts, whatever time it is: an hour ahead of the clock here.
    const ahead = version + HOURS_MS * 1000;
    await h.redis.set(h.engine.keys.clock(0), String(ahead));
    expect((await h.put('club', { ...club, size: 1 })).version).toBe(ahead + 1);
    expect((await h.put('club', buildClub())).version).toBe(ahead + 2);
  });

  it('instants around the change of daylight saving come back as they went in', async () => {
    const instants = [
      '2031-03-30T00:59:59.999Z',
      '2031-03-30T01:00:00.000Z',
      '2031-10-26T00:30:00.000Z',
      '2031-10-26T01:30:00.000Z',
    ];
    for (const opens_at of instants) {
      const club = buildClub({ opens_at });
      await h.put('club', club);
      await h.flush('club', [String(club.id)]);
      expect((await h.rows('SELECT opens_at FROM clubs WHERE id = ?', [club.id]))[0]!.opens_at).toBe(opens_at);
    }
  });
});
