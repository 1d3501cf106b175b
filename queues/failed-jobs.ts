import type { Job } from 'bullmq';
import type { FailedWrite, FailedWrites } from '../src/buffer/failed-writes.ts';
import { failedWriteId } from '../src/buffer/failed-writes.ts';
import type { Queues } from './index.ts';
import { failedWriteJobId, failedWriteOptions, WRITE_BATCHES, type WriteBatchData } from './write-batches.queue.ts';

/** Makes a failed write a job of its own; it tries the write once more and ends failed with the reason. */
export async function addFailedJob(queues: Queues, entity: string, key: string, jobId: string): Promise<void> {
  const data: WriteBatchData = { entity, keys: [key], isReplay: true };
  await queues[WRITE_BATCHES].add(entity, data, { ...failedWriteOptions, jobId });
}

/** Tries a failed write again: its own job, or a new one where that is gone. @returns the job's id */
export async function replay(queues: Queues, failedWrites: FailedWrites, record: FailedWrite): Promise<string> {
  const job = record.jobId ? await queues[WRITE_BATCHES].getJob(record.jobId) : undefined;
  const state = await job?.getState();
  if (job && state === 'failed') {
    await job.retry();
    return job.id!;
  }
  // One that is active may have read the payload before its repair.
  if (job && (state === 'waiting' || state === 'delayed')) return job.id!;
  const jobId = `${failedWriteJobId(record.entity, record.key, record.version)}-${Date.now()}`;
  await failedWrites.update(record, { ...record, jobId });
  await addFailedJob(queues, record.entity, record.key, jobId);
  return jobId;
}

const SWEEP_JOBS = 1_000;

/** Removes failed jobs whose write is no longer failed: stored, superseded or discarded. @returns how many */
export async function sweepFailedJobs(queues: Queues, failedWrites: FailedWrites): Promise<number> {
  const jobs = (await queues[WRITE_BATCHES].getFailed(0, SWEEP_JOBS - 1)) as Job<WriteBatchData>[];
  let removed = 0;
  for (const job of jobs) {
    if (!job?.data.isReplay) continue;
    const record = await failedWrites.get(failedWriteId(job.data.entity, job.data.keys[0]!));
    if (record && record.jobId === job.id) continue;
    await job.remove().then(
      () => removed++,
      () => {},
    ); // taken up by a worker meanwhile
  }
  return removed;
}
