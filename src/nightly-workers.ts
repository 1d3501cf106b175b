import type { Worker } from 'bullmq';
import { createWorker } from '../processors/index.ts';
import { createNightlyProcessor } from '../processors/nightly.processor.ts';
import { NIGHTLY } from '../queues/nightly.queue.ts';
import type { Container } from './container.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import type { Log } from './lib/log.ts';

/** Starts the worker of the night's tasks. */
export async function startNightlyWorker(
  { engine, dashboard }: Pick<Container, 'engine' | 'dashboard'>,
  log: Log,
  clock: Clock = systemClock,
): Promise<Worker> {
  await engine.queues[NIGHTLY].setGlobalConcurrency(1);
  const worker = createWorker(
    NIGHTLY,
    createNightlyProcessor({ 'leaderboard.rebuild': () => dashboard.points.nightly(clock.now()) }),
    {
      connect: () => engine.connect({ maxRetriesPerRequest: null }),
      prefixOf: (queue) => engine.keys.queue(queue),
      log,
    },
    { concurrency: 1 },
  );
  await worker.waitUntilReady();
  return worker;
}
