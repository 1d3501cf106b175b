import type { Worker } from 'bullmq';
import { createWorker } from '../processors/index.ts';
import { createTaskProcessor } from '../processors/run-tasks.processor.ts';
import { RUN_TASKS } from '../queues/run-tasks.queue.ts';
import type { Engine } from './engine.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import type { Log } from './lib/log.ts';
import type { ScheduledTask } from './lib/scheduled-task.ts';

/** Several begin at the same time of night, and what is due each minute must not wait for them. */
const TASKS_AT_ONCE = 4;

/** Starts the worker of scheduled tasks: it runs all there are, whoever declares them. */
export async function startTaskWorker(
  { engine, tasks }: { engine: Engine; tasks: readonly ScheduledTask[] },
  log: Log,
  clock: Clock = systemClock,
): Promise<Worker> {
  await engine.queues[RUN_TASKS].setGlobalConcurrency(TASKS_AT_ONCE);
  let isStopping = false;
  const worker = createWorker(
    RUN_TASKS,
    createTaskProcessor({ tasks, clock, log }, () => isStopping),
    {
      connect: () => engine.connect({ maxRetriesPerRequest: null }),
      prefixOf: (queue) => engine.keys.queue(queue),
      log,
    },
    { concurrency: TASKS_AT_ONCE },
  );
  worker.on('closing', () => {
    isStopping = true;
  });
  await worker.waitUntilReady();
  return worker;
}
