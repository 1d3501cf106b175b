import type { Worker } from 'bullmq';
import { startWorkers } from '../processors/index.ts';
import type { Config } from './config/index.ts';
import type { Container } from './container.ts';
import type { Log } from './lib/log.ts';
import { createSyncNeed } from './sync-need.ts';

/** Starts the processors of sync runs and batches on a container's engine. */
export const startSyncWorkers = (
  { engine, observed }: Pick<Container, 'engine' | 'observed'>,
  config: Config,
  log: Log,
): Promise<Worker[]> =>
  startWorkers(
    {
      connect: () => engine.connect({ maxRetriesPerRequest: null }),
      prefixOf: (queue) => engine.keys.queue(queue),
      queues: engine.queues,
      parallelBatches: config.sync.parallelBatches,
      log,
    },
    {
      buffer: engine.buffer,
      batchWriter: engine.batchWriter,
      failedWrites: engine.failedWrites,
      registry: engine.registry,
      queues: engine.queues,
      runs: engine.runs,
      log,
      batchSize: config.sync.batchRows,
      usedMemory: async () => {
        await engine.guard.checkMemory();
        return engine.guard.memory.usedBytes;
      },
      needsSync: createSyncNeed(engine, config.sync.intervalMs),
      observeBatch: observed.observeBatch,
      observeRun: observed.observeRun,
    },
  );
