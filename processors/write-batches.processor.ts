import { type Job, UnrecoverableError } from 'bullmq';
import type { FailedWrites } from '../src/buffer/failed-writes.ts';
import type { PendingWrite, WriteBuffer } from '../src/buffer/write-buffer.ts';
import type { RefusalReason } from '../src/errors/driver-errors.ts';
import type { EntityDefinition } from '../src/lib/entity.ts';
import type { EntityRegistry } from '../src/lib/entity-registry.ts';
import type { Log } from '../src/lib/log.ts';
import { type CircuitBreaker, StoreUnavailableError } from '../src/stores/circuit-breaker.ts';
import type { Sink, StoreWrite } from '../src/stores/sinks/sink.ts';
import type { Queues } from '../queues/index.ts';
import { requestSync } from '../queues/request-sync.ts';
import type { SyncRuns } from '../queues/sync-runs.ts';
import {
  failedWriteJobId,
  failedWriteOptions,
  WRITE_BATCHES,
  type WriteBatchData,
  type WriteBatchResult,
} from '../queues/write-batches.queue.ts';

export interface WriteBatchDeps {
  buffer: WriteBuffer;
  failedWrites: FailedWrites;
  registry: EntityRegistry;
  stores: StoreDirectory;
  queues: Queues;
  runs: SyncRuns;
  log: Log;
  /** Called with what a batch did, for metrics. */
  observe?: (result: WriteBatchResult) => void;
}

/** Sink and breaker of each kind of database. */
export type StoreDirectory = Record<'postgres' | 'mongo', { sink: Sink; breaker: CircuitBreaker }>;

/**
 * Stores one batch: fetch, write, then acknowledge. A crash anywhere above the acknowledgement leaves every write in
 * the buffer, to be written again by a version guard that makes the second time harmless.
 */
