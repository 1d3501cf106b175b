import type { Knex } from 'knex';
import type { ColumnSpec } from './specification.ts';

/** What PostgreSQL's own catalogue says about one table. */
export interface CatalogueTable {
  columns: Record<string, Omit<ColumnSpec, 'values'>>;
  primaryKey: string;
  indexes: string[];
  /** Without `CHECK`, parentheses and casts. */
  checks: string[];
}

const query = async <T>(knex: Knex, sql: string, table: string): Promise<T[]> =>
  (await knex.raw(sql, [table])).rows as T[];

/** Tables of the school, without knex's own. */
export async function tableNames(knex: Knex): Promise<string[]> {
  const { rows } = await knex.raw(
    `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname NOT LIKE 'knex_%' ORDER BY 1`,
  );
  return (rows as { relname: string }[]).map(({ relname }) => relname);
}

export async function readTable(knex: Knex, table: string): Promise<CatalogueTable> {
  const columns = await query<{
    name: string;
    type: string;
    nullable: boolean;
    default: string | null;
    references: string | null;
  }>(
    knex,
    `SELECT a.attname AS name, t.typname || CASE WHEN t.typname = 'timestamptz' THEN '(' || a.atttypmod || ')' ELSE '' END AS type,
       NOT a.attnotnull AS nullable, pg_get_expr(d.adbin, d.adrelid) AS default,
       (SELECT confrelid::regclass || ' ' || CASE confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'r' THEN 'RESTRICT' ELSE confdeltype::text END
        FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = a.attrelid AND f.conkey = ARRAY[a.attnum]) AS references
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = ?::regclass AND a.attnum > 0 AND NOT a.attisdropped`,
    table,
  );
  const indexes = await query<{ definition: string; unique: boolean; primary: boolean }>(
    knex,
    `SELECT regexp_replace(pg_get_indexdef(indexrelid), '^.* USING btree ', '') AS definition, indisunique AS unique, indisprimary AS primary
     FROM pg_index WHERE indrelid = ?::regclass`,
    table,
  );
  const checks = await query<{ definition: string }>(
    knex,
    `SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE contype = 'c' AND conrelid = ?::regclass`,
    table,
  );
  return {
    columns: Object.fromEntries(
      columns.map((column) => [
        column.name,
        {
          type: column.type,
          isNullable: column.nullable,
          default: column.default?.replace(/::\w+$/, '').replaceAll("'", ''),
          references: column.references ?? undefined,
        },
      ]),
    ),
    primaryKey: indexes.find(({ primary }) => primary)!.definition.slice(1, -1),
    indexes: indexes
      .filter(({ primary }) => !primary)
      .map(({ definition, unique }) => (unique ? 'UQ' : 'IX') + plainIndex(definition)),
    checks: checks.map(({ definition }) => plainCheck(definition)),
  };
}

/** `(a, b) WHERE (c IS NULL)` → `(a, b) WHERE c IS NULL` */
const plainIndex = (definition: string): string =>
  definition.replace(/ WHERE \((.*)\)$/, ' WHERE $1').replaceAll('::text', '');

const plainCheck = (definition: string): string =>
  definition
    .replace(/^CHECK /, '')
    .replace(/::\w+(\[\])?/g, '')
    .replaceAll('char_length', 'length')
    .replace(/\(+(length)\(+(\w+)\)+/g, '$1 $2')
    .replace(/[()]/g, '');
