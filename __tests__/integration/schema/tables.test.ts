import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/lib/limits.ts';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { migrate } from '../../../src/stores/postgres/migrate.ts';
import { createOwnDatabase, type OwnDatabase } from '../../support/own-database.ts';
import { type CatalogueTable, readTable, tableNames } from './catalogue.ts';
import { CHECKS, parseTable, SPECIFICATION } from './specification.ts';

const sorted = (items: readonly string[]): string[] => [...items].sort();
const limitsOf = (table: string): Record<string, number> =>
  (LIMITS as Record<string, Record<string, number>>)[table] ?? {};

describe('tables', () => {
  let database: OwnDatabase;
  let knex: Knex;

  beforeAll(async () => {
    database = await createOwnDatabase();
    await migrate(database.url);
    knex = createPostgres({ url: database.url, maxConnections: 2 });
  });
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });

  it('are those of the specification', async () => {
    expect(await tableNames(knex)).toEqual(sorted(Object.keys(SPECIFICATION)));
  });

  describe.each(Object.entries(SPECIFICATION))('%s', (name, line) => {
    const wanted = parseTable(line);
    let table: CatalogueTable;
    beforeAll(async () => {
      table = await readTable(knex, name);
    });

    it('has its columns with type, null, default and reference', () => {
      const columns = Object.entries(wanted.columns).map(([column, { values: _, ...rest }]) => [column, rest]);
      expect(table.columns).toEqual(Object.fromEntries(columns));
    });

    it('has its keys and indexes', () => {
      expect(table.primaryKey).toBe(wanted.primaryKey);
      expect(sorted(table.indexes)).toEqual(sorted(wanted.indexes));
    });

    it('checks lists, ranges and the lengths of LIMITS', () => {
      const lists = Object.entries(wanted.columns).flatMap(([column, { values }]) =>
        values ? [`${column} = ANY ARRAY[${values.map((value) => `'${value}'`).join(', ')}]`] : [],
      );
      const lengths = Object.entries(limitsOf(name)).map(([column, limit]) =>
        name === 'attendance_corrections' && column === 'reason'
          ? `length ${column} >= 5 AND length ${column} <= ${limit}`
          : `length ${column} <= ${limit}`,
      );
      expect(sorted(table.checks)).toEqual(sorted([...lists, ...lengths, ...(CHECKS[name] ?? [])]));
    });
  });

  it('name indexes for their table and kind', async () => {
    const { rows } = await knex.raw(
      `SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
       WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'knex_%' AND NOT indisprimary
         AND indexrelid::regclass::text NOT LIKE relname || '_%' || CASE WHEN indisunique THEN '_uq' ELSE '_idx' END`,
    );
    expect(rows).toEqual([]);
  });

  it('have limits for tables that exist', () => {
    expect(Object.keys(SPECIFICATION)).toEqual(expect.arrayContaining(Object.keys(LIMITS)));
  });
});
