import type { Worker } from 'bullmq';
import type { Knex } from 'knex';
import { EventDelivery } from '../processors/event-delivery.ts';
import { EventReader } from '../processors/event-reader.ts';
import { createFailedEventProcessor } from '../processors/failed-events.processor.ts';
import { createWorker } from '../processors/index.ts';
import { createNotificationProcessor, type NotificationJobs } from '../processors/notifications.processor.ts';
import { OutboxRelay } from '../processors/outbox-relay.ts';
import { FAILED_EVENTS, failedEventJobId, failedEventOptions } from '../queues/failed-events.queue.ts';
import { NOTIFICATIONS } from '../queues/notifications.queue.ts';
import type { Engine } from './engine.ts';
import type { EventConsumer } from './lib/events.ts';
import type { Log } from './lib/log.ts';
import { Lease } from './live/lease.ts';

export interface EventWorkerOptions {
  /** All there are; each has its place in the log, whoever runs it. */
  consumers: readonly EventConsumer[];
  /** Services whose consumers run here; empty means all. */
  services: readonly string[];
  knex: Knex;
  log: Log;
  /** Delivers and mails; its jobs run here if the dashboard's consumers do. */
  notifications: NotificationJobs;
  /** See `EventReader`. */
  retryMs?: number;
}

const NOTIFYING_SERVICE = 'dashboard';
/** A class of sixty is one job; several classes publish at the same time. */
const NOTIFICATION_JOBS = 4;

/** Starts what delivers events in this process. @returns what ends it */
export async function startEventWorkers(
  engine: Engine,
  { consumers, services, knex, notifications, log, retryMs }: EventWorkerOptions,
): Promise<{ close(): Promise<void> }> {
  const { redis, keys, eventLog, queues } = engine;
  const own = consumers.filter(({ service }) => services.length === 0 || services.includes(service));
  const leaseOf = (name: string) => new Lease(redis, keys.cache(`lease:${name}`));
  const delivery = new EventDelivery({
    eventLog,
    log,
    relay: new OutboxRelay({ knex, eventLog, lease: leaseOf('outbox'), log }),
    readers: own.map(
      (consumer) =>
        new EventReader({
          consumer,
          eventLog,
          log,
          lease: leaseOf(`consumer:${consumer.name}`),
          giveUp: async (name, event) => {
            const data = { consumer: name, event };
            await queues[FAILED_EVENTS].add(name, data, { ...failedEventOptions, jobId: failedEventJobId(data) });
          },
          ...(retryMs === undefined ? {} : { retryMs }),
        }),
    ),
  });
  const settings = {
    connect: () => engine.connect({ maxRetriesPerRequest: null }),
    prefixOf: (queue: string) => keys.queue(queue),
    log,
  };
  // Whoever takes the job must know its consumer: a queue cannot choose among workers.
  const failed = createFailedEventProcessor({ eventLog, consumers });
  const workers: Worker[] = [createWorker(FAILED_EVENTS, failed, settings, { concurrency: 1 })];
  if (services.length === 0 || services.includes(NOTIFYING_SERVICE)) {
    const run = createNotificationProcessor(notifications);
    workers.push(createWorker(NOTIFICATIONS, run, settings, { concurrency: NOTIFICATION_JOBS }));
  }
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  await delivery.start(consumers.map(({ name }) => name));
  return {
    async close() {
      await Promise.all([delivery.stop(), ...workers.map((worker) => worker.close())]);
    },
  };
}
