import type { Job } from 'bullmq';
import type { NightlyData } from '../queues/nightly.queue.ts';

/** What each task of the night does; doing it twice is harmless. */
export type NightlyTasks = Readonly<Record<NightlyData['task'], () => Promise<void>>>;

export const createNightlyProcessor =
  (tasks: NightlyTasks) =>
  ({ data }: Job<NightlyData>): Promise<void> =>
    tasks[data.task]();
