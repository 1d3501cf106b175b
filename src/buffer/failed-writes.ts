import type { Redis } from 'ioredis';
import type { RefusalReason } from '../errors/driver-errors.ts';
import type { Document } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import { type PendingWrite, StaleVersionError, type WriteBuffer } from './write-buffer.ts';

/** A write that a database refuses for good, or (waiting) whose parent it refused. Kept in Redis until it is resolved. */
export interface FailedWrite {
  id: string;
  entity: string;
  key: string;
  state: 'failed' | 'waiting';
  version: number;
  /** SQLSTATE, MongoDB code, a rule's code, PARENT_FAILED or PAYLOAD_UNREADABLE. */
  code: string;
  message: string;
  constraint?: string;
  column?: string;
  /** The parent that a waiting write waits for, as entity and key. */
  waitingFor?: { entity: string; key: string };
  attempts: number;
  firstAtMs: number;
  lastAtMs: number;
  /** The job that shows it in the queue's failed set. */
  jobId?: string;
  /** Set once resolved. */
  resolution?: 'stored' | 'superseded' | 'discarded';
  resolvedAtMs?: number;
  resolvedBy?: string;
  /** Version of the newer write that took its place. */
  supersededBy?: number;
  reason?: string;
}

export const failedWriteId = (entity: string, key: string): string => `${entity}~${key}`;

export function parseFailedWriteId(id: string): { entity: string; key: string } | undefined {
  const split = id.indexOf('~');
  return split > 0 && split < id.length - 1 ? { entity: id.slice(0, split), key: id.slice(split + 1) } : undefined;
}

/** Records of failed writes: what an admin sees, repairs, replays or discards. The payload itself stays in the buffer. */
export class FailedWrites {
  readonly #redis: Redis;
  readonly #buffer: WriteBuffer;
  readonly #registry: EntityRegistry;

  constructor(redis: Redis, buffer: WriteBuffer, registry: EntityRegistry) {
    this.#redis = redis;
    this.#buffer = buffer;
    this.#registry = registry;
  }

  /**
   * Sets a write aside. @returns its record, or undefined when a newer write has taken its place meanwhile
   */
  async record(
    entity: string,
    write: PendingWrite,
    reason: RefusalReason,
    options: { jobId?: string; waitingFor?: { entity: string; key: string }; nowMs: number },
  ): Promise<FailedWrite | undefined> {
    const before = await this.get(failedWriteId(entity, write.key));
    const record: FailedWrite = {
      id: failedWriteId(entity, write.key),
      entity,
      key: write.key,
      state: options.waitingFor ? 'waiting' : 'failed',
      version: write.version,
      ...reason,
      ...(options.waitingFor ? { waitingFor: options.waitingFor } : {}),
      attempts: (before?.attempts ?? 0) + 1,
      firstAtMs: before?.firstAtMs ?? options.nowMs,
      lastAtMs: options.nowMs,
      ...((options.jobId ?? before?.jobId) ? { jobId: options.jobId ?? before!.jobId! } : {}),
    };
    const isParked = await this.#buffer.park(entity, write, record.state, record, options.waitingFor);
    if (!isParked) return undefined;
    if (options.waitingFor) await this.#releaseFromGoneParent(options.waitingFor);
    return record;
  }

