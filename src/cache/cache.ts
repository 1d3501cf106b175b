import type { ChainableCommander, Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';

/** One cached answer: what it is, how long it is fresh, and how long it may stand in when its source is down. */
export interface CacheSpec<T> {
  /** Key without prefix, e.g. `class:roster:{class}:{date}`. */
  name: string;
  /** The cache's own unless given. */
  ttlSeconds?: number;
  /** Seconds from now on after which an answer is another, whatever its TTL; 0 or less: it is not kept. */
  mostSeconds?: (value: T) => number;
  /** Whether an answer can still be right, whatever its TTL; any unless told. */
  isCurrent?: (value: T) => boolean;
  /** Beyond its freshness, served only when the loader fails. */
  staleSeconds?: number;
  /**
   * State of the source as the caller knows it: an answer of another state is not served, fresh or stale. A function is
   * asked beside the answer, and says undefined when nobody can tell.
   */
  stamp?: number | (() => Promise<string | undefined>);
  /** Name that drops this answer together with others, in place of its own. */
  group?: string;
  /**
   * Large, and wanted all the time by everybody: the process keeps it as it is parsed, too, and asks Redis only whether it still
   * holds. Nobody may change it.
   */
  isShared?: boolean;
  /** Whether an answer may be kept; any unless told. */
  isKept?: (value: T) => boolean;
  load: () => Promise<T>;
}

export interface Cached<T> {
  value: T;
  source: 'cache' | 'loader';
  /** Why the source could not be asked, when a stale answer stands in. */
  staleBecause?: unknown;
}

/** What is kept of an answer. */
interface Kept<T> {
  value: T;
  freshUntilMs: number;
  stamp: Stamp;
}

/** The caller's, a generation, or both. */
type Stamp = number | string;

/** No answer lives longer, so that the mark of a drop outlives all that was loaded before it. */
const LONGEST_SECONDS = 8 * 86_400;
/** Time a loader may take, by far. */
const LOADER_SECONDS = 3_600;
/** Time between a fence and the commit of what it was put up for, by far: several statements at their time limit. */
const FENCE_SECONDS = 300;
const JITTER = 0.1;
/** Shared answers that a process keeps. */
const MOST_SHARED = 50;

/**
 * Read cache in Redis: one loader a key and process, spread expiry, no answer from before a drop.
 *
 * An answer is served only to those whose stamp it has: the caller's, or else its generation or its group's, which a drop
 * raises. Generations lie in a Redis that evicts nothing; answers may lie in another that does, or is away: then they are
 * missed, never wrong.
 */
export class Cache {
  readonly #redis: Redis;
  readonly #answers: Redis;
  readonly #keyOf: (name: string) => string;
  readonly #ttlSeconds: number;
  readonly #shared = new LRUCache<string, Kept<unknown>>({ max: MOST_SHARED });
  readonly #loading = new Map<string, Promise<unknown>>();
  readonly #observe: (name: string, isHit: boolean) => void;
  readonly #mayStore: () => boolean;
  readonly #nowMs: () => number;

  constructor(deps: {
    /** Of generations, and of the answers unless they have a server of their own. */
    redis: Redis;
    answers?: Redis | undefined;
    keyOf: (name: string) => string;
    /** How long an answer is fresh unless its kind says otherwise. */
    ttlSeconds: number;
    observe?: ((name: string, isHit: boolean) => void) | undefined;
    /** Asked before each store: answers are kept only while there is room for them. */
    mayStore?: () => boolean;
    /** Judges freshness; the machine's clock unless given. */
    nowMs?: () => number;
  }) {
    this.#redis = deps.redis;
    this.#answers = deps.answers ?? deps.redis;
    this.#keyOf = deps.keyOf;
    this.#ttlSeconds = deps.ttlSeconds;
    this.#observe = deps.observe ?? (() => {});
    this.#mayStore = deps.mayStore ?? (() => true);
    this.#nowMs = deps.nowMs ?? Date.now;
  }

  /** @throws what the loader throws, when no stale answer is left */
  async get<T>(spec: CacheSpec<T>): Promise<Cached<T>> {
    const key = this.#keyOf(spec.name);
    const shared = spec.isShared ? (this.#shared.get(key) as Kept<T> | undefined) : undefined;
    // Undefined: that Redis is away.
    const [content, stamp] = await Promise.all([
      shared ? null : this.#answers.get(key).catch(() => undefined),
      this.#stampOf(spec, key),
    ]);
    const kept = shared ?? (content ? (JSON.parse(content) as Kept<T>) : undefined);
    if (shared && (shared.stamp !== stamp || !this.#isFresh(shared, spec))) {
      this.#shared.delete(key);
      return this.get(spec);
    }
    const found = kept && kept.stamp === stamp ? kept : undefined;
    const isFresh = found !== undefined && this.#isFresh(found, spec);
    this.#observe(spec.name, isFresh);
    if (isFresh) {
      if (spec.isShared) this.#shared.set(key, found);
      return { value: found.value, source: 'cache' };
    }
    try {
      const isAway = content === undefined;
      return { value: await this.#load(key, spec, isAway ? undefined : stamp), source: 'loader' };
    } catch (error) {
      if (found === undefined) throw error;
      return { value: found.value, source: 'cache', staleBecause: error };
    }
  }

  /**
   * Forgets answers that have no stamp of the caller's; a loader that is under way cannot bring them back.
   *
   * @throws when the Redis of generations is away; that of the answers may be
   */
  async drop(...names: string[]): Promise<void> {
    await Promise.all(
      names.map(async (name) => {
        const key = this.#keyOf(name);
        await this.#raise(key).exec();
        // Nobody is served it any more; this frees its memory.
        await this.#answers.del(key).catch(() => 0);
      }),
    );
  }

  /**
   * Forgets the answers of groups before their source changes, and keeps none until the change is over. What is committed
   * after a fence is therefore seen by everybody, even if this process or Redis is gone by then and nothing drops them again.
   *
   * @throws when the Redis of generations is away: then the change must not happen
   */
  async fence(...groups: string[]): Promise<void> {
    await Promise.all(
      groups.map(async (group) => {
        const key = this.#keyOf(group);
        await this.#raise(key).set(fenceOf(key), '1', 'EX', FENCE_SECONDS).exec();
      }),
    );
  }

  #isFresh<T>({ value, freshUntilMs }: Kept<T>, { isCurrent }: CacheSpec<T>): boolean {
    return freshUntilMs > this.#nowMs() && isCurrent?.(value) !== false;
  }

  #raise(key: string): ChainableCommander {
    const generation = generationOf(key);
    return this.#redis
      .multi()
      .incr(generation)
      .expire(generation, LONGEST_SECONDS + LOADER_SECONDS);
  }

  /** @returns undefined when no answer can be served or kept: Redis is away, or the group is fenced */
  async #stampOf(
    { stamp: given, group }: Pick<CacheSpec<unknown>, 'stamp' | 'group'>,
    key: string,
  ): Promise<Stamp | undefined> {
    const isAsked = typeof given === 'function';
    const stamp = isAsked ? await given() : given;
    if (isAsked && stamp === undefined) return undefined;
    if (group === undefined) return stamp ?? this.#generation(key);
    const groupKey = this.#keyOf(group);
    try {
      const [generation, fence] = await this.#redis.mget(generationOf(groupKey), fenceOf(groupKey));
      if (fence !== null) return undefined;
      return stamp === undefined ? Number(generation) : `${stamp}.${Number(generation)}`;
    } catch {
      return undefined;
    }
  }

  async #generation(key: string): Promise<number | undefined> {
    try {
      return Number(await this.#redis.get(generationOf(key)));
    } catch {
      return undefined;
    }
  }

  /** @param stamp undefined when the answer cannot be kept */
  #load<T>(key: string, spec: CacheSpec<T>, stamp: Stamp | undefined): Promise<T> {
    const flight = `${key} ${stamp}`;
    const running = this.#loading.get(flight) as Promise<T> | undefined;
    if (running) return running;
    const loading = this.#loadAndStore(key, spec, stamp).finally(() => this.#loading.delete(flight));
    this.#loading.set(flight, loading);
    return loading;
  }

  async #loadAndStore<T>(
    key: string,
    { ttlSeconds = this.#ttlSeconds, mostSeconds, staleSeconds = 0, isKept, load }: CacheSpec<T>,
    stamp: Stamp | undefined,
  ): Promise<T> {
    const value = await load();
    if (stamp === undefined || !this.#mayStore() || isKept?.(value) === false) return value;
    const most = mostSeconds?.(value) ?? Number.POSITIVE_INFINITY;
    if (most <= 0) return value;
    const ttl = Math.min(ttlSeconds * (1 - JITTER + Math.random() * 2 * JITTER), most);
    const content = JSON.stringify({ value, freshUntilMs: this.#nowMs() + ttl * 1000, stamp } satisfies Kept<T>);
    const lifeSeconds = Math.min(Math.ceil(ttl + staleSeconds), LONGEST_SECONDS);
    // A cache that cannot be written slows reads down; it must not fail them.
    await this.#answers.set(key, content, 'EX', lifeSeconds).catch(() => {});
    return value;
  }
}

/** Beside the key's answer in a cluster: its hash tag is the same. */
const generationOf = (key: string): string => `${key}:generation`;
const fenceOf = (key: string): string => `${key}:fence`;
