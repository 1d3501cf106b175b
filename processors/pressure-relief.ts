import type { Cluster, Redis } from 'ioredis';
import type { BatchWriter } from '../src/buffer/batch-writer.ts';
import type { BufferGuard, Pressure } from '../src/buffer/guard.ts';
import { batchesOf } from '../src/buffer/keys.ts';
import type { WriteBuffer } from '../src/buffer/write-buffer.ts';
import type { EntityRegistry } from '../src/lib/entity-registry.ts';
import type { Log } from '../src/lib/log.ts';

export interface PressureReliefDeps {
  redis: Redis | Cluster;
  guard: BufferGuard;
  buffer: WriteBuffer;
  registry: EntityRegistry;
  batchWriter: BatchWriter;
  /** Asks for a sync run. */
  requestSync: () => Promise<unknown>;
  log: Log;
  batchSize: number;
}

const TICK_MS = 1_000;
const SCAN_COUNT = '500';
/** A run that was asked for has this many ticks to make room before batches go without one. */
const PATIENT_TICKS = 2;

/**
 * Makes room when Redis fills up (I7): at a mark it asks for a sync run at once. When memory stays at the hard mark, the
 * run may be one that cannot even start, since no job fits into a full Redis; then batches are stored without a queue.
 * Doing so beside a run is harmless: what one has stored is no longer dirty for the other.
 */
export class PressureRelief {
  readonly #deps: PressureReliefDeps;
  #timer: NodeJS.Timeout | undefined;
  #last: Pressure = 'normal';
  #hardTicks = 0;
  #draining: Promise<void> | undefined;

  constructor(deps: PressureReliefDeps) {
    this.#deps = deps;
  }

  start(): this {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
    return this;
  }

  /** Resolves when the batch under way is done. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#draining;
  }

  #tick(): void {
    const { guard, requestSync, log } = this.#deps;
    const { pressure } = guard;
    if (pressure !== 'normal' && pressure !== this.#last) {
      requestSync().catch((error: Error) => log.warn('no sync run could be asked for', { error: error.message }));
    }
    this.#last = pressure;
    this.#hardTicks = pressure === 'hard' ? this.#hardTicks + 1 : 0;
    if (this.#hardTicks <= PATIENT_TICKS || this.#draining) return;
    log.warn('the buffer stays full: storing without a queue', guard.memory);
    this.#draining = this.#drain()
      .catch((error: Error) => void log.warn('storing without a queue has stopped', { error: error.message }))
      .finally(() => {
        this.#draining = undefined;
      });
  }

  async #drain(): Promise<void> {
    if (!(await this.#isStillHard())) return;
    await this.#dropCopies();
    const { buffer, registry, batchWriter, batchSize } = this.#deps;
    for (const entity of registry.stages().flat()) {
      for (let shard = 0; shard < buffer.keys.shards; shard++) {
        for await (const keys of buffer.dirtyKeys(entity.name, shard)) {
          for (const batch of batchesOf(entity, keys, batchSize)) {
            if (!(await this.#isStillHard())) return;
            await batchWriter.write(entity.name, batch);
          }
        }
      }
    }
  }

  async #isStillHard(): Promise<boolean> {
    return this.#timer !== undefined && (await this.#deps.guard.checkMemory()) === 'hard';
  }

  /** Copies of what a database has go first: reads cost more without them, but writes are taken again. */
  async #dropCopies(): Promise<void> {
    const { redis, buffer } = this.#deps;
    for (const node of 'nodes' in redis ? redis.nodes('master') : [redis]) {
      let cursor = '0';
      do {
        const [next, keys] = await node.scanBuffer(cursor, 'MATCH', `*${buffer.keys.prefix}*`, 'COUNT', SCAN_COUNT);
        cursor = next.toString();
        const copies = keys.filter((key) => buffer.keys.isCopy(key.toString('latin1')));
        await Promise.all(copies.map((key) => node.unlink(key)));
      } while (cursor !== '0' && (await this.#isStillHard()));
    }
  }
}
