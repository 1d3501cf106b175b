import type { Knex } from 'knex';
import { type DomainEvent, EVENT_VERSION } from '../../lib/events.ts';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';
import { purgeRows } from './purge.ts';

/** First key of the advisory locks below: `outb`. */
const LOCK_SPACE = 0x6f75_7462;

/**
 * Adds events to the transaction that makes them true: they are sent if, and only if, it commits. Each aggregate is locked
 * until then, so its events are numbered in the order in which they are committed.
 */
export async function addToOutbox(transaction: Knex.Transaction, events: readonly DomainEvent[]): Promise<void> {
  if (events.length === 0) return;
  // In one order, so that two changes of the same aggregates cannot wait for each other.
  await transaction.raw(
    `SELECT pg_advisory_xact_lock(?, aggregate)
     FROM (SELECT DISTINCT hashtext(id) AS aggregate FROM unnest(?::text[]) AS id ORDER BY 1) AS sorted`,
    [LOCK_SPACE, events.map(({ aggregateId }) => aggregateId)],
  );
  await transaction('outbox_events').insert(
    events.map(({ id, name, aggregateId, at, ...envelope }) => ({
      id,
      name,
      aggregate_id: aggregateId,
      payload: JSON.stringify(envelope),
      created_at: at,
    })),
  );
}

/**
 * The same for a statement that makes its events itself: CTEs that follow those named, each a table of `name`, `aggregate_id`
 * and `payload`. All rows of a table must be locked when it has been read to its end: a lock of an aggregate comes last here,
 * too.
 */
export const outboxClauses = (tables: readonly string[]): string => {
  const rows = tables.map((table, place) => `SELECT ${place} AS place, * FROM ${table}`).join(' UNION ALL ');
  return `events AS MATERIALIZED (${rows}),
    locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(${LOCK_SPACE}, aggregate)
      FROM (SELECT DISTINCT hashtext(aggregate_id) AS aggregate FROM events ORDER BY 1) AS sorted),
    told AS (INSERT INTO outbox_events (id, name, aggregate_id, payload)
      SELECT gen_random_uuid(), name, aggregate_id,
        jsonb_build_object('v', ${EVENT_VERSION}, 'actorId', NULL, 'requestId', NULL, 'payload', payload)
      FROM events WHERE (SELECT count(*) FROM locked) > 0 ORDER BY aggregate_id, place)`;
};

/** Consumers know what they have handled for a day; the rest of the week is for people who look into what happened. */
const KEPT = '7 days';

interface OutboxRow {
  id: string;
  name: DomainEvent['name'];
  aggregate_id: string;
  payload: Omit<DomainEvent, 'id' | 'name' | 'aggregateId' | 'at'>;
  created_at: string;
}

/**
 * Events that nobody has sent yet, in order. A row whose transaction commits late is found by a later call, however many
 * with higher numbers were sent before.
 */
export async function unsentEvents(knex: Knex, limit: number): Promise<DomainEvent[]> {
  const { rows } = await knex.raw(
    `SELECT id, name, aggregate_id, payload, created_at FROM outbox_events
     WHERE published_at IS NULL ORDER BY seq LIMIT ?`,
    [limit],
  );
  return (rows as OutboxRow[]).map(({ id, name, aggregate_id, payload, created_at }) => ({
    id,
    name,
    aggregateId: aggregate_id,
    at: created_at,
    ...payload,
  }));
}

export async function markSent(knex: Knex, ids: readonly string[]): Promise<void> {
  await knex.raw('UPDATE outbox_events SET published_at = now() WHERE id = ANY(?::uuid[])', [ids as string[]]);
}

/** Removes events that were sent long ago; those that were not sent stay, however old. */
export const purgeSent = (knex: Knex, run: Pick<TaskRun, 'progress'>): Promise<TaskResult> =>
  purgeRows(
    knex,
    { table: 'outbox_events', key: ['id'], where: `published_at < now() - interval '${KEPT}'`, order: 'seq' },
    run,
  );
