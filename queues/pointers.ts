import type { Queues } from './index.ts';
import {
  WRITE_POINTERS,
  type WritePointerData,
  writePointerJobId,
  writePointerOptions,
} from './write-pointers.queue.ts';

/** After this long a pointer is added again: a run may have taken the first one meanwhile. */
const REPEAT_MS = 5_000;

/**
 * Adds pointer jobs for committed writes: at once for the first write of an entity, shard and minute, and at most every
 * few seconds after that. A pointer that cannot be added is only counted: the dirty index is the truth.
 */
export class Pointers {
  readonly #queues: Queues;
  readonly #onError: (error: Error) => void;
  readonly #added = new Map<string, number>();
  #adding = new Set<Promise<void>>();

  constructor(queues: Queues, onError: (error: Error) => void) {
    this.#queues = queues;
    this.#onError = onError;
  }

  /** @param nowMs instant of the commit */
  note(entity: string, shard: number, nowMs: number): void {
    const place = `${entity}/${shard}`;
    if (nowMs - (this.#added.get(place) ?? 0) < REPEAT_MS) return;
    this.#added.set(place, nowMs);
    const data: WritePointerData = { entity, shard, minute: new Date(nowMs).toISOString().slice(0, 16) };
    const adding: Promise<void> = this.#queues[WRITE_POINTERS]
      .add(entity, data, {
        ...writePointerOptions,
        jobId: writePointerJobId(data),
      })
      .then(() => undefined, this.#onError)
      .finally(() => this.#adding.delete(adding));
    this.#adding.add(adding);
  }

  /** Resolves when all pointers noted so far are added or given up. */
  async drain(): Promise<void> {
    await Promise.all(this.#adding);
  }
}
