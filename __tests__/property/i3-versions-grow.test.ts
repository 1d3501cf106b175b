import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoreWrite } from '../../src/stores/sinks/sink.ts';
import { sourceOf } from '../../src/stores/sinks/sink.ts';
import { useHarness } from '../support/engine-harness.ts';
import {
  buildClub,
  buildEvent,
  buildMark,
  buildRoll,
  clubEntity,
  eventLogEntity,
  rollEntity,
  testId,
} from '../support/test-entities.ts';

const KEYS = 4;

/** Versions of some keys, cut into batches that come in any order, any number of times. */
const batches = fc
  .array(fc.record({ key: fc.nat(KEYS - 1), version: fc.integer({ min: 1, max: 9 }), isDeleted: fc.boolean() }), {
    minLength: 1,
    maxLength: 20,
  })
  .chain((writes) => {
    // One version of a key is one document, whoever brings it.
    const known = new Map<string, boolean>();
    const same = writes.map((write) => {
      const name = `${write.key}/${write.version}`;
      if (!known.has(name)) known.set(name, write.isDeleted);
      return { ...write, isDeleted: known.get(name)! };
    });
    const batch = fc.uniqueArray(fc.constantFrom(...same), {
      minLength: 1,
      maxLength: KEYS,
      selector: ({ key }) => key,
    });
    return fc.array(batch, { minLength: 1, maxLength: 8 });
  });

