import type { Knex } from 'knex';
import type { DomainEvent } from '../../lib/events.ts';

/** Adds events to the transaction that makes them true: they are sent if, and only if, it commits. */
export async function addToOutbox(transaction: Knex.Transaction, events: readonly DomainEvent[]): Promise<void> {
  if (events.length === 0) return;
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
