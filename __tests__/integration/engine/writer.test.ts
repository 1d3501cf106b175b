import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WriteRefusedError } from '../../../src/buffer/writer.ts';
import { FlushPendingError } from '../../../src/errors/catalogue.ts';
import { defineEntity } from '../../../src/lib/entity.ts';
import { type EngineProcess, useHarness } from '../../support/engine-harness.ts';
import {
  buildClub,
  buildClubMember,
  buildEvent,
  buildMark,
  buildRoll,
  clubEntity,
  NAME_LENGTH,
  testEntities,
  testId,
} from '../../support/test-entities.ts';

/** Every share of memory is above this mark. */
const FULL = { allowVolatile: false, requiredFsync: 'everysec', softShare: 0, hardShare: 0, fallbackBytes: 1 } as const;
const tooLong = 'x'.repeat(NAME_LENGTH + 1);

describe('writes that go through', () => {
  const h = useHarness();
  let full: EngineProcess;
  beforeAll(async () => {
    full = await h.startProcess({ writesThrough: true, guard: FULL });
  });
  afterAll(() => full.close());

  const rowOf = async (id: unknown) => (await h.rows('SELECT name, size, version FROM clubs WHERE id = ?', [id]))[0];

  it('are stored before they are acknowledged while the buffer is shut, and only then', async () => {
    const club = buildClub();
    const receipt = await full.engine.writer.put('club', club);
    expect(receipt).toMatchObject({ isPending: false });
    expect(receipt.storedBy).toBeUndefined();
    expect(await rowOf(club.id)).toMatchObject({ name: club.name, version: receipt.version });
    expect(await h.dirty()).toEqual([]);

    const waiting = buildClub();
    const buffered = await h.engine.writer.put('club', waiting);
    expect(buffered).toMatchObject({ isPending: true });
    expect(buffered.storedBy!.getTime() - Date.now()).toBeGreaterThan(3_590_000);
    expect(await rowOf(waiting.id)).toBeUndefined();
    await h.flush('club', [String(waiting.id)]);
  });

  it('are stored at once for an entity that is committed', async () => {
    const committed = defineEntity({ ...clubEntity, durability: 'committed' });
    const { engine, close } = await h.startProcess(
      {},
      { entities: testEntities.map((entity) => (entity.name === 'club' ? committed : entity)) },
    );
    const club = buildClub();
    expect(await engine.writer.put('club', club)).toMatchObject({ isPending: false });
    expect(await engine.writer.put('club', { ...club, size: 9 })).toMatchObject({ isPending: false });
    expect(await rowOf(club.id)).toMatchObject({ size: 9 });
    expect(await engine.writer.put('event_log', buildEvent())).toMatchObject({ isPending: true });
    await h.clear();
    await close();
  });

  it('go to MongoDB and as sheets, deletions too', async () => {
    const event = buildEvent();
    await full.engine.writer.put('event_log', event);
    expect((await h.mongoDocuments('event_logs')).find(({ _id }) => _id === event.id)).toMatchObject({
      what: event.what,
    });
    const roll = buildRoll(testId('club'));
    const marks = [buildMark(), buildMark()];
    await full.engine.writer.putSheet('roll', `${roll.club_id}:${roll.held_on}`, roll, marks);
    expect(await h.rows('SELECT 1 FROM roll_marks WHERE roll_id = ?', [roll.id])).toHaveLength(2);
    const club = buildClub();
    await full.engine.writer.put('club', club);
    await full.engine.writer.put('club', club, { isTombstone: true });
    expect(await h.rows('SELECT 1 FROM clubs WHERE id = ? AND deleted_at IS NOT NULL', [club.id])).toHaveLength(1);
    expect(await h.dirty()).toEqual([]);
  });

  it('have a buffered parent stored first', async () => {
    const club = buildClub();
    await h.put('club', club);
    const member = buildClubMember(String(club.id));
    await full.engine.writer.put('club_member', member);
    expect(await h.rows('SELECT 1 FROM club_members WHERE club_id = ?', [club.id])).toHaveLength(1);
    expect(await h.dirty()).toEqual([]);
  });

  it('are told of a refusal and leave nothing behind; what was acknowledged before is stored', async () => {
    const club = buildClub();
    const { version } = await h.put('club', club);
    const refused = full.engine.writer.put('club', { ...club, name: tooLong });
    await expect(refused).rejects.toBeInstanceOf(WriteRefusedError);
    await expect(refused).rejects.toMatchObject({ reason: { code: '23514' } });
    expect(await rowOf(club.id)).toMatchObject({ name: club.name, version });
    expect(await h.dirty()).toEqual([]);
    expect(await h.engine.failedWrites.list()).toEqual([]);
    // The name is free again.
    await full.engine.writer.put('club', buildClub({ name: 'Free' }));
    const thief = full.engine.writer.put('club', buildClub({ name: 'Free' }));
    await expect(thief).rejects.toMatchObject({ reason: { code: '23505' } });
  });

  it('take the place of a failed write, refused or not', async () => {
    const club = buildClub();
    await h.put('club', { ...club, name: tooLong });
    await h.flush('club', [String(club.id)]);
    expect(await h.engine.failedWrites.list()).toHaveLength(1);
    await expect(full.engine.writer.put('club', { ...club, size: -1 })).rejects.toMatchObject({
      reason: { code: '23514' },
    });
    expect(await h.engine.failedWrites.list()).toHaveLength(1);
    expect(await full.engine.writer.put('club', club)).toMatchObject({ isPending: false });
    expect(await h.engine.failedWrites.list()).toEqual([]);
    expect(await rowOf(club.id)).toMatchObject({ size: club.size });
  });

  it('are set aside, not withdrawn, once they stand for an acknowledged write, too', async () => {
    const bad = buildClub({ size: -1 });
    const key = String(bad.id);
    // Another request's write has joined before, or after: the snapshot's version is the through one, or a newer.
    await h.put('club', bad);
    const joined = await h.put('club', bad);
    await h.engine.batchWriter.write('club', [key], { unacknowledged: joined.version });
    expect((await h.engine.failedWrites.list('club')).map((failed) => failed.key)).toEqual([key]);
    const through = await h.put('club', bad);
    const later = await h.put('club', bad);
    await h.engine.batchWriter.write('club', [key], { unacknowledged: through.version });
    expect(await h.engine.failedWrites.list('club')).toMatchObject([{ key, version: later.version }]);
    await h.clear();
  });

  it('are withdrawn when their database is away', async () => {
    const away = await h.startProcess(
      { writesThrough: true, guard: FULL },
      { databaseUrl: 'postgres://nobody@127.0.0.1:1/none' },
    );
    const club = buildClub();
    const { version } = await h.put('club', club);
    await expect(away.engine.writer.put('club', { ...club, size: 3 })).rejects.toBeInstanceOf(FlushPendingError);
    expect((await h.buffer.get('club', String(club.id)))!.header.version).toBe(version);
    const fresh = buildClub();
    await expect(away.engine.writer.put('club', fresh)).rejects.toMatchObject({ status: 503 });
    expect(await h.buffer.get('club', String(fresh.id))).toBeUndefined();
    await away.close();
    await h.flush('club', [String(club.id)]);
  });

  it('lose no acknowledged write when good and bad ones of a key meet, buffered and through', async () => {
    const ids = [testId('club'), testId('club')];
    for (let round = 0; round < 15; round++) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 12 }, async (_, index) => {
          const id = ids[index % 2]!;
          const { writer } = index % 3 === 0 ? h.engine : full.engine;
          const isBad = index % 4 === 1;
          // Values of their own: only the bad sizes are refused.
          const club = buildClub({ id, name: `Meet ${id.slice(0, 8)}`, size: isBad ? -1 : round * 100 + index });
          return { id, ...(await writer.put('club', club)) };
        }),
      );
      const acknowledged = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      await h.flush('club', ids);
      for (const id of ids) {
        const newest = Math.max(...acknowledged.filter((one) => one.id === id).map(({ version }) => version));
        const failed = (await h.engine.failedWrites.list()).find(({ key }) => key === id);
        const stored = Number((await rowOf(id))?.version ?? 0);
        expect(Math.max(stored, failed?.version ?? 0), JSON.stringify({ stored, failed })).toBeGreaterThanOrEqual(
          newest,
        );
      }
      for (const { isPending, id, version } of acknowledged) {
        if (isPending) continue;
        const failed = (await h.engine.failedWrites.list()).find(({ key }) => key === id);
        expect(Math.max(Number((await rowOf(id))?.version ?? 0), failed?.version ?? 0)).toBeGreaterThanOrEqual(version);
      }
    }
    await h.clear();
  });
});

