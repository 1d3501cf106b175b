import { bigint, boolean, type Columns, type Document, type EntityDefinition, type PostgresSink, text } from '../../lib/entity.ts';
import { arrayType, binaryArray } from './binary-array.ts';
import type { StoreWrite } from './sink.ts';

/** A statement for knex.raw; its result row is `{ written, refused }`. */
export interface BatchStatement {
  sql: string;
  bindings: Buffer[];
}

/** A statement's rows by column: parallel arrays, one parameter each. */
class Rows {
  readonly columns: Columns;
  readonly values: unknown[][];

  /** @param values an array a column, in the order of `columns` */
  constructor(columns: Columns, values: unknown[][] = Object.keys(columns).map(() => [])) {
    this.columns = columns;
    this.values = values;
  }

  add(row: Document): void {
    Object.keys(this.columns).forEach((name, index) => this.values[index]!.push(row[name] ?? null));
  }

  get bindings(): Buffer[] {
    return Object.values(this.columns).map((column, index) => binaryArray(column, this.values[index]!));
  }

  /** `unnest(…) AS alias(columns)` */
  from(alias: string): string {
    const casts = Object.values(this.columns).map((column) => `?::${arrayType(column)}`);
    return `unnest(${casts.join(', ')}) AS ${alias}(${list(Object.keys(this.columns))})`;
  }
}

const quoteName = (name: string): string => `"${name}"`;
const list = (names: readonly string[], prefix = ''): string => names.map((name) => prefix + quoteName(name)).join(', ');

/** The guarded upsert of rows that stand in `source`. */
function upsert(target: { table: string; conflict: readonly string[]; version: string }, columns: readonly string[], source: string): string {
  const changes = columns.filter((name) => !target.conflict.includes(name) && name !== 'id' && name !== 'created_at');
  return `INSERT INTO ${quoteName(target.table)} (${list(columns)}) ${source}
    ON CONFLICT (${list(target.conflict)}) DO UPDATE SET ${changes.map((name) => `${quoteName(name)} = excluded.${quoteName(name)}`).join(', ')}
    WHERE ${quoteName(target.table)}.${quoteName(target.version)} < excluded.${quoteName(target.version)}`;
}

/**
 * The one statement that writes a batch: rows come from `unnest`, the version guard decides, rules of the database's
 * present state name the rows they refuse. One autocommit statement, so nothing is half written.
 */
export function batchStatement(entity: EntityDefinition, writes: readonly StoreWrite[]): BatchStatement {
  const sink = entity.sink as PostgresSink;
  if (sink.patch) return patchStatement(sink, entity, writes);
  return sink.fields ? sheetStatement(sink, sink.fields, entity, writes) : documentStatement(sink, entity, writes);
}

function refusedClause(sink: PostgresSink): string {
  const on = sink.conflict.map((name) => `stored.${quoteName(name)} = incoming.${quoteName(name)}`).join(' AND ');
  const rules = (sink.refuse ?? []).map(
    ({ code, when }) =>
      `SELECT incoming.write_key, '${code}' AS code FROM incoming JOIN ${quoteName(sink.table)} stored ON ${on} WHERE ${when}`,
  );
  return rules.length > 0 ? rules.join(' UNION ALL ') : `SELECT NULL::text AS write_key, NULL::text AS code WHERE false`;
}

const RESULT = `(SELECT coalesce(json_agg(refused), '[]') FROM refused) AS refused`;

function documentStatement(sink: PostgresSink, entity: EntityDefinition, writes: readonly StoreWrite[]): BatchStatement {
  const columns: Columns = { ...entity.columns, [sink.version]: bigint };
  const names = Object.keys(columns);
  const valueOf = (name: string, { document, version, isDeleted }: StoreWrite): unknown => {
    if (name === sink.version) return version;
    if (name === sink.softDelete) return isDeleted ? (document?.[name] ?? new Date(version / 1000).toISOString()) : null;
    return document?.[name];
  };
  if (!sink.refuse) {
    const rows = new Rows(columns, names.map((name) => writes.map((write) => valueOf(name, write))));
    return { sql: upsert(sink, names, `SELECT ${list(names)} FROM ${rows.from('incoming')}`), bindings: rows.bindings };
  }
  const values = names.map((name) => writes.map((write) => valueOf(name, write)));
  const rows = new Rows({ ...columns, write_key: text }, [...values, writes.map(({ key }) => key)]);
  const source = `SELECT ${list(names)} FROM incoming WHERE write_key NOT IN (SELECT write_key FROM refused)`;
  return {
    sql: `WITH incoming AS MATERIALIZED (SELECT * FROM ${rows.from('input')}),
      refused AS MATERIALIZED (${refusedClause(sink)}),
      written AS (${upsert(sink, names, source)} RETURNING 1)
      SELECT (SELECT count(*)::int FROM written) AS written, ${RESULT}`,
    bindings: rows.bindings,
  };
}

