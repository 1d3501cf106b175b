import type { Column, Columns, EntityDefinition, PostgresSink, StoredEvent } from '../../lib/entity.ts';
import { outboxClauses } from '../postgres/outbox.ts';
import { quoteName, rowAt, sameKey, type Target } from './statement-rows.ts';

/*
 * Events that rows make when a batch stores them, as parts of the batch's one statement:
 *
 *   written   what the upsert has changed: a stale, refused or dropped write is not in it
 *   stored    the table itself: inside a statement it is read as it was before
 *   events    the two compared, then the outbox's own clauses
 *
 * "As it was before" is the statement's snapshot. A batch that waits for a row which another batch is changing would find that
 * row changed once more than its snapshot shows. Such a row is left as it is (`asSeen`) and written again, under a new snapshot;
 * so `old` is what the row was, and the events of a row tell its history without a gap.
 */

/** Condition of an upsert: the row is still the one of the snapshot. */
export function asSeen({ table, conflict, version }: Target): string {
  return ` AND stored.${quoteName(version)} = (SELECT seen.${quoteName(version)} FROM ${quoteName(table)} seen WHERE ${sameKey(conflict, 'seen', 'excluded')})`;
}

/** Events of the documents in `written`, which has the row's columns; their keys are in `incoming`. */
export function documentEvents(sink: PostgresSink, { columns }: EntityDefinition): string {
  return clausesOf(
    sink.events ?? [],
    ({ name, payload, when }) =>
      `SELECT '${name}'::text AS name, incoming.write_key AS aggregate_id, ${payloadOf('written', payload, columns)} AS payload
       FROM written JOIN incoming ON ${sameKey(sink.conflict, 'incoming', 'written')}
       LEFT JOIN ${rowAt(sink, 'written')} ON true${when ? ` WHERE ${when}` : ''}`,
  );
}

/** Events of the sheets whose fields are in `members`, which has the columns of their table; heads are in `incoming`. */
export function sheetEvents(
  { events = [] }: PostgresSink,
  target: NonNullable<PostgresSink['fields']>,
  { columns, fields }: EntityDefinition,
): string {
  return clausesOf(events, ({ name, payload, changed }) => {
    const { key, column } = changed!;
    const member = quoteName(fields!.key);
    const [before, now] = [`stored.${quoteName(column)}`, `written.${quoteName(column)}`];
    return `SELECT '${name}'::text AS name, head.write_key AS aggregate_id, ${payloadOf('head', payload, columns)} || jsonb_build_object('changed', list.changed) AS payload
      FROM (SELECT written.${quoteName(target.headId)} AS head_id,
          jsonb_agg(jsonb_build_object('${key}', written.${member}, 'old', ${before}, 'new', ${now}) ORDER BY written.${member}) AS changed
        FROM members written LEFT JOIN ${rowAt(target, 'written')} ON true WHERE ${before} IS DISTINCT FROM ${now}
        GROUP BY 1) list
      JOIN incoming head ON head.id = list.head_id`;
  });
}

function clausesOf(events: readonly StoredEvent[], select: (event: StoredEvent) => string): string {
  const tables = events.map((_, place) => `event_${place}`);
  const clauses = events.map((event, place) => `${tables[place]} AS (${select(event)})`);
  return [...clauses, outboxClauses(tables)].join(',\n    ');
}

const payloadOf = (table: string, payload: StoredEvent['payload'], columns: Columns): string =>
  `jsonb_build_object(${Object.entries(payload)
    .map(([name, column]) => `'${name}', ${jsonOf(`${table}.${quoteName(column)}`, columns[column]!)}`)
    .join(', ')})`;

/** A value as documents have it: instants with `Z` and milliseconds, whatever the session's zone. */
const jsonOf = (value: string, { type }: Column): string =>
  type === 'timestamptz' ? `to_char(${value} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')` : value;
