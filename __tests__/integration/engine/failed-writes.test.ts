import { describe, expect, it } from 'vitest';
import { replay } from '../../../queues/failed-jobs.ts';
import { failedWriteId } from '../../../src/buffer/failed-writes.ts';
import { StaleVersionError } from '../../../src/buffer/write-buffer.ts';
import { EVERYTHING } from '../../../src/lib/reach.ts';
import { useHarness } from '../../support/engine-harness.ts';
import { buildClub, buildClubMember } from '../../support/test-entities.ts';

const NOW = Date.parse('2031-05-05T08:30:00Z');

describe('failed writes', () => {
  const h = useHarness();
  const recordOf = (entity: string, key: unknown) => h.engine.failedWrites.get(failedWriteId(entity, String(key)));
  const isStored = async (id: unknown): Promise<boolean> =>
    (await h.rows('SELECT 1 FROM clubs WHERE id = ?', [id])).length === 1;

  /** A club that the database has refused, with its record. */
  async function failedClub() {
    const club = buildClub({ size: -1 });
    await h.put('club', club);
    await h.flush('club', [String(club.id)]);
    return { club, record: (await recordOf('club', club.id))! };
  }

  it('discarding what an admin saw does not discard the write that has replaced it', async () => {
    const { club, record } = await failedClub();
    await h.put('club', { ...club, size: 5 });
    await expect(h.engine.failedWrites.discard(record, 'admin001', 'old', NOW)).rejects.toBeInstanceOf(
      StaleVersionError,
    );
    expect(await recordOf('club', club.id)).toBeUndefined();
    await h.flush('club', [String(club.id)]);
    expect(await isStored(club.id)).toBe(true);
  });

  it('repairing what an admin saw does not touch the write that has replaced it', async () => {
    const { club, record } = await failedClub();
    const { version } = await h.put('club', { ...club, size: 5 });
    await expect(h.engine.failedWrites.repair(record, { ...club, size: 7 })).rejects.toBeInstanceOf(StaleVersionError);
    expect(await h.reader.get('club', String(club.id), EVERYTHING)).toMatchObject({ version, document: { size: 5 } });
    expect(await recordOf('club', club.id)).toBeUndefined();
    await h.flush('club', [String(club.id)]);
    expect(await isStored(club.id)).toBe(true);
  });

  it('replaying what has been replaced leaves no record behind', async () => {
    const { club, record } = await failedClub();
    await h.put('club', { ...club, size: 5 });
    await h.engine.queues['write-batches'].getJob(record.jobId!).then((job) => job?.remove());
    await replay(h.engine.queues, h.engine.failedWrites, record);
    expect(await recordOf('club', club.id)).toBeUndefined();
    await h.flush('club', [String(club.id)]);
    expect(await recordOf('club', club.id)).toBeUndefined();
  });

  it('a resolved record keeps its version exactly', async () => {
    const { club, record } = await failedClub();
    const { version } = await h.put('club', { ...club, size: 5 });
    expect((await h.engine.failedWrites.resolved(1))[0]).toMatchObject({
      id: record.id,
      version: record.version,
      resolution: 'superseded',
      supersededBy: version,
    });
    const other = await failedClub();
    await h.engine.failedWrites.discard(other.record, 'admin001', 'a "quoted" reason', NOW);
    expect((await h.engine.failedWrites.resolved(1))[0]).toMatchObject({
      ...other.record,
      resolution: 'discarded',
      resolvedBy: 'admin001',
      reason: 'a "quoted" reason',
    });
  });

  it('a repair keeps a deletion a deletion', async () => {
    const club = buildClub({ size: -1 });
    await h.remove('club', club);
    await h.flush('club', [String(club.id)]);
    const record = (await recordOf('club', club.id))!;
    await h.engine.failedWrites.repair(record, { ...club, size: 1 });
    expect(await h.reader.get('club', String(club.id), EVERYTHING)).toBeUndefined();
  });

  it('a waiting child can be repaired and still follows its parent', async () => {
    const { club } = await failedClub();
    const member = buildClubMember(String(club.id));
    const key = `${club.id}:${member.person_id}`;
    await h.put('club_member', member);
    await h.flush('club_member', [key]);
    const waiting = (await recordOf('club_member', key))!;
    expect(waiting).toMatchObject({
      state: 'waiting',
      code: 'PARENT_FAILED',
      waitingFor: { entity: 'club', key: club.id },
    });
    await h.engine.failedWrites.repair(waiting, { ...member, note: 'repaired' });
    expect(await h.audit()).toEqual([]);
    await h.put('club', { ...club, size: 5 });
    await h.flush('club', [String(club.id)]);
    await h.flush('club_member', [key]);
    expect(await h.rows('SELECT note FROM club_members WHERE person_id = ?', [member.person_id])).toEqual([
      { note: 'repaired' },
    ]);
    expect(await h.audit()).toEqual([]);
  });

  it('a child that finds its parent failed just as it is stored does not wait for ever', async () => {
    const { club, record } = await failedClub();
    const member = buildClubMember(String(club.id));
    const key = `${club.id}:${member.person_id}`;
    await h.put('club_member', member);
    // The parent is stored between the child's look at it and the child's setting aside.
    const { failedWrites } = h.engine;
    const original = failedWrites.record.bind(failedWrites);
    failedWrites.record = async (...args) => {
      failedWrites.record = original;
      await failedWrites.repair(record, { ...club, size: 5 });
      await h.engine.batchWriter.write('club', [String(club.id)], { replayJobId: 'by-hand' });
      return original(...args);
    };
    await h.flush('club_member', [key]);
    expect(await isStored(club.id)).toBe(true);
    await h.flush('club_member', [key]);
    expect(await h.rows('SELECT note FROM club_members WHERE person_id = ?', [member.person_id])).toEqual([
      { note: member.note },
    ]);
  });
});
