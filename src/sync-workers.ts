import type { Worker } from 'bullmq';
import type { ImportDeps } from '../processors/imports.processor.ts';
import { startWorkers, type WorkerSettings } from '../processors/index.ts';
import type { SyncDeps } from '../processors/sync.processor.ts';
import type { WriteBatchDeps } from '../processors/write-batches.processor.ts';
import type { Config } from './config/index.ts';
import type { Container } from './container.ts';
import type { Engine } from './engine.ts';
import type { Log } from './lib/log.ts';
import { createSyncNeed } from './sync-need.ts';

/** What a caller chooses for the workers of an engine; the rest is the engine's. */
export type EngineWorkerOptions = Pick<WorkerSettings, 'log' | 'parallelBatches' | 'takeover'> &
  Pick<SyncDeps, 'batchSize' | 'needsSync' | 'observeRun'> &
  Pick<WriteBatchDeps, 'observeBatch'> &
  Partial<ImportDeps> & {
    /** Asks Redis unless given. */
    usedMemory?: SyncDeps['usedMemory'];
  };

/** Starts the processors of sync runs and batches on an engine. */
export const startEngineWorkers = (engine: Engine, options: EngineWorkerOptions): Promise<Worker[]> =>
  startWorkers(
    {
      connect: () => engine.connect({ maxRetriesPerRequest: null }),
      prefixOf: (queue) => engine.keys.queue(queue),
      queues: engine.queues,
      ...options,
    },
    {
      buffer: engine.buffer,
      batchWriter: engine.batchWriter,
      failedWrites: engine.failedWrites,
      registry: engine.registry,
      queues: engine.queues,
      runs: engine.runs,
      usedMemory: async () => {
        await engine.guard.checkMemory();
        return engine.guard.memory.usedBytes;
      },
      ...options,
    },
  );

/** Starts the processors on a container's engine as its configuration says. */
export const startSyncWorkers = (
  { engine, observed, jobs }: Pick<Container, 'engine' | 'observed' | 'jobs'>,
  config: Config,
  log: Log,
): Promise<Worker[]> =>
  startEngineWorkers(engine, {
    log,
    parallelBatches: config.sync.parallelBatches,
    batchSize: config.sync.batchRows,
    needsSync: createSyncNeed(engine, config.sync.intervalMs),
    observeBatch: observed.observeBatch,
    observeRun: observed.observeRun,
    ...jobs,
  });
