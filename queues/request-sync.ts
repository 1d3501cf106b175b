import type { Lane } from '../src/lib/entity.ts';
import type { Queues } from './index.ts';
import { ALL_LANES, SYNC, type SyncReason, syncJobId, syncOptions } from './sync.queue.ts';

/** Lower runs first: an admin waits, the clock does not. */
const PRIORITY: Record<SyncReason, number> = {
  urgent: 1,
  admin: 2,
  memory: 2,
  released: 3,
  recovered: 3,
  age: 4,
  shutdown: 4,
  watch: 5,
  schedule: 5,
};

/** Asks for a sync run now; it starts when the running one ends. @returns the run's id */
export async function requestSync(queues: Queues, reason: SyncReason, lanes: Lane[] = ALL_LANES): Promise<string> {
  const jobId = syncJobId(reason, Date.now());
  await queues[SYNC].add('run', { reason, lanes }, { ...syncOptions, jobId, priority: PRIORITY[reason] });
  return jobId;
}

/** The hourly run, the fast lane's and the watch: one schedule for all workers, whichever of them lives. */
export async function scheduleSyncs(queues: Queues, intervalSeconds: number): Promise<void> {
  const template = { opts: { ...syncOptions, priority: PRIORITY.schedule } };
  await queues[SYNC].upsertJobScheduler(
    'sync',
    { every: intervalSeconds * 1000 },
    { name: 'run', data: { reason: 'schedule', lanes: ALL_LANES }, ...template },
  );
  await queues[SYNC].upsertJobScheduler(
    'sync-fast',
    { every: FAST_LANE_MS },
    { name: 'run', data: { reason: 'schedule', lanes: ['urgent', 'fast'] }, ...template },
  );
  await queues[SYNC].upsertJobScheduler(
    'sync-watch',
    { every: WATCH_MS },
    {
      name: 'watch',
      data: { reason: 'watch', lanes: ALL_LANES },
      opts: { ...syncOptions, removeOnComplete: true, priority: PRIORITY.watch },
    },
  );
}

/** Half of the fast lane's promise of one minute. */
const FAST_LANE_MS = 30_000;
const WATCH_MS = 15_000;
