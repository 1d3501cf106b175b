import {
  bigint,
  type Columns,
  type Document,
  type EntityDefinition,
  type PostgresSink,
  text,
} from '../../lib/entity.ts';
import type { StoreWrite } from './sink.ts';
import { type BatchStatement, list, quoteName, Rows, sameKey, upsert } from './statement-rows.ts';
import { asSeen, sheetEvents } from './stored-events.ts';

function refusedClause(sink: PostgresSink): string {
  const on = sameKey(sink.conflict, 'stored', 'incoming');
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

/** The upsert of heads and fields; rules of the database's present state name the sheets that they refuse. */
export function sheetStatement(
  sink: PostgresSink,
  fields: NonNullable<PostgresSink['fields']>,
  entity: EntityDefinition,
  writes: readonly StoreWrite[],
): BatchStatement {
  const headColumns: Columns = { ...entity.columns, [sink.version]: bigint };
  const heads = new Rows({ ...headColumns, write_key: text }, writes.length);
  const members = membersOf(fields, entity, writes);
  for (const write of writes)
    heads.try(write.key, () => {
      const head = addMembers(write, fields, members);
      heads.add({ ...head, [sink.version]: write.version, write_key: write.key });
    });
  const kept = `write_key NOT IN (SELECT write_key FROM refused)`;
  const headNames = Object.keys(headColumns);
  const memberNames = Object.keys(members.columns).filter((name) => name !== 'write_key');
  const upsertMembers = upsert(
    fields,
    memberNames,
    `SELECT ${list(memberNames)} FROM ${members.from('member')} WHERE ${kept}`,
  );
  const { events } = sink;
  return {
    sql: `WITH incoming AS MATERIALIZED (SELECT * FROM ${heads.from('input')}),
      refused AS MATERIALIZED (${refusedClause(sink)}),
      heads AS (${upsert(sink, headNames, `SELECT ${list(headNames)} FROM incoming WHERE ${kept}`)} RETURNING 1),
      members AS (${upsertMembers}${events ? `${asSeen(fields)} RETURNING stored.*` : ' RETURNING 1'})${events ? `,\n    ${sheetEvents(sink, fields, entity)}` : ''}
      SELECT (SELECT count(*)::int FROM heads) AS written, (SELECT count(*)::int FROM members) AS members, ${RESULT}`,
    bindings: [...heads.bindings, ...members.bindings],
    unreadable: heads.unreadable,
  };
}

/** Rows of the changed fields of some sheets. */
export function memberRows(
  fields: NonNullable<PostgresSink['fields']>,
  entity: EntityDefinition,
  writes: readonly StoreWrite[],
): Rows {
  const members = membersOf(fields, entity, writes);
  for (const write of writes) addMembers(write, fields, members);
  return members;
}

function membersOf(
  fields: NonNullable<PostgresSink['fields']>,
  entity: EntityDefinition,
  writes: readonly StoreWrite[],
): Rows {
  const columns: Columns = {
    [fields.headId]: { type: 'uuid' },
    ...fields.copy,
    ...entity.fields!.columns,
    [fields.version]: bigint,
    write_key: text,
  };
  return new Rows(
    columns,
    writes.reduce((sum, { fields: changed }) => sum + changed.length, 0),
  );
}

function addMembers(
  { key, source, fields }: StoreWrite,
  target: NonNullable<PostgresSink['fields']>,
  members: Rows,
): Document {
  const head = source?.document;
  if (!head) throw new Error('it is a sheet without its head');
  for (const { document, version } of fields)
    members.add({ ...head, ...document, [target.headId]: head.id, [target.version]: version, write_key: key });
  return head;
}