describe('I3: a stored version only grows', () => {
  const h = useHarness();

  it('rows of PostgreSQL end as the newest version, whatever order batches land in', async () => {
    const sink = h.engine.stores.postgres.sink;
    await fc.assert(
      fc.asyncProperty(batches, fc.boolean(), async (examples, isConcurrent) => {
        const ids = Array.from({ length: KEYS }, () => testId('club'));
        const toWrite = ({ key, version, isDeleted }: (typeof examples)[0][0]): StoreWrite => ({
          key: ids[key]!,
          version,
          isDeleted,
          source: sourceOf(buildClub({ id: ids[key], size: version, name: `${ids[key]} v`.slice(0, 30) })),
          fields: [],
        });
        const write = (batch: (typeof examples)[0]) => sink.write(clubEntity, batch.map(toWrite));
        const outcomes = isConcurrent ? await Promise.all(examples.map(write)) : [];
        if (!isConcurrent) for (const batch of examples) outcomes.push(await write(batch));
        expect(outcomes.flatMap(({ rejected }) => rejected)).toEqual([]);
        for (const [key, id] of ids.entries()) {
          const seen = examples.flat().filter((one) => one.key === key);
          const newest = seen.toSorted((a, b) => b.version - a.version)[0];
          const rows = await h.rows(
            'SELECT version, size, deleted_at IS NOT NULL AS is_deleted FROM clubs WHERE id = ?',
            [id],
          );
          expect(rows).toEqual(
            newest ? [{ version: newest.version, size: newest.version, is_deleted: newest.isDeleted }] : [],
          );
        }
        const before = await h.rows('SELECT * FROM clubs WHERE id = ANY(?) ORDER BY id', [ids]);
        for (const batch of examples.toReversed()) expect((await write(batch)).stored).toHaveLength(batch.length);
        expect(await h.rows('SELECT * FROM clubs WHERE id = ANY(?) ORDER BY id', [ids])).toEqual(before);
      }),
      { numRuns: 40 },
    );
  });

  it('the newest of many first writes of a row wins when they come all at once', async () => {
    const { postgres, mongo } = h.engine.stores;
    const versions = [3, 9, 1, 7, 5, 8, 2, 6];
    for (let round = 0; round < 60; round++) {
      const [club, event] = [testId('club'), testId('event')];
      const outcomes = await Promise.all(
        versions.flatMap((version) => {
          const write = { version, isDeleted: false, fields: [] };
          return [
            postgres.sink.write(clubEntity, [
              { ...write, key: club, source: sourceOf(buildClub({ id: club, size: version })) },
            ]),
            mongo.sink.write(eventLogEntity, [
              { ...write, key: event, source: sourceOf(buildEvent({ id: event, what: `v${version}` })) },
            ]),
          ];
        }),
      );
      expect(outcomes.flatMap(({ rejected }) => rejected)).toEqual([]);
      expect(await h.rows('SELECT version, size FROM clubs WHERE id = ?', [club])).toEqual([{ version: 9, size: 9 }]);
      expect((await h.mongoDocuments('event_logs')).find(({ _id }) => _id === event)).toMatchObject({
        version: 9,
        what: 'v9',
      });
    }
  });

  it('fields of a sheet each end as their newest version', async () => {
    const sink = h.engine.stores.postgres.sink;
    await fc.assert(
      fc.asyncProperty(batches, async (examples) => {
        const club = testId('club');
        const head = buildRoll(club);
        const people = Array.from({ length: KEYS }, () => testId('person'));
        // One sheet: each batch brings some of its fields.
        for (const batch of examples) {
          await sink.write(rollEntity, [
            {
              key: `${club}:2031-05-05`,
              version: Math.max(...batch.map(({ version }) => version)),
              isDeleted: false,
              source: sourceOf(head),
              fields: batch.map(({ key, version }) => ({
                document: buildMark({ person_id: people[key], minutes: version }),
                version,
              })),
            },
          ]);
        }
        const wanted = people.flatMap((person_id, key) => {
          const versions = examples
            .flat()
            .filter((one) => one.key === key)
            .map(({ version }) => version);
          return versions.length === 0
            ? []
            : [{ person_id, minutes: Math.max(...versions), version: Math.max(...versions) }];
        });
        const rows = await h.rows('SELECT person_id, minutes, version FROM roll_marks WHERE roll_id = ?', [head.id]);
        expect(new Set(rows.map((row) => JSON.stringify(row)))).toEqual(
          new Set(wanted.map((row) => JSON.stringify(row))),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('events tell each change of a row once and in order, whatever order batches land in', async () => {
    const sink = h.engine.stores.postgres.sink;
    // Few values, so that a row often becomes what it was: an event that took the wrong row for the one before would be missed.
    const sizeOf = (version: number): number => version % 3;
    await fc.assert(
      fc.asyncProperty(batches, fc.boolean(), async (examples, isConcurrent) => {
        const clubs = Array.from({ length: KEYS }, () => testId('club'));
        const head = buildRoll(testId('club'));
        const sheetKey = `${head.club_id}:${head.held_on}`;
        const people = Array.from({ length: KEYS }, () => testId('person'));
        const write = async (batch: (typeof examples)[0]): Promise<void> => {
          await sink.write(
            clubEntity,
            batch.map(({ key, version }) => ({
              key: clubs[key]!,
              version,
              isDeleted: false,
              source: sourceOf(buildClub({ id: clubs[key], size: sizeOf(version) })),
              fields: [],
            })),
          );
          await sink.write(rollEntity, [
            {
              key: sheetKey,
              version: Math.max(...batch.map(({ version }) => version)),
              isDeleted: false,
              source: sourceOf(head),
              fields: batch.map(({ key, version }) => ({
                document: buildMark({ person_id: people[key], minutes: sizeOf(version) }),
                version,
              })),
            },
          ]);
        };
        if (isConcurrent) await Promise.all(examples.map(write));
        else for (const batch of examples) await write(batch);
        for (const batch of examples.toReversed()) await write(batch);

        for (const id of clubs) {
          const told = (await h.storedEvents(id)).map(({ payload }) => payload.size);
          for (const [index, size] of told.entries()) expect(size).not.toBe(told[index - 1]);
          const [row] = await h.rows('SELECT size FROM clubs WHERE id = ?', [id]);
          expect(told.at(-1)).toBe(row?.size);
        }
        const last = new Map<unknown, unknown>();
        for (const { payload } of await h.storedEvents(sheetKey)) {
          for (const { person, old, new: value } of payload.changed as {
            person: string;
            old: unknown;
            new: unknown;
          }[]) {
            expect(old).toBe(last.get(person) ?? null);
            expect(value).not.toBe(old);
            last.set(person, value);
          }
        }
        const rows = await h.rows('SELECT person_id, minutes FROM roll_marks WHERE roll_id = ?', [head.id]);
        expect(last).toEqual(new Map(rows.map(({ person_id, minutes }) => [person_id, minutes])));
      }),
      { numRuns: 40 },
    );
  });

  it('documents of MongoDB end as the newest version, deleted and recreated ones too', async () => {
    const sink = h.engine.stores.mongo.sink;
    await fc.assert(
      fc.asyncProperty(batches, async (examples) => {
        const ids = Array.from({ length: KEYS }, () => testId('event'));
        const toWrite = ({ key, version, isDeleted }: (typeof examples)[0][0]): StoreWrite => ({
          key: ids[key]!,
          version,
          isDeleted,
          // Odd versions have data, even ones have none: nothing of an older document may shine through.
          source: sourceOf(
            buildEvent({ id: ids[key], what: `v${version}`, data: version % 2 === 1 ? { version } : undefined }),
          ),
          fields: [],
        });
        for (const batch of [...examples, ...examples.toReversed()]) {
          const outcome = await sink.write(eventLogEntity, batch.map(toWrite));
          expect(outcome.stored).toHaveLength(batch.length);
        }
        const stored = await h.mongoDocuments('event_logs');
        for (const [key, id] of ids.entries()) {
          const newest = examples
            .flat()
            .filter((one) => one.key === key)
            .toSorted((a, b) => b.version - a.version)[0];
          const document = stored.find(({ _id }) => _id === id);
          if (!newest) {
            expect(document).toBeUndefined();
            continue;
          }
          expect(document).toMatchObject({ version: newest.version, what: `v${newest.version}` });
          expect(document!.data ?? undefined).toEqual(
            newest.version % 2 === 1 ? { version: newest.version } : undefined,
          );
          expect(document!.deleted_at !== undefined && document!.deleted_at !== null).toBe(newest.isDeleted);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('versions handed out rise with every write of a key, in every process and above what the caller has read', async () => {
    const other = await h.startProcess();
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(fc.boolean(), fc.nat(2), fc.option(fc.integer({ min: 0, max: 10 ** 9 }), { nil: undefined })),
          { minLength: 2, maxLength: 30 },
        ),
        async (writes) => {
          const clubs = Array.from({ length: 3 }, () => buildClub());
          const last = new Map<number, number>();
          for (const [isOther, at, ahead] of writes) {
            const base = ahead === undefined ? undefined : (last.get(at) ?? Date.now() * 1000) + ahead;
            const buffer = isOther ? other.engine.buffer : h.buffer;
            const { version } = await buffer.put('club', clubs[at]!, base === undefined ? {} : { base });
            expect(version).toBeGreaterThan(Math.max(last.get(at) ?? 0, base ?? 0));
            last.set(at, version);
            if (version % 3 === 0) await h.flush('club', [String(clubs[at]!.id)]);
          }
        },
      ),
      { numRuns: 20 },
    );
  });
});
