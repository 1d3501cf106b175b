import type { Redis } from 'ioredis';

/** One cached answer: what it is, how long it is fresh, and how long it may stand in when its source is down. */
export interface CacheSpec<T> {
  /** Key without prefix, e.g. `class:roster:{class}:{date}`. */
  name: string;
  ttlSeconds: number;
  /** Beyond its freshness, served only when the loader fails. */
  staleSeconds?: number;
  /** State of the source as the caller knows it: an answer of another state is not served, fresh or stale. */
  stamp?: number;
  load: () => Promise<T>;
}

export interface Cached<T> {
  value: T;
  source: 'cache' | 'loader';
  /** Why the source could not be asked, when a stale answer stands in. */
  staleBecause?: unknown;
}

/** Stores only if nothing was dropped since the loader began. KEYS: key, generation. ARGV: generation, value, TTL s */
const STORE = `
if (redis.call('GET', KEYS[2]) or '') == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
  return 1
end
return 0`;

/** A generation outlives any loader that may have begun before it. */
const GENERATION_SECONDS = 3600;
const JITTER = 0.1;

/** Read cache in Redis: one loader a key and process, spread expiry, no answer from before a drop. */
export class Cache {
  readonly #redis: Redis;
  readonly #keyOf: (name: string) => string;
  readonly #loading = new Map<string, Promise<unknown>>();
  readonly #observe: (name: string, isHit: boolean) => void;
  readonly #mayStore: () => boolean;

  /** @param mayStore asked before each store: answers are kept only while there is room for them */
  constructor(
    redis: Redis,
    keyOf: (name: string) => string,
    observe: (name: string, isHit: boolean) => void = () => {},
    mayStore: () => boolean = () => true,
  ) {
    this.#redis = redis;
    this.#keyOf = keyOf;
    this.#observe = observe;
    this.#mayStore = mayStore;
    redis.defineCommand('cache_store', { lua: STORE, numberOfKeys: 2 });
  }

  /** @throws what the loader throws, when no stale answer is left */
  async get<T>(spec: CacheSpec<T>): Promise<Cached<T>> {
    const key = this.#keyOf(spec.name);
    const content = await this.#redis.get(key).catch(() => null);
    const kept =
      content === null ? undefined : (JSON.parse(content) as { value: T; freshUntilMs: number; stamp?: number });
    const found = kept?.stamp === spec.stamp ? kept : undefined;
    const isFresh = found !== undefined && found.freshUntilMs > Date.now();
    this.#observe(spec.name, isFresh);
    if (isFresh) return { value: found.value, source: 'cache' };
    try {
      return { value: await this.#load(key, spec), source: 'loader' };
    } catch (error) {
      if (found === undefined) throw error;
      return { value: found.value, source: 'cache', staleBecause: error };
    }
  }

  /** Forgets an answer; a loader that is under way may not store its result. */
  async drop(...names: string[]): Promise<void> {
    await Promise.all(
      names.map((name) => {
        const key = this.#keyOf(name);
        for (const loading of this.#loading.keys()) if (loading.startsWith(`${key} `)) this.#loading.delete(loading);
        return this.#redis
          .multi()
          .del(key)
          .incr(generationOf(key))
          .expire(generationOf(key), GENERATION_SECONDS)
          .exec();
      }),
    );
  }

  #load<T>(key: string, spec: CacheSpec<T>): Promise<T> {
    const flight = `${key} ${spec.stamp ?? ''}`;
    const running = this.#loading.get(flight) as Promise<T> | undefined;
    if (running) return running;
    const loading = this.#loadAndStore(key, spec).finally(() => {
      if (this.#loading.get(flight) === loading) this.#loading.delete(flight);
    });
    this.#loading.set(flight, loading);
    return loading;
  }

  async #loadAndStore<T>(key: string, { ttlSeconds, staleSeconds = 0, stamp, load }: CacheSpec<T>): Promise<T> {
    const generation = (await this.#redis.get(generationOf(key)).catch(() => null)) ?? '';
    const value = await load();
    if (!this.#mayStore()) return value;
    const ttl = ttlSeconds * (1 - JITTER + Math.random() * 2 * JITTER);
    const content = JSON.stringify({ value, freshUntilMs: Date.now() + ttl * 1000, stamp });
    const commands = this.#redis as unknown as { cache_store(...args: (string | number)[]): Promise<number> };
    // A cache that cannot be written slows reads down; it must not fail them.
    await commands
      .cache_store(key, generationOf(key), generation, content, Math.ceil(ttl + staleSeconds))
      .catch(() => 0);
    return value;
  }
}

/** In the key's hash slot, so that one script may touch both. */
const generationOf = (key: string): string => `${key}:generation`;
