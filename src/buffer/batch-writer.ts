import type { RefusalReason } from '../errors/driver-errors.ts';
import { type EntityDefinition, keyOf } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import type { Log } from '../lib/log.ts';
import type { Receipt } from '../lib/write-receipt.ts';
import { type CircuitBreaker, StoreUnavailableError } from '../stores/circuit-breaker.ts';
import { type BatchOutcome, type Sink, unreadable } from '../stores/sinks/sink.ts';
import type { FailedWrites } from './failed-writes.ts';
import { isBundleKey } from './keys.ts';
import type { Reservations } from './reservations.ts';
import { toStoreWrites } from './store-writes.ts';
import type { PendingWrite, WriteBuffer } from './write-buffer.ts';

/** What a batch did, in acknowledged writes: stored + superseded + failed + left = taken (I9). */
export interface BatchResult {
  entity: string;
  taken: number;
  stored: number;
  superseded: number;
  failed: number;
  left: number;
  /** Why keys were left, if any were. */
  leftReason?: string;
  /** The last refusal, if any write failed. */
  failure?: RefusalReason;
  statements: number;
  durationMs: number;
}

/** Sink and breaker of each kind of database. */
export type StoreDirectory = Record<'postgres' | 'mongo', { sink: Sink; breaker: CircuitBreaker }>;

export interface BatchWriterDeps {
  buffer: WriteBuffer;
  failedWrites: FailedWrites;
  reservations: Reservations;
  registry: EntityRegistry;
  stores: StoreDirectory;
  log: Log;
  /** Id of the job that will show a failed write. */
  failedJobId: (entity: string, key: string, version: number) => string;
  /** A write was set aside as failed, for this reason: make it visible. */
  onFailed: (entity: string, key: string, jobId: string, code: string) => Promise<void>;
  /** Children of a stored parent are dirty again: have them synced. */
  onReleased: () => Promise<void>;
  /** Called once a batch with what became of its writes; must neither wait nor throw. */
  announce: (news: BatchNews) => void;
}

/** What became of the writes of a batch; of a key, all versions up to the one given. */
export interface BatchNews {
  entity: string;
  stored: Receipt[];
  /** Set aside: refused, or behind a parent that was. */
  failed: Receipt[];
}

export interface BatchOptions {
  /** A failed write tried again by this job: entries are taken in any state. */
  replayJobId?: string;
  /** A write of this version alone is taken out of the buffer when it is refused, not set aside: nobody was told it is kept. */
  unacknowledged?: number;
}

/**
 * Stores some keys of one entity: fetch, write, then acknowledge. A crash anywhere above the acknowledgement leaves
 * every write in the buffer, to be written again under a version guard that makes the second time harmless.
 */
export class BatchWriter {
  readonly #deps: BatchWriterDeps;

  constructor(deps: BatchWriterDeps) {
    this.#deps = deps;
  }

  /** @throws the driver's error when the attempt lost a race and may be repeated as it is */
  async write(entityName: string, keys: readonly string[], options: BatchOptions = {}): Promise<BatchResult> {
    const { buffer, registry, announce } = this.#deps;
    const entity = registry.get(entityName);
    const startedMs = Date.now();
    const result: BatchResult = {
      entity: entity.name,
      taken: 0,
      stored: 0,
      superseded: 0,
      failed: 0,
      left: 0,
      statements: 0,
      durationMs: 0,
    };
    const batch: Batch = { entity, options, result, news: { entity: entity.name, stored: [], failed: [] } };
    try {
      const found = await buffer.fetch(entity.name, keys);
      const taken = options.replayJobId ? found : found.filter((write) => write.state === 'dirty');
      const readable = await this.#withoutBroken(batch, taken);
      const ready = entity.parents ? await this.#withoutOrphans(batch, readable) : readable;
      const refusals = await this.#store(batch, ready);
      for (const [write, reason] of refusals) await this.#refuse(batch, write, reason);
    } finally {
      announce(batch.news);
    }
    result.taken = result.stored + result.superseded + result.failed + result.left;
    result.durationMs = Date.now() - startedMs;
    return result;
  }

