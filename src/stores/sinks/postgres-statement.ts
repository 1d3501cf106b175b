import {
  bigint,
  boolean,
  type Columns,
  type Document,
  type EntityDefinition,
  type PostgresSink,
  text,
} from '../../lib/entity.ts';
import { memberRows, sheetStatement } from './sheet-statement.ts';
import type { StoreWrite } from './sink.ts';
import { type BatchStatement, list, quoteName, Rows, rowAt, upsert } from './statement-rows.ts';
import { asSeen, documentEvents } from './stored-events.ts';

/**
 * The one statement that writes a batch: rows come from `unnest`, the version guard decides, rules of the database's
 * present state name the rows they refuse. One autocommit statement, so nothing is half written.
 */
export function batchStatement(entity: EntityDefinition, writes: readonly StoreWrite[]): BatchStatement {
  const sink = entity.sink as PostgresSink;
  if (sink.patch) return patchStatement(sink, entity, writes);
  return sink.fields ? sheetStatement(sink, sink.fields, entity, writes) : documentStatement(sink, entity, writes);
}

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
  const { links, events } = sink;
  const rows = documentRows(sink, entity, writes, events ? { write_key: text } : {});
  const names = Object.keys({ ...entity.columns, [sink.version]: bigint }).filter((name) => name !== links?.column);
  const rules = (sink.refuse ?? []).map(
    ({ when }) => ` AND (${when.replaceAll('incoming.', 'excluded.')}) IS NOT TRUE`,
  );
  const kept = sink.drop ? ` WHERE (${sink.drop.when}) IS NOT TRUE` : '';
  const upsertFrom = (source: string) =>
    upsert(sink, names, `SELECT ${list(names)} FROM ${source}${kept}`) + rules.join('') + (events ? asSeen(sink) : '');
  const hasLinks = links !== undefined && rows.writers.get(links.column)!.hasValues;
  const keys = [...new Set(['id', ...sink.conflict])];
  const more = [...(hasLinks ? [linkClauses(sink, links)] : []), ...(events ? [documentEvents(sink, entity)] : [])];
  return {
    sql:
      more.length === 0
        ? upsertFrom(rows.from('incoming'))
        : `WITH incoming AS MATERIALIZED (SELECT * FROM ${rows.from('input')}),
    written AS (${upsertFrom('incoming')} RETURNING ${events ? 'stored.*' : list(keys, 'stored.')}),
    ${more.join(',\n    ')}
    SELECT count(*)::int AS written FROM written`,
    bindings: rows.bindings,
    unreadable: rows.unreadable,
  };
}

/** In the same statement as the upsert, the links of the rows that are `written`. */
function linkClauses(
  { conflict }: PostgresSink,
  { column, table, ownerId, memberId, position, since }: NonNullable<PostgresSink['links']>,
): string {
  const extra = [position, since].filter((name) => name !== undefined);
  const values = [...(position ? ['item.position'] : []), ...(since ? [`incoming.${quoteName(since)}`] : [])];
  const names = [ownerId, memberId, ...extra];
  const update =
    extra.length > 0
      ? `UPDATE SET ${extra.map((name) => `${quoteName(name)} = excluded.${quoteName(name)}`).join(', ')}`
      : 'NOTHING';
  return `listed AS (SELECT written.id AS owner_id, incoming.* FROM written JOIN incoming USING (${list(conflict)}) WHERE incoming.${quoteName(column)} IS NOT NULL),
    wanted AS (SELECT incoming.owner_id AS ${quoteName(ownerId)}, item.member::uuid AS ${quoteName(memberId)}${values.map((value, index) => `, ${value} AS ${quoteName(extra[index]!)}`).join('')}
      FROM listed incoming CROSS JOIN LATERAL jsonb_array_elements_text(incoming.${quoteName(column)}) WITH ORDINALITY AS item(member, position)),
    dropped AS (DELETE FROM ${quoteName(table)} link USING listed incoming
      WHERE link.${quoteName(ownerId)} = incoming.owner_id${since ? ` AND link.${quoteName(since)} = incoming.${quoteName(since)}` : ''}
        AND NOT EXISTS (SELECT 1 FROM wanted WHERE wanted.${quoteName(ownerId)} = link.${quoteName(ownerId)} AND wanted.${quoteName(memberId)} = link.${quoteName(memberId)})),
    linked AS (INSERT INTO ${quoteName(table)} (${list(names)}) SELECT ${list(names)} FROM wanted
      ON CONFLICT (${list([ownerId, memberId])}) DO ${update})`;
}

