import { type ConnectionOptions, type Job, type Processor, Worker, type WorkerOptions } from 'bullmq';
import { IMPORTS } from '../queues/imports.queue.ts';
import type { Queues } from '../queues/index.ts';
import { SYNC } from '../queues/sync.queue.ts';
import { WRITE_BATCHES } from '../queues/write-batches.queue.ts';
import type { Log } from '../src/lib/log.ts';
import { createImportProcessor, type ImportDeps } from './imports.processor.ts';
import { createSyncProcessor, type SyncDeps } from './sync.processor.ts';
import { createWriteBatchProcessor, type WriteBatchDeps } from './write-batches.processor.ts';

/** Queues whose jobs are processed; pointers are taken by sync runs. */
type ProcessedQueue = typeof SYNC | typeof WRITE_BATCHES | typeof IMPORTS;

export interface WorkerSettings {
  /** A connection of its own for each worker: they block on it. */
  connect: () => ConnectionOptions;
  prefixOf: (queue: string) => string;
  queues: Queues;
  /** Batches in parallel across all workers. */
  parallelBatches: number;
  log: Log;
  /** How soon the jobs of a dead worker are taken up again: its lock runs out, then a check finds it. */
  takeover?: { lockMs: number; checkMs: number };
}

/** A job whose worker dies is taken up again however often; only its own errors use up attempts. */
const MAX_STALLED_COUNT = 1_000_000;
const TAKEOVER = { lockMs: 15_000, checkMs: 5_000 };

/** Starts the processors of this process; counts across all processes are kept in Redis. */
export async function startWorkers(
  settings: WorkerSettings,
  deps: SyncDeps & WriteBatchDeps & Partial<ImportDeps>,
): Promise<Worker[]> {
  const { connect, prefixOf, queues, parallelBatches, log, takeover } = settings;
  await queues[SYNC].setGlobalConcurrency(1);
  await queues[IMPORTS].setGlobalConcurrency(1);
  await queues[WRITE_BATCHES].setGlobalConcurrency(parallelBatches);
  let isStopping = false;
  const { runImport } = deps;
  const processors: Partial<
    Record<ProcessedQueue, { run: (job: Job, token?: string) => Promise<unknown>; concurrency: number }>
  > = {
    [SYNC]: { run: createSyncProcessor(deps, () => isStopping), concurrency: 1 },
    [WRITE_BATCHES]: { run: createWriteBatchProcessor(deps), concurrency: parallelBatches },
    // An engine without services has none to import with.
    ...(runImport
      ? { [IMPORTS]: { run: createImportProcessor({ runImport }, () => isStopping), concurrency: 1 } }
      : {}),
  };
  const workers = Object.entries(processors).map(([name, { run, concurrency }]) => {
    const worker = createWorker(name, run, { connect, prefixOf, log, takeover }, { concurrency });
    worker.on('closing', () => {
      isStopping = true;
    });
    return worker;
  });
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  return workers;
}

/** A worker of one queue that takes up the jobs of dead ones. @param run the queue's processor */
export function createWorker(
  name: string,
  run: (job: Job, token?: string) => Promise<unknown>,
  { connect, prefixOf, log, takeover = TAKEOVER }: Pick<WorkerSettings, 'connect' | 'prefixOf' | 'log' | 'takeover'>,
  { concurrency }: { concurrency: number },
): Worker {
  const options: WorkerOptions = {
    connection: connect(),
    prefix: prefixOf(name),
    concurrency,
    lockDuration: takeover.lockMs,
    stalledInterval: takeover.checkMs,
    maxStalledCount: MAX_STALLED_COUNT,
    skipVersionCheck: true,
  };
  const worker = new Worker(name, run as Processor, options);
  worker.on('error', (error) => log.error('worker error', { queue: name, error: error.message }));
  worker.on('failed', (job, error) => log.warn('job failed', { queue: name, jobId: job?.id, error: error.message }));
  return worker;
}