describe('the state of a write', () => {
  const h = useHarness();
  const stateOf = async (receipt: { entity: string; key: string; version: number }) =>
    (await h.engine.writeStates.of(receipt))?.state;

  it('follows it from the buffer into its database', async () => {
    const club = buildClub();
    const first = await h.put('club', club);
    expect(await h.engine.writeStates.of(first)).toEqual({ state: 'buffered', database: 'postgres' });
    const second = await h.put('club', { ...club, size: 7 });
    expect(await stateOf(first)).toBe('superseded');
    expect(await stateOf(second)).toBe('buffered');
    await h.flush('club', [first.key]);
    expect(await stateOf(first)).toBe('stored');
    expect(await stateOf(second)).toBe('stored');
    const event = await h.put('event_log', buildEvent());
    expect(await h.engine.writeStates.of(event)).toEqual({ state: 'buffered', database: 'mongo' });
    await h.flush('event_log', [event.key]);
    expect(await stateOf(event)).toBe('stored');
    expect(await stateOf({ ...event, entity: 'nothing' })).toBeUndefined();
  });

  it('tells failed, waiting and discarded ones', async () => {
    const club = buildClub({ name: tooLong });
    const parent = await h.put('club', club);
    const child = await h.put('club_member', buildClubMember(String(club.id)));
    await h.flush('club', [parent.key]);
    await h.flush('club_member', [child.key]);
    expect(await stateOf(parent)).toBe('failed');
    expect(await stateOf(child)).toBe('waiting');
    const record = (await h.engine.failedWrites.list('club'))[0]!;
    await h.engine.failedWrites.discard(record, 'admin', 'wrong', Date.now());
    expect(await stateOf(parent)).toBe('discarded');
    await h.clear();
  });

  it('tells which part of a sheet waits', async () => {
    const roll = buildRoll(testId('club'));
    const key = `${roll.club_id}:${roll.held_on}`;
    const first = await h.buffer.putSheet('roll', key, roll, [buildMark()]);
    await h.flush('roll', [key]);
    const second = await h.buffer.putSheet('roll', key, roll, [buildMark()]);
    expect(await stateOf(first)).toBe('stored');
    expect(await stateOf(second)).toBe('buffered');
    await h.flush('roll', [key]);
    expect(await stateOf(second)).toBe('stored');
  });
});
