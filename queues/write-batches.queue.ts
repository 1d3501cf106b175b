import type { JobsOptions } from 'bullmq';

export const WRITE_BATCHES = 'write-batches';

/** Points at buffered writes of one entity; never carries their bodies. */
export interface WriteBatchData {
  entity: string;
  /** Keys of the entity, in one shard. */
  keys: string[];
  /** The sync run that waits for the result; absent for a replay. */
  runId?: string;
  /** A single failed write tried again: its entries are taken in any state. */
  isReplay?: boolean;
}

export const writeBatchOptions = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 500, jitter: 0.5 }, // delay in ms
  removeOnComplete: { age: 3_600, count: 1_000 },
  removeOnFail: { age: 1_209_600, count: 10_000 },
} satisfies JobsOptions;

/** A failed write stays in the failed set until it is resolved. */
export const failedWriteOptions = { attempts: 1, removeOnComplete: true, removeOnFail: false } satisfies JobsOptions;

export const writeBatchJobId = (runId: string, entity: string, part: number): string => `${runId}-${entity}-${part}`;

/** Unique per failed version, so that a finished job of an older failure cannot swallow it. */
export const failedWriteJobId = (entity: string, key: string, version: number): string =>
  `failed-${entity}-${key.replaceAll(':', '.')}-${version}`;
