import type { Worker } from 'bullmq';
import { createWorker } from '../processors/index.ts';
import { createTaskProcessor } from '../processors/run-tasks.processor.ts';
import { RUN_TASKS, scheduleTasks } from '../queues/run-tasks.queue.ts';
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

const RETRY_MS = 60_000;

/**
 * Declares the tasks of some services, as soon as there is a school whose time they keep.
 *
 * @param services those of this process; none means all
 * @param timezone of the school; throws while there is none, or its database is away
 * @returns after the first attempt, what ends further ones
 */
export async function declareTasks(
  { engine, tasks }: { engine: Engine; tasks: readonly ScheduledTask[] },
  {
    services,
    timezone,
    log,
    retryMs = RETRY_MS,
  }: { services: readonly string[]; timezone: () => Promise<string>; log: Log; retryMs?: number },
): Promise<{ stop(): Promise<void> }> {
  let timer: NodeJS.Timeout | undefined;
  let isStopping = false;
  const attempt = async (): Promise<void> => {
    try {
      await scheduleTasks(engine.queues[RUN_TASKS], tasks, { services, timezone: await timezone() });
    } catch (error) {
      if (isStopping) return;
      log.warn('tasks are not scheduled yet', { error: (error as Error).message });
      timer = setTimeout(() => {
        running = attempt();
      }, retryMs);
    }
  };
  let running = attempt();
  await running;
  return {
    async stop() {
      isStopping = true;
      clearTimeout(timer);
      await running;
    },
  };
}
