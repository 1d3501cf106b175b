import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { replay } from '../../queues/failed-jobs.ts';
import { failedWriteId } from '../../src/buffer/failed-writes.ts';
import { useHarness } from '../support/engine-harness.ts';
import { buildClub, buildClubMember } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

const CLUBS = 4;

describe('I6: parents are stored before their children', () => {
  const h = useHarness({ batchSize: 10 });
  beforeAll(async () => void (await h.startWorker()));

  const isStored = async (table: string, column: string, id: unknown): Promise<boolean> =>
    (await h.rows(`SELECT 1 FROM ${table} WHERE ${column} = ?`, [id])).length === 1;
  const recordOf = (entity: string, key: string) => h.engine.failedWrites.get(failedWriteId(entity, key));

  it('whatever order writes come in; children of a failed parent wait, say why, and follow what becomes of it', async () => {
    const club = fc.record({
      isBad: fc.boolean(),
      children: fc.nat(3),
      fate: fc.constantFrom('replayed', 'superseded', 'discarded'),
    });
    const example = fc.tuple(fc.array(club, { minLength: 1, maxLength: CLUBS }), fc.infiniteStream(fc.nat()));
    await fc.assert(
      fc.asyncProperty(example, async ([clubs, order]) => {
        const families = clubs.map(({ isBad, children, ...rest }) => {
          const parent = buildClub({ size: isBad ? -1 : 3 });
          return {
            ...rest,
            isBad,
            parent,
            id: String(parent.id),
            members: Array.from({ length: children }, () => buildClubMember(String(parent.id))),
          };
        });
        const puts = families.flatMap(({ parent, members }) => [
          { entity: 'club', document: parent },
          ...members.map((document) => ({ entity: 'club_member', document })),
        ]);
        for (const { entity, document } of shuffle(puts, () => order.next().value)) await h.put(entity, document);

        const run = await h.sync();
        const bad = families.filter(({ isBad }) => isBad);
        const waiting = bad.flatMap(({ members }) => members);
        expect(run).toMatchObject({
          taken: puts.length,
          failed: bad.length,
          left: waiting.length,
          stored: puts.length - bad.length - waiting.length,
        });
        for (const { id, isBad, members } of families) {
          expect(await isStored('clubs', 'id', id)).toBe(!isBad);
          for (const { person_id } of members) {
            expect(await isStored('club_members', 'person_id', person_id)).toBe(!isBad);
            const record = await recordOf('club_member', `${id}:${person_id}`);
            if (isBad)
              expect(record).toMatchObject({
                state: 'waiting',
                code: 'PARENT_FAILED',
                waitingFor: { entity: 'club', key: id },
              });
            else expect(record).toBeUndefined();
          }
        }
        // Waiting costs nothing: no run takes them again.
        expect(await h.sync()).toMatchObject({ taken: 0 });

        for (const { id, parent, fate } of bad) {
          const record = (await recordOf('club', id))!;
          if (fate === 'replayed')
            await replay(
              h.engine.queues,
              h.engine.failedWrites,
              await h.engine.failedWrites.repair(record, { ...parent, size: 3 }),
            );
          if (fate === 'superseded') await h.put('club', { ...parent, size: 4 });
          if (fate === 'discarded') await h.engine.failedWrites.discard(record, 'admin001', 'never wanted', Date.now());
        }
        for (const { id, fate } of bad) {
          if (fate === 'replayed')
            await until(`club ${id}`, async () => ((await isStored('clubs', 'id', id)) ? true : undefined));
        }
        // A stored parent asks for a run itself; these make sure that the test does not depend on its speed.
        await h.syncAll();
        await h.syncAll();
        for (const { id, fate, members } of bad) {
          expect(await isStored('clubs', 'id', id)).toBe(fate !== 'discarded');
          for (const { person_id } of members) {
            const key = `${id}:${person_id}`;
            expect(await isStored('club_members', 'person_id', person_id), fate).toBe(fate !== 'discarded');
            if (fate === 'discarded')
              expect(await recordOf('club_member', key)).toMatchObject({ state: 'failed', code: 'PARENT_DISCARDED' });
            else expect(await recordOf('club_member', key)).toBeUndefined();
          }
        }
        expect(await h.audit()).toEqual([]);
        // Orphans are an admin's to resolve: so that the next example starts clean.
        for (const record of await h.engine.failedWrites.list())
          await h.engine.failedWrites.discard(record, 'admin001', 'orphan', Date.now());
      }),
      { numRuns: 15 },
    );
  });

  it('a parent that is replayed releases its children by itself', async () => {
    const parent = buildClub({ size: -1 });
    const member = buildClubMember(String(parent.id));
    await h.put('club', parent);
    await h.put('club_member', member);
    await h.sync();
    const record = (await recordOf('club', String(parent.id)))!;
    await replay(
      h.engine.queues,
      h.engine.failedWrites,
      await h.engine.failedWrites.repair(record, { ...parent, size: 1 }),
    );
    await until('the child', async () =>
      (await isStored('club_members', 'person_id', member.person_id)) ? true : undefined,
    );
  });

  it('a child whose parent is written during the run is left, not failed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), async (count) => {
        const families = Array.from({ length: count }, () => {
          const parent = buildClub();
          return { parent, member: buildClubMember(String(parent.id)) };
        });
        for (const { parent, member } of families) {
          await h.put('club_member', member);
          await h.put('club', parent);
          // The run looked at parents before this one was there.
          await h.flush('club_member', [`${parent.id}:${member.person_id}`]);
          expect(await recordOf('club_member', `${parent.id}:${member.person_id}`)).toBeUndefined();
        }
        expect(await h.sync()).toMatchObject({ stored: 2 * count, failed: 0, left: 0 });
      }),
      { numRuns: 5 },
    );
  });
});

function shuffle<T>(items: readonly T[], next: () => number): T[] {
  const rest = [...items];
  const shuffled: T[] = [];
  while (rest.length > 0) shuffled.push(...rest.splice(next() % rest.length, 1));
  return shuffled;
}
