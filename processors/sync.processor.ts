import { type Job, WaitingError } from 'bullmq';
import { sweepFailedJobs } from '../queues/failed-jobs.ts';
import type { Queues } from '../queues/index.ts';
import { requestSync } from '../queues/request-sync.ts';
import type { SyncData } from '../queues/sync.queue.ts';
import type { EntitySummary, SyncRun, SyncRuns } from '../queues/sync-runs.ts';
import {
  WRITE_BATCHES,
  type WriteBatchData,
  writeBatchJobId,
  writeBatchOptions,
} from '../queues/write-batches.queue.ts';
import { WRITE_POINTERS } from '../queues/write-pointers.queue.ts';
import type { BatchResult } from '../src/buffer/batch-writer.ts';
import type { FailedWrites } from '../src/buffer/failed-writes.ts';
import { batchesOf } from '../src/buffer/keys.ts';
import type { WriteBuffer } from '../src/buffer/write-buffer.ts';
import type { EntityDefinition } from '../src/lib/entity.ts';
import type { EntityRegistry } from '../src/lib/entity-registry.ts';
import type { Log } from '../src/lib/log.ts';

export interface SyncDeps {
  buffer: WriteBuffer;
  registry: EntityRegistry;
  queues: Queues;
  runs: SyncRuns;
  failedWrites: FailedWrites;
  log: Log;
  /** Keys of a batch at least; batches of a large run are larger. */
  batchSize: number;
  /** Bytes of Redis memory in use. */
  usedMemory: () => Promise<number>;
  /** Asked by the watch: a reason to sync now, if there is one. */
  needsSync: () => Promise<'age' | 'memory' | undefined>;
  observeRun: (run: SyncRun) => void;
}

/** Batches grow with a run, up to this: fewer statements without a longer lock. */
const MAX_BATCH_SIZE = 500;
/** From this many full batches on, batches grow. */
const BATCHES_BEFORE_GROWTH = 20;
const POLL_FIRST_MS = 5;
const POLL_MOST_MS = 100;
/** After this long without a result, batches whose job has vanished are given up. */
const LOST_BATCH_MS = 10_000;
const CLEAN_POINTERS = 500;

/**
 * One sync run: entity stages in foreign-key order; in a stage all batches at once, written by the processors of all
 * workers. Results come through Redis, so a run that dies with its process is taken up by another from the start: what
 * the first attempt stored is no longer dirty. So is one whose process stops: it must not wait there for batches that
 * nobody may be left to write.
 *
 * @param isStopping asked while a run waits
 */
