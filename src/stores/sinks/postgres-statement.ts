import type { RefusalReason } from '../../errors/driver-errors.ts';
import {
  bigint,
  boolean,
  type Columns,
  type Document,
  type EntityDefinition,
  type PostgresSink,
  text,
} from '../../lib/entity.ts';
import { arrayType, BinaryColumn } from './binary-column.ts';
import { type StoreWrite, unreadable } from './sink.ts';

/** A statement for knex.raw; its result row is `{ written, refused }`. */
export interface BatchStatement {
  sql: string;
  bindings: Buffer[];
  /** Writes that the statement leaves out, since their payload cannot be read. */
  unreadable: { key: string; reason: RefusalReason }[];
}

/** A statement's rows by column: parallel arrays, one parameter each. */
class Rows {
  readonly columns: Columns;
  readonly writers: ReadonlyMap<string, BinaryColumn>;
  readonly unreadable: BatchStatement['unreadable'] = [];

  constructor(columns: Columns, rows: number) {
    this.columns = columns;
    this.writers = new Map(Object.entries(columns).map(([name, column]) => [name, new BinaryColumn(column, rows)]));
  }

  /** Adds a row, here and in the tables that go with it, or, when its payload turns out broken, nothing of it. */
  try(key: string, add: () => void, others: readonly Rows[] = []): void {
    const writers = [this, ...others].flatMap((rows) => [...rows.writers.values()]);
    const marks = writers.map((writer) => writer.mark());
    try {
      add();
    } catch (error) {
      for (const [index, writer] of writers.entries()) writer.reset(marks[index]!);
      this.unreadable.push({ key, reason: unreadable(error) });
    }
  }

  set(name: string, value: unknown): void {
    this.writers.get(name)!.value(value);
  }

  add(row: Document): void {
    for (const [name, writer] of this.writers) writer.value(row[name]);
  }

  get bindings(): Buffer[] {
    return [...this.writers.values()].map((writer) => writer.take());
  }

  /** `unnest(…) AS alias(columns)` */
  from(alias: string): string {
    const casts = Object.values(this.columns).map((column) => `?::${arrayType(column)}`);
    return `unnest(${casts.join(', ')}) AS ${alias}(${list(Object.keys(this.columns))})`;
  }
}

const quoteName = (name: string): string => `"${name}"`;
const list = (names: readonly string[], prefix = ''): string =>
  names.map((name) => prefix + quoteName(name)).join(', ');

/** The guarded upsert of rows that stand in `source`. */
function upsert(
  target: { table: string; conflict: readonly string[]; version: string },
  columns: readonly string[],
  source: string,
): string {
  const changes = columns.filter((name) => !target.conflict.includes(name) && name !== 'id' && name !== 'created_at');
  return `INSERT INTO ${quoteName(target.table)} AS stored (${list(columns)}) ${source}
    ON CONFLICT (${list(target.conflict)}) DO UPDATE SET ${changes.map((name) => `${quoteName(name)} = excluded.${quoteName(name)}`).join(', ')}
    WHERE stored.${quoteName(target.version)} < excluded.${quoteName(target.version)}`;
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
  const version = quoteName(sink.version);
  // A write that comes again after a newer one is stale, not refused: the state that speaks against it is its successor's.
  const isNews = `(stored.${version} IS NULL OR stored.${version} < incoming.${version})`;
  const rules = (sink.refuse ?? []).map(
    ({ code, when }) =>
      `SELECT incoming.write_key, '${code}' AS code FROM incoming LEFT JOIN ${quoteName(sink.table)} stored ON ${on} WHERE ${isNews} AND (${when})`,
  );
  return rules.length > 0
    ? rules.join(' UNION ALL ')
    : `SELECT NULL::text AS write_key, NULL::text AS code WHERE false`;
}

const RESULT = `(SELECT coalesce(json_agg(refused), '[]') FROM refused) AS refused`;

