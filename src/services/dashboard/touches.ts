import type { Redis } from 'ioredis';
import type { BufferKeys } from '../../buffer/keys.ts';
import type { Touch } from '../../lib/cards.ts';

/**
 * Counts what has changed for a student, a class, a member of staff or the school. A dashboard is kept with the counts it was
 * made under and is served under no other, so a change of a class costs one command, however many dashboards it makes stale.
 */
export class Touches {
  readonly #redis: Redis;
  readonly #key: string;

  constructor({ redis, keys }: { redis: Redis; keys: BufferKeys }) {
    this.#redis = redis;
    this.#key = keys.touches();
  }

  /** Call after the change is visible to readers. @throws when Redis is away */
  async add(touches: Iterable<Touch>): Promise<void> {
    await Promise.all([...new Set(touches)].map((touch) => this.#redis.hincrby(this.#key, touch, 1)));
  }

  /** The counts of all of these as one text; undefined while nobody can tell. */
  async stamp(touches: readonly Touch[]): Promise<string | undefined> {
    try {
      const counts = await this.#redis.hmget(this.#key, ...touches);
      return touches.map((touch, index) => `${touch}=${counts[index] ?? 0}`).join();
    } catch {
      return undefined;
    }
  }
}
