import type { Job } from 'bullmq';
import type { MinutelyData } from '../queues/minutely.queue.ts';

/** What each task of the minute does; doing it twice, or twice at the same time, is harmless. */
export type MinutelyTasks = Readonly<Record<MinutelyData['task'], () => Promise<unknown>>>;

export const createMinutelyProcessor =
  (tasks: MinutelyTasks) =>
  ({ data }: Job<MinutelyData>): Promise<unknown> =>
    tasks[data.task]();