/** Rows of plain documents, and where their values come from. */
function documentRows(
  sink: PostgresSink,
  entity: EntityDefinition,
  writes: readonly StoreWrite[],
  extra: Columns = {},
): Rows {
  const rows = new Rows({ ...entity.columns, [sink.version]: bigint, ...extra }, writes.length);
  const own = new Set([sink.version, sink.softDelete, ...Object.keys(extra)]);
  const poured = new Map([...rows.writers].filter(([name]) => !own.has(name)));
  for (const { key, source, version, isDeleted } of writes) {
    rows.try(key, () => {
      source!.pour(poured);
      rows.set(sink.version, version);
      if (sink.softDelete) rows.set(sink.softDelete, isDeleted ? new Date(version / 1000).toISOString() : null);
      if (extra.write_key) rows.set('write_key', key);
    });
  }
  return rows;
}

/** Rules stand beside the version guard, so that a batch in which nothing is refused costs nothing more. */
function documentStatement(
  sink: PostgresSink,
  entity: EntityDefinition,
  writes: readonly StoreWrite[],
): BatchStatement {
  const rows = documentRows(sink, entity, writes);
  const { links } = sink;
  const names = Object.keys({ ...entity.columns, [sink.version]: bigint }).filter((name) => name !== links?.column);
  const rules = (sink.refuse ?? []).map(({ when }) => ` AND NOT (${when.replaceAll('incoming.', 'excluded.')})`);
  const kept = sink.drop ? ` WHERE NOT (${sink.drop.when})` : '';
  const upsertFrom = (source: string) =>
    upsert(sink, names, `SELECT ${list(names)} FROM ${source}${kept}`) + rules.join('');
  const hasLinks = links !== undefined && rows.writers.get(links.column)!.hasValues;
  return {
    sql: hasLinks ? withLinks(sink, links, rows.from('input'), upsertFrom) : upsertFrom(rows.from('incoming')),
    bindings: rows.bindings,
    unreadable: rows.unreadable,
  };
}

/** The upsert, and in the same statement the links of the rows that it has written. */
function withLinks(
  { conflict }: PostgresSink,
  { column, table, ownerId, memberId, position, since }: NonNullable<PostgresSink['links']>,
  source: string,
  upsertFrom: (source: string) => string,
): string {
  const keys = [...new Set(['id', ...conflict])];
  const extra = [position, since].filter((name) => name !== undefined);
  const values = [...(position ? ['item.position'] : []), ...(since ? [`incoming.${quoteName(since)}`] : [])];
  const names = [ownerId, memberId, ...extra];
  const update =
    extra.length > 0
      ? `UPDATE SET ${extra.map((name) => `${quoteName(name)} = excluded.${quoteName(name)}`).join(', ')}`
      : 'NOTHING';
  return `WITH incoming AS MATERIALIZED (SELECT * FROM ${source}),
    written AS (${upsertFrom('incoming')} RETURNING ${list(keys, 'stored.')}),
    listed AS (SELECT written.id AS owner_id, incoming.* FROM written JOIN incoming USING (${list(conflict)}) WHERE incoming.${quoteName(column)} IS NOT NULL),
    wanted AS (SELECT incoming.owner_id AS ${quoteName(ownerId)}, item.member::uuid AS ${quoteName(memberId)}${values.map((value, index) => `, ${value} AS ${quoteName(extra[index]!)}`).join('')}
      FROM listed incoming CROSS JOIN LATERAL jsonb_array_elements_text(incoming.${quoteName(column)}) WITH ORDINALITY AS item(member, position)),
    dropped AS (DELETE FROM ${quoteName(table)} link USING listed incoming
      WHERE link.${quoteName(ownerId)} = incoming.owner_id${since ? ` AND link.${quoteName(since)} = incoming.${quoteName(since)}` : ''}
        AND NOT EXISTS (SELECT 1 FROM wanted WHERE wanted.${quoteName(ownerId)} = link.${quoteName(ownerId)} AND wanted.${quoteName(memberId)} = link.${quoteName(memberId)})),
    linked AS (INSERT INTO ${quoteName(table)} (${list(names)}) SELECT ${list(names)} FROM wanted
      ON CONFLICT (${list([ownerId, memberId])}) DO ${update})
    SELECT count(*)::int AS written FROM written`;
}

/**
 * Asks why a batch wrote fewer rows than it has: `{ write_key, code }` of each row that is still older than its write, with
 * the rule that refuses it. Rows that are not in the answer are as new already. Undefined where the entity has no rules.
 */
