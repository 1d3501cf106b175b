import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { requestSync } from '../../queues/request-sync.ts';
import { WRITE_BATCHES } from '../../queues/write-batches.queue.ts';
import { type EngineHarness, useHarness } from '../support/engine-harness.ts';
import { Oracle } from '../support/oracle.ts';
import { buildClub, clubEntity, testId } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

/** Resolves when a statement waits for a lock. */
const waitsForLock = (h: EngineHarness): Promise<true> =>
  until('a statement to wait for the lock', async () => {
    const rows = await h.rows(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    return rows.length > 0 ? true : undefined;
  });

describe('FAILURES 7: a worker is killed in the middle of a batch', () => {
  const h = useHarness();

  it.each(['before write', 'after write', 'while clearing'] as const)(
    'twice with the same job, %s: stored once, nothing failed for good',
    { timeout: 60_000 },
    async (at) => {
      const district = testId('district');
      const oracle = new Oracle();
      const clubs = Array.from({ length: 15 }, () => buildClub({ district }));
      for (const club of clubs) oracle.noteReceipt(clubEntity, club, (await h.put('club', club)).version);
      for (let round = 0; round < 2; round++) {
        const victim = h.startChild({ role: 'worker', fate: { at, signal: 'SIGKILL' } });
        await victim.ready();
        if (round === 0) await requestSync(h.engine.queues, 'admin');
        // After the first death a write may be stored already: then there is nothing to die of.
        await Promise.race([
          once(victim.child, 'exit'),
          until('the buffer to be empty', async () => ((await h.dirty()).length === 0 ? true : undefined)),
        ]);
        await victim.kill();
        const late = buildClub({ district });
        oracle.noteReceipt(clubEntity, late, (await h.put('club', late)).version);
      }
      const worker = h.startChild({ role: 'worker' });
      await worker.ready();
      await h.syncAll();
      await worker.kill();
      expect(await oracle.losses(h)).toEqual([]);
      expect(await h.rows('SELECT count(*)::int AS count FROM clubs WHERE district = ?', [district])).toEqual([
        { count: 17 },
      ]);
      // Stored again after the death, a row tells nothing: its event is as old as itself.
      const told = (await h.storedEvents()).filter(({ aggregate_id }) => clubs.some(({ id }) => id === aggregate_id));
      expect(told.map(({ aggregate_id }) => aggregate_id).sort()).toEqual(clubs.map(({ id }) => id).sort());
      expect(await h.engine.failedWrites.list()).toEqual([]);
      expect(await h.engine.queues[WRITE_BATCHES].getFailedCount()).toBe(0);
      expect(await h.audit()).toEqual([]);
    },
  );

  it('during the statement, which the database still carries out', { timeout: 60_000 }, async () => {
    const club = buildClub();
    await h.put('club', club);
    await h.flush('club', [String(club.id)]);
    const changed = { ...club, size: 31 };
    const { version } = await h.put('club', changed);
    const lock = await h.knex.transaction();
    await lock.raw('SELECT 1 FROM clubs WHERE id = ? FOR UPDATE', [String(club.id)]);
    const victim = h.startChild({ role: 'worker' });
    await victim.ready();
    await requestSync(h.engine.queues, 'admin');
    await waitsForLock(h);
    await victim.kill();
    await lock.commit();
    const worker = h.startChild({ role: 'worker' });
    await worker.ready();
    await h.syncAll();
    await worker.kill();
    expect(await h.rows('SELECT size, version FROM clubs WHERE id = ?', [club.id])).toEqual([{ size: 31, version }]);
    expect(await h.engine.failedWrites.list()).toEqual([]);
  });
});

describe('FAILURES 8: a key is written while it is being stored', () => {
  const h = useHarness();

  it('the newer version stays dirty and is stored next', async () => {
    const club = buildClub();
    await h.put('club', club);
    await h.flush('club', [String(club.id)]);
    const first = await h.put('club', { ...club, size: 1 });
    const lock = await h.knex.transaction();
    await lock.raw('SELECT 1 FROM clubs WHERE id = ? FOR UPDATE', [String(club.id)]);
    const storing = h.flush('club', [String(club.id)]);
    await waitsForLock(h);
    const second = await h.put('club', { ...club, size: 2 });
    await h.put('club', { ...club, size: 3 });
    await lock.commit();
    expect(await storing).toMatchObject({ taken: 1, stored: 1 });
    expect(second.version).toBeGreaterThan(first.version);
    expect(await h.rows('SELECT size, version FROM clubs WHERE id = ?', [club.id])).toEqual([
      { size: 1, version: first.version },
    ]);
    expect(await h.dirty()).toEqual([`club ${club.id}`]);
    expect((await h.reader.get('club', String(club.id)))?.document.size).toBe(3);
    // Only the writes since then count for the next run.
    expect(await h.flush('club', [String(club.id)])).toMatchObject({ taken: 2, stored: 1, superseded: 1 });
    expect((await h.rows('SELECT size FROM clubs WHERE id = ?', [club.id]))[0]).toEqual({ size: 3 });
  });
});

describe('FAILURES 9: an older batch lands after a newer one', () => {
  const h = useHarness();

  it.each(['before write', 'after write'] as const)(
    'a worker stands still %s and goes on when others have overtaken it',
    { timeout: 60_000 },
    async (at) => {
      const clubs = Array.from({ length: 5 }, () => buildClub());
      for (const club of clubs) await h.put('club', club);
      const slow = h.startChild({ role: 'worker', fate: { at, signal: 'SIGSTOP' } });
      onTestFinished(async () => void (await slow.kill()));
      await slow.ready();
      await requestSync(h.engine.queues, 'admin');
      await slow.struck();
      const versions = new Map<unknown, number>();
      for (const club of clubs) versions.set(club.id, (await h.put('club', { ...club, size: 99 })).version);
      const fast = h.startChild({ role: 'worker' });
      onTestFinished(async () => void (await fast.kill()));
      await fast.ready();
      await h.syncAll();
      const newest = await h.rows('SELECT id, size, version FROM clubs WHERE id = ANY(?) ORDER BY id', [
        clubs.map(({ id }) => id),
      ]);
      for (const row of newest) expect(row).toMatchObject({ size: 99, version: versions.get(row.id) });
      // A still newer one is in the buffer when the old batch comes back to life: it must not be cleared.
      const pending = await h.put('club', { ...clubs[0], size: 100 });
      slow.signal('SIGCONT');
      await until('the old batch to end', async () => (slow.lines.some(({ batch }) => batch) ? true : undefined));
      // The run that was taken over may store the newest write by now; what it must not do is lose it or bring back an older.
      const inBuffer = (await h.buffer.get('club', String(clubs[0]!.id)))?.header.version;
      const after = await h.rows('SELECT id, size, version FROM clubs WHERE id = ANY(?) ORDER BY id', [
        clubs.map(({ id }) => id),
      ]);
      for (const [index, row] of after.entries()) {
        const isStoredNewer = row.id === clubs[0]!.id && row.version === pending.version;
        expect(row).toEqual(isStoredNewer ? { ...newest[index], size: 100, version: pending.version } : newest[index]);
        if (row.id === clubs[0]!.id && !isStoredNewer) expect(inBuffer).toBe(pending.version);
      }
      await h.syncAll();
      await Promise.all([slow.kill(), fast.kill()]);
      expect((await h.rows('SELECT size FROM clubs WHERE id = ?', [clubs[0]!.id]))[0]).toEqual({ size: 100 });
      expect(await h.engine.failedWrites.list()).toEqual([]);
      expect(await h.audit()).toEqual([]);
    },
  );
});