function sheetStatement(
  sink: PostgresSink,
  fields: NonNullable<PostgresSink['fields']>,
  entity: EntityDefinition,
  writes: readonly StoreWrite[],
): BatchStatement {
  const headColumns: Columns = { ...entity.columns, [sink.version]: bigint };
  const heads = new Rows({ ...headColumns, write_key: text });
  const memberColumns: Columns = { [fields.headId]: { type: 'uuid' }, ...fields.copy, ...entity.fields!.columns, [fields.version]: bigint };
  const members = new Rows({ ...memberColumns, write_key: text });
  for (const write of writes) {
    const head = write.document;
    if (!head) throw new Error(`a sheet of ${entity.name} came without its head`);
    heads.add({ ...head, [sink.version]: write.version, write_key: write.key });
    for (const { document, version } of write.fields) {
      members.add({ ...head, ...document, [fields.headId]: head.id, [fields.version]: version, write_key: write.key });
    }
  }
  const kept = `write_key NOT IN (SELECT write_key FROM refused)`;
  const headNames = Object.keys(headColumns);
  const memberNames = Object.keys(memberColumns);
  return {
    sql: `WITH incoming AS MATERIALIZED (SELECT * FROM ${heads.from('input')}),
      refused AS MATERIALIZED (${refusedClause(sink)}),
      heads AS (${upsert(sink, headNames, `SELECT ${list(headNames)} FROM incoming WHERE ${kept}`)} RETURNING 1),
      members AS (${upsert(fields, memberNames, `SELECT ${list(memberNames)} FROM ${members.from('member')} WHERE ${kept}`)} RETURNING 1)
      SELECT (SELECT count(*)::int FROM heads) AS written, (SELECT count(*)::int FROM members) AS members, ${RESULT}`,
    bindings: [...heads.bindings, ...members.bindings],
  };
}

function patchStatement(sink: PostgresSink, entity: EntityDefinition, writes: readonly StoreWrite[]): BatchStatement {
  const { columns, json, only } = sink.patch!;
  const key = sink.conflict[0]!;
  const names = Object.keys(columns);
  const rows = new Rows({
    [key]: entity.columns[key]!,
    ...columns,
    ...Object.fromEntries(names.map((name) => [`has_${name}`, boolean])),
    json_patch: { type: 'jsonb' },
    [sink.version]: bigint,
  });
  for (const { key: id, fields, version } of writes) {
    const row: Document = { [key]: id, [sink.version]: version, json_patch: {} };
    for (const { document } of fields) {
      const name = document.name as string;
      if (columns[name]) Object.assign(row, { [name]: document.value, [`has_${name}`]: true });
      else Object.assign(row.json_patch as Document, { [name]: document.value });
    }
    for (const name of names) row[`has_${name}`] ??= false;
    rows.add(row);
  }
  const sets = names.map((name) => `${quoteName(name)} = CASE WHEN incoming.${quoteName(`has_${name}`)} THEN incoming.${quoteName(name)} ELSE stored.${quoteName(name)} END`);
  return {
    sql: `UPDATE ${quoteName(sink.table)} stored SET ${[
      ...sets,
      `${quoteName(json.column)} = stored.${quoteName(json.column)} || incoming.json_patch`,
      `${quoteName(sink.version)} = incoming.${quoteName(sink.version)}`,
      'updated_at = now()',
    ].join(', ')}
      FROM ${rows.from('incoming')}
      WHERE stored.${quoteName(key)} = incoming.${quoteName(key)} AND stored.${quoteName(sink.version)} < incoming.${quoteName(sink.version)} AND ${only}`,
    bindings: rows.bindings,
  };
}
