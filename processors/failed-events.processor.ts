import { type Job, UnrecoverableError } from 'bullmq';
import type { FailedEventData } from '../queues/failed-events.queue.ts';
import type { EventConsumer } from '../src/lib/events.ts';
import type { EventLog } from '../src/live/event-log.ts';

/** Handles an event that was given up, when an admin asks for it; it ends failed with the reason, or is gone. */
export const createFailedEventProcessor =
  ({ eventLog, consumers }: { eventLog: EventLog; consumers: readonly EventConsumer[] }) =>
  async ({ data: { consumer: name, event } }: Job<FailedEventData>): Promise<void> => {
    const consumer = consumers.find((candidate) => candidate.name === name);
    if (!consumer) throw new UnrecoverableError(`there is no consumer ${name}`);
    if (await eventLog.isHandled(name, event.id)) return;
    await consumer.handle(event);
    await eventLog.noteHandled(name, event.id);
  };
