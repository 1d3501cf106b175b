import type { Worker } from 'bullmq';
import { createWorker } from '../processors/index.ts';
import { createNightlyProcessor } from '../processors/nightly.processor.ts';
import { NIGHTLY } from '../queues/nightly.queue.ts';
import type { Engine } from './engine.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import type { Log } from './lib/log.ts';

/** Starts the worker of the night's tasks. */
export async function startNightlyWorker(
  { engine, dashboard }: { engine: Engine; dashboard: { points: { nightly(now: Date): Promise<void> } } },
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
