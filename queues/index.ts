import { type ConnectionOptions, Queue } from 'bullmq';
import type { BatchResult } from '../src/buffer/batch-writer.ts';
import type { TaskResult } from '../src/lib/scheduled-task.ts';
import { FAILED_EVENTS, type FailedEventData } from './failed-events.queue.ts';
import { IMPORTS, type ImportData, type ImportResult } from './imports.queue.ts';
import { NOTIFICATIONS, type NotificationData } from './notifications.queue.ts';
import { RUN_TASKS, type RunTaskData } from './run-tasks.queue.ts';
import { SYNC, type SyncData } from './sync.queue.ts';
import { WRITE_BATCHES, type WriteBatchData } from './write-batches.queue.ts';
import { WRITE_POINTERS, type WritePointerData } from './write-pointers.queue.ts';

/** Every queue of the deployment; all of them appear in Bull Board. */
export interface Queues {
  [WRITE_POINTERS]: Queue<WritePointerData>;
  [SYNC]: Queue<SyncData>;
  [WRITE_BATCHES]: Queue<WriteBatchData, BatchResult>;
  [FAILED_EVENTS]: Queue<FailedEventData>;
  [NOTIFICATIONS]: Queue<NotificationData>;
  [IMPORTS]: Queue<ImportData, ImportResult>;
  [RUN_TASKS]: Queue<RunTaskData, TaskResult>;
}

/**
 * @param prefixOf the Redis prefix of a queue, with a hash tag of its own
 * @param onError queues emit connection errors, which are fatal when nobody listens
 */
export function createQueues(
  connection: ConnectionOptions,
  prefixOf: (queue: string) => string,
  onError: (error: Error) => void,
): Queues {
  const create = <Data, Result = unknown>(name: string): Queue<Data, Result> => {
    const queue = new Queue<Data, Result>(name, { connection, prefix: prefixOf(name), skipVersionCheck: true });
    queue.on('error', onError);
    return queue;
  };
  return {
    [WRITE_POINTERS]: create<WritePointerData>(WRITE_POINTERS),
    [SYNC]: create<SyncData>(SYNC),
    [WRITE_BATCHES]: create<WriteBatchData, BatchResult>(WRITE_BATCHES),
    [FAILED_EVENTS]: create<FailedEventData>(FAILED_EVENTS),
    [NOTIFICATIONS]: create<NotificationData>(NOTIFICATIONS),
    [IMPORTS]: create<ImportData, ImportResult>(IMPORTS),
    [RUN_TASKS]: create<RunTaskData, TaskResult>(RUN_TASKS),
  };
}

export async function closeQueues(queues: Queues): Promise<void> {
  await Promise.all(Object.values(queues).map((queue) => (queue as Queue).close()));
}