export const createWriteBatchProcessor = (deps: WriteBatchDeps) => {
  const { buffer, failedWrites, registry, stores, queues, runs, log } = deps;

  return async (job: Job<WriteBatchData, WriteBatchResult>): Promise<WriteBatchResult> => {
    const { keys, runId, isReplay = false } = job.data;
    const entity = registry.get(job.data.entity);
    const startedMs = Date.now();
    const result: WriteBatchResult = { entity: entity.name, taken: 0, stored: 0, superseded: 0, failed: 0, left: 0, statements: 0, durationMs: 0 };

    const found = await buffer.fetch(entity.name, keys);
    const taken = isReplay ? found : found.filter((write) => write.state === 'dirty');
    const ready = await setAside(entity, taken, result, job);
    const refusals = await store(entity, ready, result);

    for (const [write, reason] of refusals) await refuse(entity, write, reason, result, job);
    result.taken = result.stored + result.superseded + result.failed + result.left;
    result.durationMs = Date.now() - startedMs;
    deps.observe?.(result);
    if (runId) await runs.addResult(runId, job.id!, result);
    if (isReplay && result.failed > 0) throw new UnrecoverableError(refusalMessage(refusals, result));
    if (isReplay && result.left > 0) throw new Error(result.leftReason ?? 'the write was left for later');
    return result;
  };

  /** Takes out of the batch what cannot be stored now: unreadable payloads, children of parents that are not stored. */
  async function setAside(entity: EntityDefinition, taken: PendingWrite[], result: WriteBatchResult, job: Job<WriteBatchData>): Promise<PendingWrite[]> {
    const readable: PendingWrite[] = [];
    for (const write of taken) {
      if (write.broken) await refuse(entity, write, { code: 'PAYLOAD_UNREADABLE', message: write.broken }, result, job);
      else readable.push(write);
    }
    if (!entity.parents) return readable;
    const ready: PendingWrite[] = [];
    const links = readable.map((write) =>
      entity.parents!.flatMap(({ entity: name, key }) => {
        const parentKey = write.head ? key(write.head.document) : null;
        return parentKey === null ? [] : [{ entity: name, key: parentKey }];
      }),
    );
    const parents = new Map<string, PendingWrite | undefined>();
    for (const [name, group] of Map.groupBy(links.flat(), (link) => link.entity)) {
      const keys = [...new Set(group.map((link) => link.key))];
      for (const pending of await buffer.fetch(name, keys)) parents.set(`${name} ${pending.key}`, pending);
    }
    for (const [index, write] of readable.entries()) {
      const blocker = links[index]!.map((link) => ({ link, pending: parents.get(`${link.entity} ${link.key}`) })).find(
        ({ pending }) => pending !== undefined,
      );
      if (!blocker) ready.push(write);
      else if (blocker.pending!.state === 'dirty') leave(write, result, `its ${blocker.link.entity} is not stored yet`);
      else {
        const { link } = blocker;
        const reason = { code: 'PARENT_FAILED', message: `waits for ${link.entity} ${link.key}, which has failed` };
        await failedWrites.record(entity.name, write, reason, { waitingFor: link, nowMs: Date.now() });
        leave(write, result, 'its parent has failed');
      }
    }
    return ready;
  }

  /** Writes and acknowledges. @returns the writes that the database refuses, with its reasons */
  async function store(entity: EntityDefinition, ready: PendingWrite[], result: WriteBatchResult): Promise<Map<PendingWrite, RefusalReason>> {
    const refusals = new Map<PendingWrite, RefusalReason>();
    if (ready.length === 0) return refusals;
    const { sink, breaker } = stores[entity.sink.kind];
    const byKey = new Map(ready.map((write) => [write.key, write]));
    try {
      const outcome = await breaker.call(() => sink.write(entity, ready.map(toStoreWrite)));
      result.statements += outcome.statements;
      const stored = outcome.stored.map((key) => byKey.get(key)!);
      const { hasWaiting } = await buffer.acknowledge(entity.name, stored);
      for (const { writes } of stored) {
        result.stored++;
        result.superseded += writes - 1;
      }
      for (const { key, reason } of outcome.rejected) refusals.set(byKey.get(key)!, reason);
      if (hasWaiting && registry.childrenOf(entity.name).length > 0) {
        const released = await failedWrites.releaseChildren(entity.name, outcome.stored);
        if (released > 0) await requestSync(queues, 'released');
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error;
      for (const write of ready) leave(write, result, error.message);
    }
    return refusals;
  }

  async function refuse(entity: EntityDefinition, write: PendingWrite, reason: RefusalReason, result: WriteBatchResult, job: Job<WriteBatchData>): Promise<void> {
    const isReplay = job.data.isReplay ?? false;
    const jobId = isReplay ? job.id! : failedWriteJobId(entity.name, write.key, write.version);
    const record = await failedWrites.record(entity.name, write, reason, { jobId, nowMs: Date.now() });
    if (!record) {
      // A newer write took its place while this one was refused: it is dirty and in the next run.
      result.superseded += write.writes;
      return;
    }
    result.failed++;
    result.superseded += write.writes - 1;
    log.error('write failed', { entity: entity.name, key: write.key, code: reason.code, jobId });
    if (isReplay) return;
    const data: WriteBatchData = { entity: entity.name, keys: [write.key], isReplay: true };
    await queues[WRITE_BATCHES].add(entity.name, data, { ...failedWriteOptions, jobId });
  }

  function leave(write: PendingWrite, result: WriteBatchResult, reason: string): void {
    result.left += write.writes;
    result.leftReason = reason;
  }
};

const refusalMessage = (refusals: Map<PendingWrite, RefusalReason>, result: WriteBatchResult): string => {
  const [reason] = refusals.values();
  return reason ? `${reason.code}: ${reason.message}` : `${result.failed} failed`;
};

const toStoreWrite = (write: PendingWrite): StoreWrite => ({
  key: write.key,
  version: write.head?.header.version ?? write.version,
  isDeleted: write.head?.header.isTombstone ?? false,
  ...(write.head ? { document: write.head.document } : {}),
  fields: [...write.fields.values()].map(({ document, header }) => ({ document, version: header.version })),
});
