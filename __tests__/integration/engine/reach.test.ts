import { describe, expect, it } from 'vitest';
import { EVERYTHING, type Reach } from '../../../src/lib/reach.ts';
import { useHarness } from '../../support/engine-harness.ts';
import { buildClub, buildClubMember, buildMark, buildRoll } from '../../support/test-entities.ts';

const limited = (rows: Partial<Reach>): Reach => ({ ...EVERYTHING, all: false, ...rows });

describe('a reader', () => {
  const h = useHarness();
  const outside = expect.objectContaining({ status: 404 });

  it('gives no document outside the reach, whether it is pending or stored', async () => {
    const club = buildClub({ kind: 'chess', is_open: true });
    const id = String(club.id);
    await h.put('club', club);
    const read = (reach: Reach) => h.reader.get('club', id, reach);
    for (const isPending of [true, false]) {
      expect(await read(EVERYTHING)).toMatchObject({ document: club, isPending });
      expect(await read(limited({ classes: new Set([String(club.district)]) }))).toMatchObject({ document: club });
      expect(await read(limited({ users: new Set(['chess']) }))).toMatchObject({ document: club });
      await expect(read(limited({ users: new Set(['music']) }))).rejects.toEqual(outside);
      await expect(read(limited({}))).rejects.toEqual(outside);
      await h.flush('club', [id]);
    }
  });

  it('judges a document as its last write left it', async () => {
    const club = buildClub({ kind: 'chess', is_open: true });
    const id = String(club.id);
    await h.put('club', club);
    await h.flush('club', [id]);
    await h.put('club', { ...club, is_open: false });
    await expect(h.reader.get('club', id, limited({ users: new Set(['chess']) }))).rejects.toEqual(outside);
  });

  it('says that there is none rather than that it is outside', async () => {
    expect(await h.reader.get('club', crypto.randomUUID(), limited({}))).toBeUndefined();
  });

  it('gives no sheet whose head is outside', async () => {
    const clubId = crypto.randomUUID();
    const key = `${clubId}:2031-05-05`;
    await h.buffer.putSheet('roll', key, buildRoll(clubId), [buildMark()]);
    expect(await h.reader.getSheet('roll', key, limited({ classes: new Set([clubId]) }))).toBeDefined();
    await expect(h.reader.getSheet('roll', key, limited({ classes: new Set(['other']) }))).rejects.toEqual(outside);
  });

  it('refuses a limited reader of an entity that does not say who reaches it', async () => {
    const member = buildClubMember(crypto.randomUUID());
    await h.put('club_member', member);
    const key = `${member.club_id}:${member.person_id}`;
    expect(await h.reader.get('club_member', key, EVERYTHING)).toBeDefined();
    await expect(h.reader.get('club_member', key, limited({}))).rejects.toThrow('does not say who reaches it');
  });
});