export const createSyncProcessor = (deps: SyncDeps, isStopping: () => boolean = () => false) => {
  const { buffer, registry, queues, runs, log } = deps;

  return async (job: Job<SyncData>, token?: string): Promise<SyncRun | undefined> => {
    if (job.name === 'watch') {
      const reason = await deps.needsSync();
      if (reason) await requestSync(queues, reason);
      return undefined;
    }
    const startedMs = Date.now();
    const run: SyncRun = {
      id: job.id!.replaceAll(':', '.'),
      state: 'running',
      reason: job.data.reason,
      lanes: job.data.lanes,
      startedAt: new Date(startedMs).toISOString(),
      taken: 0,
      stored: 0,
      superseded: 0,
      failed: 0,
      left: 0,
      statements: 0,
      entities: [],
    };
    await runs.save(run);
    const usedBefore = await deps.usedMemory();
    let batches = 0;
    for (const stage of registry.stages()) {
      const entities = stage.filter((entity) => job.data.lanes.includes(entity.lane));
      const added: string[] = [];
      for (const entity of entities) added.push(...(await addBatches(entity, run.id, job, batches + added.length)));
      batches += added.length;
      await allDone(run.id, added, job);
      if (isStopping()) {
        await job.moveToWait(token);
        throw new WaitingError();
      }
    }
    if (job.data.lanes.includes('bulk')) await takePointers(startedMs);
    summarize(run, await runs.results(run.id), startedMs);
    run.memoryFreedBytes = usedBefore - (await deps.usedMemory());
    await sweepFailedJobs(queues, deps.failedWrites);
    const isWorthKeeping = run.taken > 0 || job.data.reason === 'admin' || job.data.reason === 'shutdown';
    if (!isWorthKeeping) {
      await runs.forget(run.id);
      return run;
    }
    await runs.save(run);
    deps.observeRun(run);
    log.info('=== Batch sync completed ===', { ...run });
    return run;
  };

  async function addBatches(
    entity: EntityDefinition,
    runId: string,
    job: Job<SyncData>,
    firstPart: number,
  ): Promise<string[]> {
    const ids: string[] = [];
    // One batch reads one shard; keys come bucket by bucket, so it reads few hashes.
    for (let shard = 0; shard < buffer.keys.shards; shard++) {
      let rest: string[] = [];
      const add = async (isLast: boolean) => {
        const size = ids.length < BATCHES_BEFORE_GROWTH ? deps.batchSize : Math.max(deps.batchSize, MAX_BATCH_SIZE);
        const batches = [...batchesOf(entity, rest, size)];
        // The last one may not be full yet.
        rest = isLast ? [] : (batches.pop() ?? []);
        const jobs = batches.map((keys) => {
          const jobId = writeBatchJobId(`${runId}-${job.attemptsStarted}`, entity.name, firstPart + ids.length);
          ids.push(jobId);
          const data: WriteBatchData = { entity: entity.name, keys, runId };
          return { name: entity.name, data, opts: { ...writeBatchOptions, jobId } };
        });
        if (jobs.length > 0) await queues[WRITE_BATCHES].addBulk(jobs);
      };
      for await (const keys of buffer.dirtyKeys(entity.name, shard)) {
        rest.push(...keys);
        await add(false);
      }
      await add(true);
    }
    return ids;
  }

  /** Waits until each batch has reported, or has failed for good, or is gone, or the process stops. */
  async function allDone(runId: string, ids: readonly string[], job: Job<SyncData>): Promise<void> {
    if (ids.length === 0) return;
    let pollMs = POLL_FIRST_MS;
    let seen = -1;
    let lastChangeMs = Date.now();
    for (;;) {
      const count = await runs.resultCount(runId);
      if (count !== seen) {
        const results = await runs.results(runId);
        if (ids.every((id) => results.has(id))) return;
        seen = count;
        lastChangeMs = Date.now();
        pollMs = POLL_FIRST_MS;
        await job.updateProgress({ batches: results.size });
      } else if (Date.now() - lastChangeMs > LOST_BATCH_MS) {
        if ((await stillRunning(runId, ids)) === 0) return;
        lastChangeMs = Date.now();
      }
      if (isStopping()) return;
      await new Promise((resolve) => setTimeout(resolve, pollMs));
      pollMs = Math.min(pollMs * 1.5, POLL_MOST_MS);
    }
  }

  async function stillRunning(runId: string, ids: readonly string[]): Promise<number> {
    const results = await runs.results(runId);
    const missing = ids.filter((id) => !results.has(id));
    const states = await Promise.all(missing.map((id) => queues[WRITE_BATCHES].getJobState(id)));
    return states.filter((state) => !['failed', 'completed', 'unknown'].includes(state)).length;
  }

  /** Removes the pointers that this run has answered: those added before it looked at the dirty index. */
  async function takePointers(startedMs: number): Promise<void> {
    let removed: string[];
    do {
      removed = await queues[WRITE_POINTERS].clean(Date.now() - startedMs, CLEAN_POINTERS, 'wait');
    } while (removed.length === CLEAN_POINTERS);
  }
};

function summarize(run: SyncRun, results: Map<string, BatchResult>, startedMs: number): void {
  const entities = new Map<string, EntitySummary>();
  for (const { leftReason, failure: _, ...result } of results.values()) {
    const sum = entities.get(result.entity) ?? {
      entity: result.entity,
      batches: 0,
      taken: 0,
      stored: 0,
      superseded: 0,
      failed: 0,
      left: 0,
      statements: 0,
      durationMs: 0,
      leftReasons: [],
    };
    sum.batches++;
    for (const name of ['taken', 'stored', 'superseded', 'failed', 'left', 'statements', 'durationMs'] as const)
      sum[name] += result[name];
    if (leftReason && !sum.leftReasons.includes(leftReason)) sum.leftReasons.push(leftReason);
    entities.set(result.entity, sum);
  }
  run.entities = [...entities.values()];
  for (const sum of run.entities) {
    for (const name of ['taken', 'stored', 'superseded', 'failed', 'left', 'statements'] as const)
      run[name] += sum[name];
  }
  run.state = 'completed';
  run.durationMs = Date.now() - startedMs;
  run.finishedAt = new Date().toISOString();
}
