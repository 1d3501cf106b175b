import { describe, expect, it } from 'vitest';
import { toStoreWrites } from '../../../src/buffer/store-writes.ts';
import { defineEntity } from '../../../src/lib/entity.ts';
import { batchStatement, olderStatement } from '../../../src/stores/sinks/postgres-statement.ts';
import { sourceOf } from '../../../src/stores/sinks/sink.ts';
import { useHarness } from '../../support/engine-harness.ts';
import {
  buildClub,
  buildClubMember,
  buildMark,
  buildRoll,
  clubEntity,
  permitEntity,
  rollEntity,
  testId,
} from '../../support/test-entities.ts';
import { until } from '../../support/until.ts';

const h = useHarness();

const rollKey = ({ club_id, held_on }: Record<string, unknown>): string => `${club_id}:${held_on}`;
const putRoll = (head: Record<string, unknown>, marks: Record<string, unknown>[]) =>
  h.buffer.putSheet('roll', rollKey(head), head, marks);
const flushRoll = (head: Record<string, unknown>) => h.flush('roll', [rollKey(head)]);

/** Resolves when so many statements wait for a lock. */
const waiting = (count: number): Promise<true> =>
  until(`${count} statements to wait`, async () => {
    const rows = await h.rows(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    return rows.length >= count ? true : undefined;
  });

describe('events of stored documents', () => {
  it('carry columns of the row as it is written, as JSON has them, under the key of the document', async () => {
    const club = buildClub({ size: 7, opens_at: '2031-05-05T08:30:00.250Z', tags: { room: 'B12', days: [1, 2] } });
    await h.put('club', club);
    await h.flush('club', [String(club.id)]);
    expect(await h.storedEvents(String(club.id))).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        name: 'homework.changed',
        aggregate_id: club.id,
        payload: {
          club_id: club.id,
          size: 7,
          founded_on: '1998-09-01',
          opens_at: '2031-05-05T08:30:00.250Z',
          tags: { room: 'B12', days: [1, 2] },
        },
        envelope: { v: 1, actorId: null, requestId: null },
      },
    ]);
  });

  it('are made only where the condition on the row before and after holds', async () => {
    const club = buildClub({ size: 2 });
    for (const changes of [{}, { is_open: false }, { district: 'south' }, { size: null }]) {
      await h.put('club', { ...club, ...changes });
      await h.flush('club', [String(club.id)]);
    }
    expect((await h.storedEvents(String(club.id))).map(({ payload }) => payload.size)).toEqual([2, null]);
  });

  it('are made of rows looked up one by one, however many others the table has', async () => {
    await h.rows("INSERT INTO permits SELECT gen_random_uuid(), 'somebody', 1 FROM generate_series(1, 20000)");
    await h.rows('ANALYZE permits');
    const writes = Array.from({ length: 300 }, () => {
      const id = testId('permit');
      return { key: id, version: 2, isDeleted: false, source: sourceOf({ id, holder: 'new' }), fields: [] };
    });
    for (const { sql, bindings } of [batchStatement(permitEntity, writes), olderStatement(permitEntity, writes)!]) {
      const { rows } = await h.knex.raw(`EXPLAIN ${sql}`, bindings);
      const plan = rows.map((row: Record<string, string>) => row['QUERY PLAN']).join('\n');
      expect(plan).toContain('on permits');
      expect(plan).not.toContain('Seq Scan on permits');
    }
    await h.rows("DELETE FROM permits WHERE holder = 'somebody'");
  });

  it('W3: stand or fall with the statement: a refused batch tells nothing', async () => {
    const [good, bad] = [testId('permit'), testId('permit')];
    for (const id of [good, bad]) await h.put('permit', { id, holder: 'first' });
    await h.flush('permit', [good, bad]);
    await h.rows('UPDATE permits SET is_locked = true WHERE id = ?', [bad]);
    for (const id of [good, bad]) await h.put('permit', { id, holder: 'second' });
    expect(await h.flush('permit', [good, bad])).toMatchObject({ stored: 1, failed: 1 });
    const holders = async (id: string) => (await h.storedEvents(id)).map(({ payload }) => payload.holder);
    expect(await holders(good)).toEqual(['first', 'second']);
    expect(await holders(bad)).toEqual(['first']);
  });

  it('I3: are not made again by a batch that comes again', async () => {
    const permits = Array.from({ length: 5 }, () => ({ id: testId('permit'), holder: 'first' }));
    for (const permit of permits) await h.put('permit', permit);
    const ids = permits.map(({ id }) => id);
    const fetched = await h.buffer.fetch('permit', ids);
    const writes = toStoreWrites(permitEntity, fetched);
    const { sink } = h.engine.stores.postgres;
    await sink.write(permitEntity, writes);
    await Promise.all([sink.write(permitEntity, writes), h.flush('permit', ids)]);
    for (const id of ids) expect(await h.storedEvents(id)).toHaveLength(1);
  });
});