/**
 * Asks why a batch wrote fewer rows than it has: `{ write_key, code }` of each that is still older than its write, with the rule
 * that refuses it, or null for one that changed while it was written. Rows that are not in the answer are as new already.
 * Undefined where all rows that are missing are as new.
 */
export function olderStatement(entity: EntityDefinition, writes: readonly StoreWrite[]): BatchStatement | undefined {
  const sink = entity.sink as PostgresSink;
  const { refuse = [], drop, events, fields, patch } = sink;
  if (patch || (fields ? !events : refuse.length === 0 && !events)) return undefined;
  const rows = fields ? memberRows(fields, entity, writes) : documentRows(sink, entity, writes, { write_key: text });
  const target = fields ?? sink;
  const version = quoteName(target.version);
  // Sheets say in the batch's own answer which of them are refused.
  const rules = fields ? [] : refuse.map(({ code, when }) => `WHEN ${when} THEN '${code}'`);
  return {
    sql: `SELECT DISTINCT incoming.write_key, CASE ${rules.join(' ')} WHEN true THEN NULL END AS code FROM ${rows.from('incoming')}
      JOIN ${rowAt(target, 'incoming')} ON true
      WHERE stored.${version} < incoming.${version}${drop ? ` AND (${drop.when}) IS NOT TRUE` : ''}`,
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

function patchStatement(sink: PostgresSink, entity: EntityDefinition, writes: readonly StoreWrite[]): BatchStatement {
  const { columns, json, only, also } = sink.patch!;
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
  const update = `UPDATE ${quoteName(sink.table)} stored SET ${[
    ...sets,
    `${quoteName(json.column)} = stored.${quoteName(json.column)} || incoming.json_patch`,
    `${quoteName(sink.version)} = incoming.${quoteName(sink.version)}`,
    'updated_at = now()',
  ].join(', ')}
      FROM ${rows.from('incoming')}
      WHERE stored.${quoteName(key)} = incoming.${quoteName(key)} AND stored.${quoteName(sink.version)} < incoming.${quoteName(sink.version)} AND ${only}`;
  return {
    sql: also
      ? `WITH patched AS (${update} RETURNING incoming.*),
    followed AS (${followStatement(key, sink.version, also)})
    SELECT count(*)::int AS written FROM patched`
      : update,
    bindings: rows.bindings,
    unreadable: rows.unreadable,
  };
}

/** Has another table's row follow what was `patched`. */
function followStatement(
  key: string,
  version: string,
  { table, key: owner, columns }: NonNullable<NonNullable<PostgresSink['patch']>['also']>,
): string {
  const names = columns.map(quoteName);
  const sets = names.map((name) => `${name} = coalesce(patched.${name}, own.${name})`);
  const isOther = names
    .map((name) => `patched.${name} IS NOT NULL AND own.${name} IS DISTINCT FROM patched.${name}`)
    .join(' OR ');
  return `UPDATE ${quoteName(table)} own SET ${sets.join(', ')}, updated_at = now(),
        ${quoteName(version)} = greatest(own.${quoteName(version)} + 1, patched.${quoteName(version)})
      FROM patched WHERE own.${quoteName(owner)} = patched.${quoteName(key)} AND (${isOther})`;
}
