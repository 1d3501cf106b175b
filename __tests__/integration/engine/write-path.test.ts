import { beforeAll, describe, expect, it } from 'vitest';
import { replay } from '../../../queues/failed-jobs.ts';
import { failedWriteId } from '../../../src/buffer/failed-writes.ts';
import { EVERYTHING } from '../../../src/lib/reach.ts';
import { useHarness } from '../../support/engine-harness.ts';
import {
  buildClub,
  buildClubMember,
  buildEvent,
  buildMark,
  buildRoll,
  NAME_LENGTH,
} from '../../support/test-entities.ts';
import { until } from '../../support/until.ts';

describe('a write from acknowledgement to row', () => {
  const h = useHarness();
  beforeAll(async () => void (await h.startWorker()));

  it('is read back at once, then stored, then read from its warm copy', async () => {
    const club = buildClub();
    const { version } = await h.put('club', club);
    expect(await h.reader.get('club', String(club.id), EVERYTHING)).toMatchObject({
      document: club,
      version,
      source: 'buffer',
      isPending: true,
    });
    const run = await h.sync();
    expect(run).toMatchObject({ taken: 1, stored: 1, superseded: 0, failed: 0, left: 0 });
    expect(
      await h.rows('SELECT name, size, budget, founded_on, opens_at, tags, version FROM clubs WHERE id = ?', [club.id]),
    ).toEqual([
      {
        name: club.name,
        size: 12,
        budget: 150_000,
        founded_on: '1998-09-01',
        opens_at: '2031-05-05T08:30:00.000Z',
        tags: { room: 'B12' },
        version,
      },
    ]);
    expect(await h.reader.get('club', String(club.id), EVERYTHING)).toMatchObject({
      document: club,
      version,
      isPending: false,
    });
    expect(await h.dirty()).toEqual([]);
  });

  it('folds many writes of one key into its newest', async () => {
    const club = buildClub();
    for (let size = 1; size <= 5; size++) await h.put('club', { ...club, size });
    expect(await h.sync()).toMatchObject({ taken: 5, stored: 1, superseded: 4 });
    expect(await h.rows('SELECT size FROM clubs WHERE id = ?', [club.id])).toEqual([{ size: 5 }]);
  });

  it('hides a deleted document at once and after its sync', async () => {
    const club = buildClub({ district: 'west' });
    await h.put('club', club);
    await h.sync();
    await h.remove('club', club);
    const list = () =>
      h.reader.list({
        entity: 'club',
        reach: EVERYTHING,
        relation: { column: 'district', values: ['west'] },
        sort: { column: 'name', direction: 'asc' },
        limit: 10,
      });
    expect(await h.reader.get('club', String(club.id), EVERYTHING)).toBeUndefined();
    expect((await list()).items).toEqual([]);
    await h.sync();
    expect(await h.reader.get('club', String(club.id), EVERYTHING)).toBeUndefined();
    expect((await list()).items).toEqual([]);
  });

  it('stores a child with its parent in one run', async () => {
    const club = buildClub();
    const member = buildClubMember(String(club.id));
    await h.put('club_member', member);
    await h.put('club', club);
    expect(await h.sync()).toMatchObject({ stored: 2, left: 0, failed: 0 });
    expect(await h.rows('SELECT id, note FROM club_members WHERE club_id = ?', [club.id])).toEqual([
      { id: member.id, note: member.note },
    ]);
  });

  it('merges a sheet field by field', async () => {
    const club = buildClub();
    const roll = buildRoll(String(club.id));
    const [anna, ben] = [buildMark(), buildMark()];
    const key = `${club.id}:2031-05-05`;
    await h.buffer.putSheet('roll', key, roll, [anna, ben]);
    await h.sync();
    await h.buffer.putSheet('roll', key, roll, [{ ...anna, mark: 'absent' }]);
    const found = await h.reader.getSheet('roll', key, EVERYTHING);
    expect(found?.fields.get(String(anna.person_id))).toMatchObject({ mark: 'absent' });
    expect(found?.fields.get(String(ben.person_id))).toMatchObject({ mark: 'present' });
    await h.sync();
    const rows = await h.rows('SELECT person_id, mark FROM roll_marks WHERE roll_id = ? ORDER BY mark', [roll.id]);
    expect(rows).toEqual([
      { person_id: anna.person_id, mark: 'absent' },
      { person_id: ben.person_id, mark: 'present' },
    ]);
  });

  it('stores in MongoDB', async () => {
    const event = buildEvent();
    const { version } = await h.put('event_log', event);
    await h.sync();
    expect((await h.mongoDocuments('event_logs')).find(({ _id }) => _id === event.id)).toMatchObject({
      at: new Date(String(event.at)),
      what: event.what,
      data: event.data,
      version,
    });
  });

  it('sets a bad row aside with its reason; repaired and replayed it is stored', async () => {
    const good = Array.from({ length: 9 }, () => buildClub());
    const bad = buildClub({ name: 'x'.repeat(NAME_LENGTH + 1) });
    for (const club of [...good.slice(0, 4), bad, ...good.slice(4)]) await h.put('club', club);
    expect(await h.sync()).toMatchObject({ taken: 10, stored: 9, failed: 1, left: 0 });
    const record = (await h.engine.failedWrites.get(failedWriteId('club', String(bad.id))))!;
    expect(record).toMatchObject({ state: 'failed', code: '23514' });
    expect(await h.reader.get('club', String(bad.id), EVERYTHING)).toMatchObject({ source: 'buffer' });
    const repaired = await h.engine.failedWrites.repair(record, {
      ...bad,
      name: `Short ${String(bad.id).slice(0, 8)}`,
    });
    await replay(h.engine.queues, h.engine.failedWrites, repaired);
    await until('the repaired row', async () =>
      (await h.rows('SELECT 1 FROM clubs WHERE id = ?', [bad.id])).length === 1 ? true : undefined,
    );
    await until('its record to go', async () =>
      (await h.engine.failedWrites.get(record.id)) === undefined ? true : undefined,
    );
    expect((await h.engine.failedWrites.resolved(1))[0]).toMatchObject({ id: record.id, resolution: 'stored' });
  });
});