describe('events of stored sheets', () => {
  it('are one a sheet and batch, with the fields whose column is another than before', async () => {
    const head = buildRoll(testId('club'));
    const [ada, bob] = [buildMark({ minutes: 10 }), buildMark({ minutes: 20 })];
    await putRoll(head, [ada, bob]);
    await flushRoll(head);
    await putRoll(head, [
      { ...ada, minutes: 15 },
      { ...bob, note: 'the same minutes' },
    ]);
    await flushRoll(head);
    await putRoll(head, [{ ...ada, minutes: 15, note: 'nothing that counts' }]);
    await flushRoll(head);
    const [first, second, ...more] = await h.storedEvents(rollKey(head));
    expect(first).toMatchObject({
      name: 'attendance.stored',
      payload: { club_id: head.club_id, date: '2031-05-05' },
      envelope: { v: 1, actorId: null, requestId: null },
    });
    expect(first!.payload.changed).toEqual(
      [
        { person: ada.person_id, old: null, new: 10 },
        { person: bob.person_id, old: null, new: 20 },
      ].sort((a, b) => (String(a.person) < String(b.person) ? -1 : 1)),
    );
    expect(second!.payload.changed).toEqual([{ person: ada.person_id, old: 10, new: 15 }]);
    expect(more).toEqual([]);
  });

  it('of several sheets of a batch are one each', async () => {
    const heads = Array.from({ length: 5 }, () => buildRoll(testId('club')));
    for (const head of heads) await putRoll(head, [buildMark(), buildMark()]);
    const result = await h.flush('roll', heads.map(rollKey));
    expect(result).toMatchObject({ stored: 5, statements: 1 });
    for (const head of heads) {
      const events = await h.storedEvents(rollKey(head));
      expect(events).toHaveLength(1);
      expect(events[0]!.payload.changed).toHaveLength(2);
    }
  });
});

describe('I3: what an event calls old is what the row was, though batches cross', () => {
  it('a sheet’s batch that waited for another tells the change from what the other has stored', async () => {
    const head = buildRoll(testId('club'));
    const mark = buildMark({ minutes: 1 });
    const write = (version: number, minutes: number) =>
      h.engine.stores.postgres.sink.write(rollEntity, [
        {
          key: rollKey(head),
          version,
          isDeleted: false,
          source: { document: head, pour: () => {} },
          fields: [{ document: { ...mark, minutes }, version }],
        },
      ]);
    await write(1, 1);
    const lock = await h.knex.transaction();
    await lock.raw('SELECT 1 FROM rolls WHERE id = ? FOR UPDATE', [String(head.id)]);
    // Both see 1; the second finds 5 once it has the row, and writes 1 again.
    const first = write(2, 5);
    await waiting(1);
    const second = write(3, 1);
    await waiting(2);
    await lock.commit();
    await Promise.all([first, second]);
    expect((await h.storedEvents(rollKey(head))).map(({ payload }) => payload.changed)).toEqual(
      [
        [null, 1],
        [1, 5],
        [5, 1],
      ].map(([old, value]) => [{ person: mark.person_id, old, new: value }]),
    );
  });

  it('a document’s batch that waited for another is judged by what the other has stored', async () => {
    const club = buildClub({ size: 1 });
    const id = String(club.id);
    const write = (version: number, size: number) => {
      const document = { ...club, size };
      const pour = (writers: ReadonlyMap<string, { value(value: unknown): void }>) => {
        for (const [name, writer] of writers) writer.value((document as Record<string, unknown>)[name]);
      };
      return h.engine.stores.postgres.sink.write(clubEntity, [
        { key: id, version, isDeleted: false, source: { document, pour }, fields: [] },
      ]);
    };
    await write(1, 1);
    const lock = await h.knex.transaction();
    await lock.raw('SELECT 1 FROM clubs WHERE id = ? FOR UPDATE', [id]);
    const first = write(2, 5);
    await waiting(1);
    const second = write(3, 1);
    await waiting(2);
    await lock.commit();
    const outcomes = await Promise.all([first, second]);
    expect(outcomes.map(({ stored, rejected, stale }) => ({ stored, rejected, stale }))).toEqual([
      { stored: [id], rejected: [], stale: 0 },
      { stored: [id], rejected: [], stale: 0 },
    ]);
    expect((await h.storedEvents(id)).map(({ payload }) => payload.size)).toEqual([1, 5, 1]);
    expect((await h.rows('SELECT size, version FROM clubs WHERE id = ?', [id]))[0]).toEqual({ size: 1, version: 3 });
  });
});

