import type { JobsOptions } from 'bullmq';
import type { DomainEvent } from '../src/lib/events.ts';

export const FAILED_EVENTS = 'failed-events';

/** An event that its consumer could not handle. Payloads name ids, never people. */
export interface FailedEventData {
  consumer: string;
  event: DomainEvent;
}

/** Tried once more at once; then it stays in the failed set until an admin retries or removes it. */
export const failedEventOptions = { attempts: 1, removeOnComplete: true, removeOnFail: false } satisfies JobsOptions;

export const failedEventJobId = ({ consumer, event }: FailedEventData): string => `${consumer}-${event.id}`;
