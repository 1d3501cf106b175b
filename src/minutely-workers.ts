import type { Worker } from 'bullmq';
import { createWorker } from '../processors/index.ts';
import { createMinutelyProcessor } from '../processors/minutely.processor.ts';
import { MINUTELY } from '../queues/minutely.queue.ts';
import type { Engine } from './engine.ts';
import type { Log } from './lib/log.ts';

/** Starts the worker of the minute's tasks. */
export async function startMinutelyWorker(
  { engine, jobs }: { engine: Engine; jobs: { publishAnnouncements(): Promise<number> } },
  log: Log,
): Promise<Worker> {
  await engine.queues[MINUTELY].setGlobalConcurrency(1);
  const worker = createWorker(
    MINUTELY,
    createMinutelyProcessor({ 'announcements.publish': jobs.publishAnnouncements }),
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