describe('statements', () => {
  /** Of the tables of these tests, as the database counts them. */
  const counted = async (table: string): Promise<number> => {
    const [row] = await h.rows(
      `SELECT coalesce(sum(calls), 0)::int AS calls FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
       WHERE d.datname = current_database() AND toplevel AND query ILIKE ?`,
      [`%INSERT INTO "${table}"%`],
    );
    return Number(row!.calls);
  };

  it('are one a batch, with events and without', async () => {
    await h.rows('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
    const clubs = Array.from({ length: 50 }, () => buildClub());
    for (const club of clubs) await h.put('club', club);
    const before = await counted('clubs');
    const written = await h.flush(
      'club',
      clubs.map(({ id }) => String(id)),
    );
    expect(written).toMatchObject({ stored: 50, statements: 1 });
    expect((await counted('clubs')) - before).toBe(1);
  });

  it('name the events’ table only where an entity makes events', async () => {
    const club = buildClub();
    await h.put('club', club);
    await h.flush('club', [String(club.id)]);
    const member = buildClubMember(String(club.id));
    await h.put('club_member', member);
    await h.flush('club_member', [`${club.id}:${member.person_id}`]);
    const [row] = await h.rows(
      `SELECT count(*)::int AS count FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
       WHERE d.datname = current_database() AND query ILIKE '%club_members%' AND query ILIKE '%outbox_events%'`,
    );
    expect(row!.count).toBe(0);
    expect(await h.storedEvents(`${club.id}:${member.person_id}`)).toEqual([]);
  });
});

describe('a description', () => {
  const sink = clubEntity.sink as Extract<typeof clubEntity.sink, { kind: 'postgres' }>;
  it.each([
    [
      'a column that is not declared',
      { ...clubEntity, sink: { ...sink, events: [{ name: 'homework.changed', payload: { a: 'no_such' } }] } },
    ],
    [
      'changed fields of a document',
      {
        ...clubEntity,
        sink: {
          ...sink,
          events: [{ name: 'homework.changed', payload: {}, changed: { key: 'person', column: 'size' } }],
        },
      },
    ],
    [
      'a sheet’s event without its changed fields',
      { ...rollEntity, sink: { ...rollEntity.sink, events: [{ name: 'attendance.stored', payload: {} }] } },
    ],
    [
      'a sheet’s event of a column that its fields lack',
      {
        ...rollEntity,
        sink: {
          ...rollEntity.sink,
          events: [{ name: 'attendance.stored', payload: {}, changed: { key: 'person', column: 'no_such' } }],
        },
      },
    ],
  ] as [string, typeof clubEntity][])('with %s stops the process', (_, entity) => {
    expect(() => defineEntity(entity)).toThrow(/event/);
  });
});
