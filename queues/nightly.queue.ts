import type { JobsOptions } from 'bullmq';
import type { Queues } from './index.ts';

export const NIGHTLY = 'run-nightly';

/** Work that each night does once, whatever number of workers there is. */
export interface NightlyData {
  task: 'leaderboard.rebuild';
}

export const nightlyOptions = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 60_000, jitter: 0.5 }, // delay in ms
  removeOnComplete: { age: 604_800, count: 100 },
  removeOnFail: { age: 1_209_600 },
} satisfies JobsOptions;

/** One schedule for all workers, at school time. @param timezone IANA name */
export async function scheduleNightly(queues: Queues, timezone: string): Promise<void> {
  await queues[NIGHTLY].upsertJobScheduler(
    'leaderboard-rebuild',
    { pattern: '0 1 * * *', tz: timezone },
    { name: 'leaderboard.rebuild', data: { task: 'leaderboard.rebuild' }, opts: nightlyOptions },
  );
}
