import fc from 'fast-check';
import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bigint,
  boolean,
  type Document,
  date,
  defineEntity,
  instant,
  int,
  oneOf,
  text,
  uuid,
} from '../../../src/lib/entity.ts';
import { type Condition, compareDocuments, isAfter, matches } from '../../../src/stores/postgres/conditions.ts';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { Rows } from '../../../src/stores/postgres/rows.ts';
import { PostgresSink } from '../../../src/stores/sinks/postgres-sink.ts';
import { sourceOf } from '../../../src/stores/sinks/sink.ts';
import { anyText, documentOf, valuesOf } from '../../support/arbitraries.ts';
import { createOwnDatabase, type OwnDatabase } from '../../support/own-database.ts';

const entity = defineEntity({
  name: 'thing',
  service: 'test',
  kind: 'document',
  columns: {
    id: uuid,
    label: text,
    size: int,
    amount: bigint,
    is_open: boolean,
    on_day: date,
    at: instant,
    grade: oneOf('b', 'a', 'C'),
    ref: uuid,
  },
  key: ['id'],
  schema: undefined as never,
  lane: 'bulk',
  durability: 'buffered',
  sink: { kind: 'postgres', table: 'things', conflict: ['id'], version: 'version' },
  shape: 1,
  examples: [],
});
const NAMES = Object.keys(entity.columns).filter((name) => name !== 'id');

/** Few different values, so that conditions meet equal ones and pages have ties. */
const document: fc.Arbitrary<Document> = fc
  .tuple(
    fc.uuid(),
    documentOf(entity.columns),
    fc.constantFrom('', 'ä', 'Z', 'a', 'a ', 'ab', '\u{1f600}', '\uffff'),
    fc.integer({ min: -2, max: 2 }),
  )
  .map(([id, values, label, size]) => ({
    ...Object.fromEntries(NAMES.map((name) => [name, null])),
    ...values,
    label: values.label === null ? null : label,
    size: values.size === null ? null : size,
    id,
  }));

const condition = (documents: readonly Document[]): fc.Arbitrary<Condition> =>
  fc.constantFrom(...NAMES).chain((column) => {
    const own = documents.map((one) => one[column]).filter((value) => value !== null);
    const value = fc.oneof(valuesOf(entity.columns[column]!), ...(own.length > 0 ? [fc.constantFrom(...own)] : []));
    return fc.oneof(
      fc.record({
        column: fc.constant(column),
        op: fc.constantFrom('eq', 'ne', 'lt', 'lte', 'gt', 'gte'),
        value,
      }) as fc.Arbitrary<Condition>,
      fc.record({
        column: fc.constant(column),
        op: fc.constant('in'),
        value: fc.array(value, { maxLength: 3 }),
      }) as fc.Arbitrary<Condition>,
      fc.record({ column: fc.constant(column), op: fc.constantFrom('null', 'notNull') }) as fc.Arbitrary<Condition>,
    );
  });

describe('conditions', () => {
  let database: OwnDatabase;
  let knex: Knex;
  let rows: Rows;

  beforeAll(async () => {
    database = await createOwnDatabase();
    knex = createPostgres({ url: database.url, maxConnections: 2 });
    rows = new Rows(knex);
    await knex.raw(
      'CREATE TABLE things (id uuid PRIMARY KEY, label text, size int, amount bigint, is_open boolean, on_day date, at timestamptz(3), grade text, ref uuid, version bigint NOT NULL)',
    );
  });
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });

  const store = async (documents: readonly Document[]): Promise<void> => {
    await knex.raw('TRUNCATE things');
    await new PostgresSink(knex).write(
      entity,
      documents.map((one) => ({
        key: String(one.id),
        version: 1,
        isDeleted: false,
        source: sourceOf(one),
        fields: [],
      })),
    );
  };
  const all = { sort: { column: 'id', direction: 'asc' }, limit: 1000 } as const;

  it('choose the same rows in PostgreSQL and in JavaScript', async () => {
    const example = fc
      .uniqueArray(document, { minLength: 1, maxLength: 12, selector: ({ id }) => id })
      .chain((documents) =>
        fc.tuple(fc.constant(documents), fc.array(condition(documents), { minLength: 1, maxLength: 3 })),
      );
    await fc.assert(
      fc.asyncProperty(example, async ([documents, where]) => {
        await store(documents);
        const stored = (await rows.page(entity, { ...all, where })).map((row) => row.document.id);
        expect(new Set(stored)).toEqual(
          new Set(documents.filter((one) => matches(entity, one, where)).map(({ id }) => id)),
        );
        expect(await rows.count(entity, where, [])).toBe(stored.length);
      }),
      { numRuns: 150 },
    );
  });

  it('order and page rows alike, ties and nulls included', async () => {
    const example = fc.tuple(
      fc.uniqueArray(document, { minLength: 1, maxLength: 12, selector: ({ id }) => id }),
      fc.constantFrom(...NAMES),
      fc.constantFrom('asc', 'desc'),
      fc.nat(11),
    );
    await fc.assert(
      fc.asyncProperty(example, async ([documents, column, direction, at]) => {
        await store(documents);
        const sort = { column, direction } as const;
        const wanted = [...documents].sort((a, b) => compareDocuments(entity, sort, a, b));
        expect((await rows.page(entity, { where: [], sort, limit: 100 })).map((row) => row.document.id)).toEqual(
          wanted.map(({ id }) => id),
        );
        const from = wanted[at % wanted.length]!;
        const after = { value: from[column], id: String(from.id) };
        const page = await rows.page(entity, { where: [], sort, after, limit: 100 });
        expect(page.map((row) => row.document.id)).toEqual(
          wanted.filter((one) => isAfter(entity, sort, one, after)).map(({ id }) => id),
        );
      }),
      { numRuns: 150 },
    );
  });

  it('take texts as they are: no pattern, no quoting, no collation', async () => {
    await fc.assert(
      fc.asyncProperty(anyText(20), async (label) => {
        await store([{ id: '00000000-0000-4000-8000-000000000001', label }]);
        expect(await rows.count(entity, [{ column: 'label', op: 'eq', value: label }], [])).toBe(1);
      }),
      { numRuns: 100 },
    );
  });
});