  async #withoutBroken(batch: Batch, taken: PendingWrite[]): Promise<PendingWrite[]> {
    const { entity } = batch;
    const readable: PendingWrite[] = [];
    // Plain rows are poured as bytes, and a broken payload shows there; all else reads documents on the way.
    const readsDocuments =
      entity.kind === 'sheet' || entity.sink.kind !== 'postgres' || entity.parents || entity.uniques;
    for (const write of taken) {
      if (readsDocuments && !write.broken) touch(write);
      if (write.broken) await this.#refuse(batch, write, unreadable(new Error(write.broken)));
      else readable.push(write);
    }
    return readable;
  }

  /** Children whose parent is still in the buffer: behind a dirty one they stay dirty, behind a failed one they wait. */
  async #withoutOrphans({ entity, result, news }: Batch, writes: PendingWrite[]): Promise<PendingWrite[]> {
    const links = writes.map((write) => parentsOf(entity, write));
    const pending = new Map<string, PendingWrite>();
    for (const [name, group] of Map.groupBy(links.flat(), (link) => link.entity)) {
      const keys = [...new Set(group.map((link) => link.key))];
      for (const parent of await this.#deps.buffer.fetch(name, keys)) pending.set(`${name} ${parent.key}`, parent);
    }
    const ready: PendingWrite[] = [];
    for (const [index, write] of writes.entries()) {
      const link = links[index]!.find(({ entity: name, key }) => pending.has(`${name} ${key}`));
      if (!link) ready.push(write);
      else if (pending.get(`${link.entity} ${link.key}`)!.state === 'dirty')
        leave(write, result, `its ${link.entity} is not stored yet`);
      else {
        const reason = { code: 'PARENT_FAILED', message: `waits for ${link.entity} ${link.key}, which has failed` };
        await this.#deps.failedWrites.record(entity.name, write, reason, { waitingFor: link, nowMs: Date.now() });
        news.failed.push(receiptOf(entity, write));
        leave(write, result, 'its parent has failed');
      }
    }
    return ready;
  }

  /** Writes and acknowledges. @returns the writes that the database refuses, with its reasons */
  async #store(batch: Batch, ready: PendingWrite[]): Promise<Map<PendingWrite, RefusalReason>> {
    const { entity, result, news } = batch;
    const refusals = new Map<PendingWrite, RefusalReason>();
    if (ready.length === 0) return refusals;
    const { buffer, stores, reservations } = this.#deps;
    const { sink, breaker } = stores[entity.sink.kind];
    const byKey = new Map(ready.map((write) => [write.key, write]));
    try {
      const outcome = await breaker.call(() => sink.write(entity, toStoreWrites(entity, ready)));
      result.statements += outcome.statements;
      const { drop } = entity.sink as { drop?: RefusalReason };
      for (const key of outcome.dropped)
        this.#deps.log.info('write dropped', { entity: entity.name, key, code: drop?.code });
      if (entity.bundled) return await this.#takeApart(batch, ready, outcome);
      const stored = outcome.stored.map((key) => byKey.get(key)!);
      const { hasWaiting } = await buffer.acknowledge(entity.name, stored);
      for (const write of stored) news.stored.push(receiptOf(entity, write));
      if (entity.uniques)
        await reservations.end(
          entity,
          stored.flatMap(({ head }) => (head ? [head.document] : [])),
        );
      for (const { writes } of stored) {
        result.stored++;
        result.superseded += writes - 1;
      }
      for (const { key, reason } of outcome.rejected) refusals.set(byKey.get(key)!, reason);
      if (hasWaiting) await this.#releaseChildren(entity, outcome.stored);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error;
      for (const write of ready) leave(write, result, error.message);
    }
    return refusals;
  }

  /**
   * Acknowledges bundles. A document that is refused is put into an entry of its own before its bundle goes, so that it fails
   * alone; a crash in between leaves it in both, to be refused again. Bundled documents make no news: answers do not name them.
   */
  async #takeApart(
    { entity, result, news }: Batch,
    ready: PendingWrite[],
    outcome: BatchOutcome,
  ): Promise<Map<PendingWrite, RefusalReason>> {
    const { buffer } = this.#deps;
    const reasons = new Map(outcome.rejected.map(({ key, reason }) => [key, reason]));
    const refusals = new Map<PendingWrite, RefusalReason>();
    const counted = new Set<string>();
    const refused: string[] = [];
    const done: PendingWrite[] = [];
    for (const write of ready) {
      if (!write.bundle && reasons.has(write.key)) {
        refusals.set(write, reasons.get(write.key)!);
        continue;
      }
      done.push(write);
      const documents = write.bundle?.documents.map((document) => ({ key: keyOf(entity, document), document })) ?? [];
      for (const { key, document } of documents) {
        if (counted.has(key)) result.superseded++;
        else if (!reasons.has(key)) result.stored++;
        else {
          await buffer.put(entity.name, document, { isAlone: true });
          refused.push(key);
        }
        counted.add(key);
      }
      if (write.bundle) continue;
      news.stored.push(receiptOf(entity, write));
      result.stored++;
      result.superseded += write.writes - 1;
    }
    await buffer.acknowledge(entity.name, done);
    for (const write of await buffer.fetch(entity.name, refused)) refusals.set(write, reasons.get(write.key)!);
    return refusals;
  }

  async #releaseChildren(entity: EntityDefinition, keys: readonly string[]): Promise<void> {
    if (this.#deps.registry.childrenOf(entity.name).length === 0) return;
    const released = await this.#deps.failedWrites.releaseChildren(entity.name, keys);
    if (released > 0) await this.#deps.onReleased();
  }

  async #refuse({ entity, result, news, options }: Batch, write: PendingWrite, reason: RefusalReason): Promise<void> {
    const { buffer, failedWrites, failedJobId, onFailed, log } = this.#deps;
    const { replayJobId, unacknowledged } = options;
    if (write.entries.every(({ version, writes }) => version === unacknowledged && writes === 1)) {
      await buffer.acknowledge(entity.name, [write], 'withdrawn');
      result.failed++;
      result.failure = reason;
      return;
    }
    // A bundle gets here only when nothing in it can be read.
    const failed = isBundleKey(entity, write.key) ? write.writes : 1;
    const jobId = replayJobId ?? failedJobId(entity.name, write.key, write.version);
    const record = await failedWrites.record(entity.name, write, reason, { jobId, nowMs: Date.now() });
    if (!record) {
      // A newer write took its place while this one was refused: that one is dirty and in the next run.
      result.superseded += write.writes;
      return;
    }
    news.failed.push(receiptOf(entity, write));
    result.failed += failed;
    result.superseded += write.writes - failed;
    result.failure = reason;
    log.error('write failed', { entity: entity.name, key: write.key, code: reason.code, jobId });
    if (!replayJobId) await onFailed(entity.name, write.key, jobId, reason.code);
  }
}

/** One batch on its way. */
interface Batch {
  entity: EntityDefinition;
  options: BatchOptions;
  result: BatchResult;
  news: BatchNews;
}

const receiptOf = ({ name }: EntityDefinition, { key, version }: PendingWrite): Receipt => ({
  entity: name,
  key,
  version,
});

/** The rows that must be stored before this write. */
export const parentsOf = ({ parents = [] }: EntityDefinition, { head }: PendingWrite) =>
  parents.flatMap((parent) => {
    const key = head ? parent.key(head.document) : null;
    return key === null ? [] : [{ entity: parent.entity, key }];
  });

function touch(write: PendingWrite): void {
  try {
    void write.head?.document;
    for (const { document } of write.fields.values()) void document;
  } catch (error) {
    write.broken = (error as Error).message;
  }
}

function leave(write: PendingWrite, result: BatchResult, reason: string): void {
  result.left += write.writes;
  result.leftReason = reason;
}