  /** A parent that was stored while its child was being set aside has released its children before this one joined them. */
  async #releaseFromGoneParent({ entity, key }: { entity: string; key: string }): Promise<void> {
    const [parent] = await this.#buffer.fetch(entity, [key]);
    if (!parent || parent.state === 'dirty') await this.releaseChildren(entity, [key]);
  }

  async get(id: string): Promise<FailedWrite | undefined> {
    const parsed = parseFailedWriteId(id);
    const entity = parsed && this.#registry.find(parsed.entity);
    if (!entity) return undefined;
    const { shard } = this.#buffer.keys.place(entity, parsed.key);
    const content = await this.#redis.hget(this.#buffer.keys.failed(shard, entity.name), parsed.key);
    return content ? (JSON.parse(content) as FailedWrite) : undefined;
  }

  /** Open failed writes, oldest first. */
  async list(entityName?: string): Promise<FailedWrite[]> {
    const entities = entityName ? [this.#registry.get(entityName)] : this.#registry.all();
    const records: FailedWrite[] = [];
    for (const { name } of entities) {
      for (let shard = 0; shard < this.#buffer.keys.shards; shard++) {
        for (const content of await this.#redis.hvals(this.#buffer.keys.failed(shard, name))) {
          records.push(JSON.parse(content) as FailedWrite);
        }
      }
    }
    return records.sort((a, b) => a.firstAtMs - b.firstAtMs || (a.id < b.id ? -1 : 1));
  }

  /** The last thousand resolved ones of each shard, newest first. */
  async resolved(limit: number): Promise<FailedWrite[]> {
    const records: FailedWrite[] = [];
    for (let shard = 0; shard < this.#buffer.keys.shards; shard++) {
      const contents = await this.#redis.lrange(this.#buffer.keys.resolved(shard), 0, limit - 1);
      records.push(...contents.map((content) => JSON.parse(content) as FailedWrite));
    }
    return records.sort((a, b) => b.resolvedAtMs! - a.resolvedAtMs!).slice(0, limit);
  }

  /**
   * Puts a repaired document in the failed one's place; it stays set aside until it is replayed. A deletion stays one.
   *
   * @throws StaleVersionError when a newer write has replaced it, or it is no longer set aside
   */
  async repair(record: FailedWrite, document: Document, fields?: readonly Document[]): Promise<FailedWrite> {
    const entity = this.#registry.get(record.entity);
    const options = { isRepair: true, ifMatch: record.version };
    const [write] = await this.#buffer.fetch(entity.name, [record.key]);
    const receipt =
      entity.kind === 'sheet'
        ? await this.#buffer.putSheet(entity.name, record.key, document, fields ?? [], options)
        : await this.#buffer.put(entity.name, document, {
            ...options,
            isTombstone: write?.head?.header.isTombstone ?? false,
          });
    const repaired: FailedWrite = { ...record, version: receipt.version };
    await this.update(record, repaired);
    return repaired;
  }

  /** @returns false when the write has been resolved or replaced since `record` was read: then nothing changes */
  async update(record: FailedWrite, changed: FailedWrite): Promise<boolean> {
    const { shard } = this.#buffer.keys.place(this.#registry.get(record.entity), record.key);
    const failed = this.#buffer.keys.failed(shard, record.entity);
    return (await this.#buffer.scripts.amend(failed, record.key, record.version, JSON.stringify(changed))) === 1;
  }

  /**
   * Gives a failed write up: it leaves the buffer and nothing of it is stored.
   *
   * @returns its waiting children, which have failed for good now
   * @throws StaleVersionError when a newer write has replaced it: that one stays
   */
  async discard(record: FailedWrite, by: string, reason: string, nowMs: number): Promise<FailedWrite[]> {
    const [write] = await this.#buffer.fetch(record.entity, [record.key]);
    const isCurrent =
      write?.version === record.version && (await this.update(record, { ...record, resolvedBy: by, reason }));
    if (!write || !isCurrent) throw new StaleVersionError(write?.version ?? 0);
    const { cleared } = await this.#buffer.acknowledge(record.entity, [write], 'discarded');
    if (cleared === 0) throw new StaleVersionError(write.version);
    const orphans: FailedWrite[] = [];
    for (const child of await this.#buffer.waitersOf(record.entity, record.key)) {
      const [pending] = await this.#buffer.fetch(child.entity, [child.key]);
      if (!pending) continue;
      const parent = { entity: record.entity, key: record.key };
      await this.#buffer.park(child.entity, pending, 'dirty', undefined, parent);
      const [fresh] = await this.#buffer.fetch(child.entity, [child.key]);
      const orphan = await this.record(
        child.entity,
        fresh ?? pending,
        { code: 'PARENT_DISCARDED', message: `its ${record.entity} ${record.key} was discarded` },
        { nowMs },
      );
      if (orphan) orphans.push(orphan);
    }
    return orphans;
  }

  /** Makes children of a stored parent part of the runs again. @returns how many */
  async releaseChildren(parentEntity: string, parentKeys: readonly string[]): Promise<number> {
    let released = 0;
    for (const parentKey of parentKeys) {
      for (const child of await this.#buffer.waitersOf(parentEntity, parentKey)) {
        const [pending] = await this.#buffer.fetch(child.entity, [child.key]);
        const parent = { entity: parentEntity, key: parentKey };
        if (!pending) await this.#buffer.forgetWaiter(parent, child);
        else if (await this.#buffer.park(child.entity, pending, 'dirty', undefined, parent)) released++;
      }
    }
    return released;
  }
}
