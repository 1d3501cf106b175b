import type { Queues } from './index.ts';
import { WRITE_BATCHES, type WriteBatchData, writeBatchOptions } from './write-batches.queue.ts';

/** Writes that come within this time share a batch; the lane promises 2 s. */
const GATHER_MS = 250;
const MOST_KEYS = 100;

/**
 * Has writes of the urgent lane stored at once: their batches stand before those of any run, and wait for none. A batch that
 * cannot be added, or that is left behind a parent, is taken by the next run of the fast lane.
 */
export class UrgentBatches {
  readonly #queues: Queues;
  readonly #onError: (error: Error) => void;
  readonly #gathered = new Map<string, { entity: string; keys: Set<string> }>();
  #timer: NodeJS.Timeout | undefined;
  #adding: Promise<void> = Promise.resolve();

  constructor(queues: Queues, onError: (error: Error) => void) {
    this.#queues = queues;
    this.#onError = onError;
  }

  note(entity: string, keys: readonly string[], shard: number): void {
    const place = `${entity}/${shard}`;
    const gathered = this.#gathered.get(place) ?? { entity, keys: new Set() };
    for (const key of keys) gathered.keys.add(key);
    this.#gathered.set(place, gathered);
    this.#timer ??= setTimeout(() => this.#add(), GATHER_MS);
  }

  /** Adds what is gathered; resolves when it is added or given up. */
  async drain(): Promise<void> {
    if (this.#timer) this.#add();
    await this.#adding;
  }

  #add(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const jobs = [...this.#gathered.values()].flatMap(({ entity, keys }) => {
      const all = [...keys];
      return Array.from({ length: Math.ceil(all.length / MOST_KEYS) }, (_, part) => {
        const data: WriteBatchData = { entity, keys: all.slice(part * MOST_KEYS, (part + 1) * MOST_KEYS) };
        return { name: entity, data, opts: { ...writeBatchOptions, lifo: true } };
      });
    });
    this.#gathered.clear();
    this.#adding = Promise.all([this.#adding, this.#queues[WRITE_BATCHES].addBulk(jobs)]).then(() => {}, this.#onError);
  }
}
