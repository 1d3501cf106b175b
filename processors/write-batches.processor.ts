import { type Job, UnrecoverableError } from 'bullmq';
import type { SyncRuns } from '../queues/sync-runs.ts';
import type { WriteBatchData } from '../queues/write-batches.queue.ts';
import type { BatchResult, BatchWriter } from '../src/buffer/batch-writer.ts';

export interface WriteBatchDeps {
  batchWriter: BatchWriter;
  runs: SyncRuns;
  /** Called with what a batch did, for metrics. */
  observeBatch: (result: BatchResult) => void;
}

/** Stores one batch and tells its run; a replayed write that fails again ends as a failed job with the reason. */
export const createWriteBatchProcessor =
  ({ batchWriter, runs, observeBatch }: WriteBatchDeps) =>
  async ({ id, data: { entity, keys, runId, isReplay } }: Job<WriteBatchData, BatchResult>): Promise<BatchResult> => {
    const result = await batchWriter.write(entity, keys, isReplay ? { replayJobId: id! } : {});
    observeBatch(result);
    if (runId) await runs.addResult(runId, id!, result);
    if (isReplay && result.failure) throw new UnrecoverableError(`${result.failure.code}: ${result.failure.message}`);
    if (isReplay && result.left > 0) throw new Error(`left for later: ${result.leftReason}`);
    return result;
  };
