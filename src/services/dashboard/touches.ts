import type { Redis } from 'ioredis';
import type { BufferKeys } from '../../buffer/keys.ts';
import type { Touch } from '../../lib/cards.ts';

/** Counts a change for each field. KEYS: 1 the counts. ARGV: the fields. */
const TOUCH = `for _, field in ipairs(ARGV) do redis.call('HINCRBY', KEYS[1], field, 1) end`;

/** What waits to be counted, and when it is. */
interface Round {
  touches: Set<Touch>;
  counted: Promise<void>;
}

/**
 * Counts what has changed for a student, a class, a member of staff or the school. A dashboard is kept with the counts it was
 * made under and is served under no other, so a change of a class costs one command, however many dashboards it makes stale;
 * the changes of one turn of the event loop, such as the writes of a commit, share one.
 */
export class Touches {
  readonly #redis: Redis & { dashboard_touch?: (key: string, ...touches: Touch[]) => Promise<null> };
  readonly #key: string;
  #next: Round | undefined;

  constructor({ redis, keys }: { redis: Redis; keys: BufferKeys }) {
    this.#redis = redis;
    this.#key = keys.touches();
    redis.defineCommand('dashboard_touch', { lua: TOUCH, numberOfKeys: 1 });
  }

  /** Call after the change is visible to readers. @throws when Redis is away */
  async add(touches: readonly Touch[]): Promise<void> {
    if (touches.length === 0) return;
    this.#next ??= this.#round();
    const { counted, touches: waiting } = this.#next;
    for (const touch of touches) waiting.add(touch);
    await counted;
  }

  #round(): Round {
    const touches = new Set<Touch>();
    const turnIsOver = new Promise((resolve) => setImmediate(resolve));
    const counted = turnIsOver.then(async () => {
      // Whatever is added from here on was perhaps not visible when these are counted.
      this.#next = undefined;
      await this.#redis.dashboard_touch!(this.#key, ...touches);
    });
    return { touches, counted };
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
