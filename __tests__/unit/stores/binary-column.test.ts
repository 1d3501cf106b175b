import fc from 'fast-check';
import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bigint, boolean, type Column, date, instant, int, json, oneOf, text, uuid } from '../../../src/lib/entity.ts';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { arrayType, BinaryColumn, BinaryValueError } from '../../../src/stores/sinks/binary-column.ts';
import { valuesOf } from '../../support/arbitraries.ts';
import { createOwnDatabase, type OwnDatabase } from '../../support/own-database.ts';

const COLUMNS: Record<string, Column> = {
  uuid,
  text,
  int,
  bigint,
  boolean,
  date,
  instant,
  json,
  enum: oneOf('a', 'b'),
};

describe('binary column', () => {
  let database: OwnDatabase;
  let knex: Knex;
  beforeAll(async () => {
    database = await createOwnDatabase();
    knex = createPostgres({ url: database.url, maxConnections: 1 });
  });
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });

  it.each(Object.entries(COLUMNS))('%s: PostgreSQL gives every value back', async (_name, column) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(valuesOf(column), { nil: null, freq: 4 }), { maxLength: 20 }),
        async (values) => {
          const binary = new BinaryColumn(column, 2);
          for (const value of values) binary.value(value);
          const { rows } = await knex.raw(
            `SELECT value FROM unnest(?::${arrayType(column)}) WITH ORDINALITY AS row(value, at) ORDER BY at`,
            [binary.take()],
          );
          expect(rows.map(({ value }: { value: unknown }) => value)).toEqual(values);
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    [uuid, 'zz'],
    [int, 2 ** 31],
    [int, 1.5],
    [bigint, 2 ** 53],
    [date, '2031-02-40'],
    [instant, 'noon'],
  ] as const)('%j does not take %j', (column, value) => {
    expect(() => new BinaryColumn(column, 1).value(value)).toThrow(BinaryValueError);
  });
});