export function refusalStatement(entity: EntityDefinition, writes: readonly StoreWrite[]): BatchStatement | undefined {
  const sink = entity.sink as PostgresSink;
  if (!sink.refuse || sink.fields || sink.patch) return undefined;
  const rows = documentRows(sink, entity, writes, { write_key: text });
  const on = sink.conflict.map((name) => `stored.${quoteName(name)} = incoming.${quoteName(name)}`).join(' AND ');
  const rules = sink.refuse.map(({ code, when }) => `WHEN ${when} THEN '${code}'`).join(' ');
  return {
    sql: `SELECT incoming.write_key, CASE ${rules} END AS code FROM ${rows.from('incoming')}
      JOIN ${quoteName(sink.table)} stored ON ${on} WHERE stored.${quoteName(sink.version)} < incoming.${quoteName(sink.version)}`,
    bindings: rows.bindings,
    unreadable: rows.unreadable,
  };
}

/** Asks which writes of a batch its entity's drop rule left out: `{ write_key }` of each. Undefined where there is no rule. */
export function droppedStatement(entity: EntityDefinition, writes: readonly StoreWrite[]): BatchStatement | undefined {
  const { drop, fields, patch } = entity.sink as PostgresSink;
  if (!drop || fields || patch) return undefined;
  const rows = documentRows(entity.sink as PostgresSink, entity, writes, { write_key: text });
  return {
    sql: `SELECT incoming.write_key FROM ${rows.from('incoming')} WHERE ${drop.when}`,
    bindings: rows.bindings,
    unreadable: rows.unreadable,
  };
}

function sheetStatement(
  sink: PostgresSink,
  fields: NonNullable<PostgresSink['fields']>,
  entity: EntityDefinition,
  writes: readonly StoreWrite[],
): BatchStatement {
  const headColumns: Columns = { ...entity.columns, [sink.version]: bigint };
  const heads = new Rows({ ...headColumns, write_key: text }, writes.length);
  const memberColumns: Columns = {
    [fields.headId]: { type: 'uuid' },
    ...fields.copy,
    ...entity.fields!.columns,
    [fields.version]: bigint,
  };
  const members = new Rows(
    { ...memberColumns, write_key: text },
    writes.reduce((sum, { fields: changed }) => sum + changed.length, 0),
  );
  for (const write of writes) {
    const add = (): void => {
      const head = write.source?.document;
      if (!head) throw new Error('it is a sheet without its head');
      heads.add({ ...head, [sink.version]: write.version, write_key: write.key });
      for (const { document, version } of write.fields) {
        members.add({
          ...head,
          ...document,
          [fields.headId]: head.id,
          [fields.version]: version,
          write_key: write.key,
        });
      }
    };
    heads.try(write.key, add, [members]);
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
    unreadable: heads.unreadable,
  };
}

function patchStatement(sink: PostgresSink, entity: EntityDefinition, writes: readonly StoreWrite[]): BatchStatement {
  const { columns, json, only } = sink.patch!;
  const key = sink.conflict[0]!;
  const names = Object.keys(columns);
  const rows = new Rows(
    {
      [key]: entity.columns[entity.key[0]!]!,
      ...columns,
      ...Object.fromEntries(names.map((name) => [`has_${name}`, boolean])),
      json_patch: { type: 'jsonb' },
      [sink.version]: bigint,
    },
    writes.length,
  );
  for (const { key: id, fields, version } of writes) {
    const row: Document = { [key]: id, [sink.version]: version, json_patch: {} };
    for (const { document } of fields) {
      const name = document.name as string;
      if (columns[name]) Object.assign(row, { [name]: document.value, [`has_${name}`]: true });
      else Object.assign(row.json_patch as Document, { [name]: document.value });
    }
    for (const name of names) row[`has_${name}`] ??= false;
    rows.try(id, () => rows.add(row));
  }
  const sets = names.map(
    (name) =>
      `${quoteName(name)} = CASE WHEN incoming.${quoteName(`has_${name}`)} THEN incoming.${quoteName(name)} ELSE stored.${quoteName(name)} END`,
  );
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
    unreadable: rows.unreadable,
  };
}
