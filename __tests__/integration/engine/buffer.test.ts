import { afterAll, describe, expect, it } from 'vitest';
import { PackError } from '../../../src/buffer/pack-buffer.ts';
import { StaleVersionError } from '../../../src/buffer/write-buffer.ts';
import { MissingUpcastError } from '../../../src/engine.ts';
import { defineEntity, text } from '../../../src/lib/entity.ts';
import { EVERYTHING } from '../../../src/lib/reach.ts';
import { useHarness } from '../../support/engine-harness.ts';
import { buildClub, buildMark, buildRoll, clubEntity, testEntities } from '../../support/test-entities.ts';

describe('the buffer on a real Redis', () => {
  const h = useHarness();

  it('a stale If-Match is refused with the current version; its neighbours in the group are not', async () => {
    const [club, other] = [buildClub(), buildClub()];
    const { version } = await h.put('club', club);
    const [stale, fine, fresh] = await Promise.allSettled([
      h.put('club', { ...club, size: 1 }, { ifMatch: version - 1 }),
      h.put('club', other),
      h.put('club', { ...club, size: 2 }, { ifMatch: version }),
    ]);
    expect(stale.status === 'rejected' && stale.reason).toBeInstanceOf(StaleVersionError);
    expect(stale.status === 'rejected' && stale.reason.currentVersion).toBe(version);
    expect([fine.status, fresh.status]).toEqual(['fulfilled', 'fulfilled']);
    expect((await h.reader.get('club', String(club.id), EVERYTHING))?.document.size).toBe(2);
  });

  it('of many with the same If-Match one is taken', async () => {
    const club = buildClub();
    const { version } = await h.put('club', club);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, size) => h.put('club', { ...club, size }, { ifMatch: version })),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('a value without a place in the format is refused before anything is sent', async () => {
    const club = buildClub();
    await expect(h.put('club', { ...club, founded_on: 'yesterday' })).rejects.toThrow(PackError);
    expect(await h.reader.get('club', String(club.id), EVERYTHING)).toBeUndefined();
  });

  it.each(['auto', 'none', 'snappy', 'lz4', 'zstd', 'zstd-dict', 'deflate-dict'])(
    'what %s has written is read and stored after the setting changes',
    async (algorithm) => {
      const writer = await h.startProcess({ compression: { isEnabled: true, algorithm } });
      const clubs = ['', 'short', 'The chess club meets in room B12. '.repeat(20), 'x'.repeat(20_000)].map((note) =>
        buildClub({ tags: { note } }),
      );
      for (const club of clubs) await writer.engine.buffer.put('club', club);
      await writer.close();
      const reader = await h.startProcess({ compression: { isEnabled: false, algorithm: 'auto' } });
      for (const club of clubs)
        expect((await reader.engine.reader.get('club', String(club.id), EVERYTHING))?.document).toEqual(club);
      await reader.engine.batchWriter.write(
        'club',
        clubs.map(({ id }) => String(id)),
      );
      for (const club of clubs)
        expect((await h.rows('SELECT tags FROM clubs WHERE id = ?', [club.id]))[0]!.tags).toEqual(club.tags);
      await reader.close();
    },
  );

  it('fields of one sheet written by two processes at once are all kept', async () => {
    const other = await h.startProcess();
    const head = buildRoll(String(buildClub().id));
    const key = `${head.club_id}:${head.held_on}`;
    const marks = Array.from({ length: 20 }, () => buildMark());
    await Promise.all(
      marks.map((mark, index) => (index % 2 === 0 ? h : other).engine.buffer.putSheet('roll', key, head, [mark])),
    );
    expect((await h.buffer.getSheet('roll', key))?.fields.size).toBe(20);
    await h.flush('roll', [key]);
    expect(await h.rows('SELECT count(*)::int AS count FROM roll_marks WHERE roll_id = ?', [head.id])).toEqual([
      { count: 20 },
    ]);
  });

  it('the database refuses what its present state speaks against; a later repetition of an older write is stale, not refused', async () => {
    const permit = { id: buildClub().id, holder: 'A' };
    await h.put('permit', permit);
    await h.flush('permit', [String(permit.id)]);
    await h.knex.raw('UPDATE permits SET is_locked = true WHERE id = ?', [String(permit.id)]);
    await h.put('permit', { ...permit, holder: 'B' });
    expect(await h.flush('permit', [String(permit.id)])).toMatchObject({
      failed: 1,
      failure: { code: 'PERMIT_LOCKED', message: 'the permit is locked' },
    });
    expect(await h.rows('SELECT holder FROM permits WHERE id = ?', [permit.id])).toEqual([{ holder: 'A' }]);
  });
});

describe('a deploy while payloads of an older shape are buffered', () => {
  const h = useHarness();
  const others = testEntities.filter(({ name }) => name !== 'club');
  const { tags: _, ...columns } = clubEntity.columns;
  const next = { ...clubEntity, shape: 2, columns: { ...columns, tags: clubEntity.columns.tags!, motto: text } };
  afterAll(() => h.clear());

  it('is stopped without an upcast, and lifts and stores them with one', async () => {
    const club = buildClub();
    await h.put('club', club);
    expect(() => defineEntity(next)).toThrow('no upcast from shape 1');
    await expect(h.startProcess({}, { entities: [next, ...others] })).rejects.toBeInstanceOf(MissingUpcastError);
    const lifted = defineEntity({
      ...next,
      upcast: { 1: (document) => ({ ...document, motto: `The ${document.kind} club` }) },
    });
    await h.knex.raw('ALTER TABLE clubs ADD COLUMN motto text');
    const { engine } = await h.startProcess({}, { entities: [lifted, ...others] });
    expect((await engine.reader.get('club', String(club.id), EVERYTHING))?.document).toEqual({
      ...club,
      motto: 'The chess club',
    });
    expect(await engine.batchWriter.write('club', [String(club.id)])).toMatchObject({ stored: 1 });
    expect(await h.rows('SELECT name, motto FROM clubs')).toEqual([{ name: club.name, motto: 'The chess club' }]);
  });
});
