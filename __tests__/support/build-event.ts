import type { DomainEvent } from '../../src/lib/events.ts';
import { newId } from '../../src/lib/ids.ts';

/** One of an aggregate's events, of a name that nothing of the school's own waits for. */
export const buildEvent = (aggregateId: string, number: number, id = newId()): DomainEvent => ({
  id,
  name: 'leave.decided',
  aggregateId,
  payload: { number },
  v: 1,
  at: new Date().toISOString(),
  actorId: null,
  requestId: null,
});
