import type { JobsOptions } from 'bullmq';
import type { Queues } from './index.ts';

export const MINUTELY = 'run-minutely';

/** Small work that each minute does once, whatever number of workers there is. */
export interface MinutelyData {
  task: 'announcements.publish';
}

const MINUTE_MS = 60_000;

/** The next minute is the next attempt. */
export const minutelyOptions = {
  attempts: 1,
  removeOnComplete: { count: 10 },
  removeOnFail: { age: 86_400, count: 100 },
} satisfies JobsOptions;

/** One schedule for all workers. */
export async function scheduleMinutely(queues: Queues): Promise<void> {
  await queues[MINUTELY].upsertJobScheduler(
    'announcements-publish',
    { every: MINUTE_MS },
    { name: 'announcements.publish', data: { task: 'announcements.publish' }, opts: minutelyOptions },
  );
}
