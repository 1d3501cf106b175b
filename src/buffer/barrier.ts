import { setTimeout as sleep } from 'node:timers/promises';
import { FlushPendingError } from '../errors/catalogue.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import { type BatchOptions, type BatchResult, type BatchWriter, parentsOf } from './batch-writer.ts';
import type { PendingWrite, WriteBuffer } from './write-buffer.ts';

/** Before what is answered at once (DOMAIN §0). */
const ONLINE_MS = 2_000;
const AGAIN_FIRST_MS = 5;
const AGAIN_MOST_MS = 100;

export interface BarrierOptions extends BatchOptions {
  /** How long writes may take to be stored; 2 s unless told. */
  withinMs?: number;
}

export interface BarrierResult {
  /** Acknowledged writes that were stored here, and not by a run beside it. */
  stored: number;
  /** Writes that were set aside, before or now: they are in the buffer and not stored. */
  setAside: PendingWrite[];
  /** Why a write was refused here. */
  failure?: BatchResult['failure'];
}

/**
 * Has the buffered writes of some keys stored now, their parents' first: before a change that goes to the database by itself,
 * and before a report (DOMAIN §0). Doing so beside a sync run is harmless, as all batches are.
 */
export class Barrier {
  readonly #buffer: WriteBuffer;
  readonly #batchWriter: BatchWriter;
  readonly #registry: EntityRegistry;

  constructor(deps: { buffer: WriteBuffer; batchWriter: BatchWriter; registry: EntityRegistry }) {
    this.#buffer = deps.buffer;
    this.#batchWriter = deps.batchWriter;
    this.#registry = deps.registry;
  }

  /**
   * Resolves when nothing of these keys is dirty any more. Documents that are bundled lie under other keys than their own, see
   * `WriteBuffer.entryKeys`.
   *
   * @throws FlushPendingError when a database does not take them in time; they stay in the buffer
   */
  async store(entityName: string, keys: readonly string[], options: BarrierOptions = {}): Promise<BarrierResult> {
    const { withinMs = ONLINE_MS, ...batch } = options;
    return this.#store(entityName, keys, batch, Date.now() + withinMs);
  }

  async #store(
    entityName: string,
    keys: readonly string[],
    batch: BatchOptions,
    deadlineMs: number,
  ): Promise<BarrierResult> {
    let againMs = AGAIN_FIRST_MS;
    let stored = 0;
    let failure: BatchResult['failure'];
    let cause: unknown;
    for (;;) {
      const pending = await this.#buffer.fetch(entityName, keys);
      const dirty = pending.filter(({ state }) => state === 'dirty');
      if (dirty.length === 0) return { stored, setAside: pending, ...(failure ? { failure } : {}) };
      await this.#storeParents(entityName, dirty, deadlineMs);
      try {
        const keysNow = dirty.map(({ key }) => key);
        const result = await this.#batchWriter.write(entityName, keysNow, batch);
        stored += result.stored;
        failure = result.failure ?? failure;
        if (result.left === 0) continue;
      } catch (error) {
        cause = error; // this attempt lost a race; the next may win it
      }
      if (Date.now() + againMs > deadlineMs) throw new FlushPendingError({ cause });
      await sleep(againMs);
      againMs = Math.min(againMs * 2, AGAIN_MOST_MS);
    }
  }

  async #storeParents(entityName: string, dirty: readonly PendingWrite[], deadlineMs: number): Promise<void> {
    const entity = this.#registry.get(entityName);
    const parents = dirty.filter(({ broken }) => !broken).flatMap((write) => parentsOf(entity, write));
    for (const [name, group] of Map.groupBy(parents, (parent) => parent.entity))
      await this.#store(name, [...new Set(group.map(({ key }) => key))], {}, deadlineMs);
  }
}
