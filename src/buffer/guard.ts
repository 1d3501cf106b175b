import type { Redis } from 'ioredis';

/** What Redis promises about the buffer, as it is configured now. */
export interface Durability {
  appendonly: boolean;
  appendfsync: string;
  maxmemoryPolicy: string;
  /** Listpack limits of hashes: below these the bucketed layout stays compact. */
  hashMaxEntries: number;
  hashMaxValueBytes: number;
  /** Why acknowledged writes could be lost; empty when they cannot. */
  problems: string[];
  /** What costs memory or time, but no write. */
  warnings: string[];
}

export type Pressure = 'normal' | 'soft' | 'hard';

export interface GuardOptions {
  allowVolatile: boolean;
  /** Lowest fsync policy that is fit: `always`, `everysec` or `any`. */
  requiredFsync: 'always' | 'everysec' | 'any';
  /** Shares of maxmemory, or of `fallbackBytes` where Redis has no limit. */
  softShare: number;
  hardShare: number;
  fallbackBytes: number;
}

/** Values below 512 entries or 512 bytes would turn busy buckets into hash tables: 60 bytes more an entry. */
const WANTED_HASH_LIMIT = 512;
const CHECK_MEMORY_MS = 1_000;
/** Memory is also checked after this share of the limit has been written. */
const CHECK_AFTER_SHARE = 0.01;
const CHECK_DURABILITY_MS = 10_000;

export class VolatileBufferError extends Error {
  override name = 'VolatileBufferError';
}

const configOf = async (redis: Redis, pattern: string): Promise<Map<string, string>> => {
  const flat = (await redis.config('GET', pattern)) as string[];
  return new Map(Array.from({ length: flat.length / 2 }, (_, index) => [flat[index * 2]!, flat[index * 2 + 1]!]));
};

export async function readDurability(redis: Redis, requiredFsync: GuardOptions['requiredFsync']): Promise<Durability> {
  const append = await configOf(redis, 'append*');
  const memory = await configOf(redis, 'maxmemory-policy');
  const hashes = await configOf(redis, 'hash-max-*');
  const appendonly = append.get('appendonly') === 'yes';
  const appendfsync = append.get('appendfsync') ?? 'unknown';
  const maxmemoryPolicy = memory.get('maxmemory-policy') ?? 'unknown';
  const limit = (suffix: string): number =>
    Number(hashes.get(`hash-max-listpack-${suffix}`) ?? hashes.get(`hash-max-ziplist-${suffix}`) ?? 0);
  const problems: string[] = [];
  if (!appendonly) problems.push('Redis has no append-only file (appendonly no): set appendonly yes');
  else if (appendfsync === 'no' && requiredFsync !== 'any')
    problems.push('appendfsync is "no": set appendfsync always');
  else if (appendfsync !== 'always' && requiredFsync === 'always') {
    problems.push(`appendfsync is "${appendfsync}", REDIS_APPENDFSYNC_REQUIRED asks for always`);
  }
  if (maxmemoryPolicy !== 'noeviction')
    problems.push(`maxmemory-policy is "${maxmemoryPolicy}": set maxmemory-policy noeviction`);
  const warnings: string[] = [];
  if (limit('entries') < WANTED_HASH_LIMIT || limit('value') < WANTED_HASH_LIMIT) {
    warnings.push(
      `hash-max-ziplist-entries/-value are ${limit('entries')}/${limit('value')}: raise both to ${WANTED_HASH_LIMIT} or buckets need more memory`,
    );
  }
  return {
    appendonly,
    appendfsync,
    maxmemoryPolicy,
    hashMaxEntries: limit('entries'),
    hashMaxValueBytes: limit('value'),
    problems,
    warnings,
  };
}

/**
 * Watches what the buffer rests on: refuses a Redis that could lose acknowledged writes, at start and while running,
 * and tells how full it is (I7).
 */
export class BufferGuard {
  readonly #redis: Redis;
  readonly #options: GuardOptions;
  readonly #onChange: (what: { pressure?: Pressure; problems?: string[] }) => void;
  #timers: NodeJS.Timeout[] = [];
  #durability: Durability | undefined;
  #pressure: Pressure = 'normal';
  #usedBytes = 0;
  #limitBytes = 0;
  #unchecked = 0;

  constructor(
    redis: Redis,
    options: GuardOptions,
    onChange: (what: { pressure?: Pressure; problems?: string[] }) => void = () => {},
  ) {
    this.#redis = redis;
    this.#options = options;
    this.#onChange = onChange;
  }

  get pressure(): Pressure {
    return this.#pressure;
  }

  get durability(): Durability | undefined {
    return this.#durability;
  }

  get memory(): { usedBytes: number; limitBytes: number } {
    return { usedBytes: this.#usedBytes, limitBytes: this.#limitBytes };
  }

  /** Writes may be acknowledged: memory is there and Redis keeps what it is told. */
  get isAccepting(): boolean {
    return this.#pressure !== 'hard' && (this.#options.allowVolatile || (this.#durability?.problems.length ?? 1) === 0);
  }

  /** @throws VolatileBufferError when Redis could lose acknowledged writes and ALLOW_VOLATILE_BUFFER is not set */
  async start(): Promise<Durability> {
    const durability = await this.checkDurability();
    await this.checkMemory();
    if (durability.problems.length > 0 && !this.#options.allowVolatile) {
      throw new VolatileBufferError(
        `Redis could lose acknowledged writes: ${durability.problems.join('; ')}. Fix the server, or set ALLOW_VOLATILE_BUFFER=true to accept the loss.`,
      );
    }
    const every = (ms: number, check: () => Promise<unknown>) => {
      const timer = setInterval(() => void check().catch(() => {}), ms);
      timer.unref();
      this.#timers.push(timer);
    };
    every(CHECK_MEMORY_MS, () => this.checkMemory());
    every(CHECK_DURABILITY_MS, () => this.checkDurability());
    return durability;
  }

  /**
   * Tells what this process has written: a burst must not reach the limit between two checks.
   *
   * @param bytes of payloads
   */
  noteWritten(bytes: number): void {
    this.#unchecked += bytes;
    if (this.#unchecked < this.#limitBytes * CHECK_AFTER_SHARE) return;
    this.#unchecked = 0;
    this.checkMemory().catch(() => {});
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  async checkDurability(): Promise<Durability> {
    const before = this.#durability?.problems.join() ?? '';
    this.#durability = await readDurability(this.#redis, this.#options.requiredFsync);
    if (this.#durability.problems.join() !== before) this.#onChange({ problems: this.#durability.problems });
    return this.#durability;
  }

  async checkMemory(): Promise<Pressure> {
    const info = await this.#redis.info('memory');
    const read = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
    this.#usedBytes = read('used_memory');
    this.#limitBytes = read('maxmemory') || this.#options.fallbackBytes;
    const share = this.#usedBytes / this.#limitBytes;
    const pressure: Pressure =
      share >= this.#options.hardShare ? 'hard' : share >= this.#options.softShare ? 'soft' : 'normal';
    if (pressure !== this.#pressure) {
      this.#pressure = pressure;
      this.#onChange({ pressure });
    }
    return pressure;
  }
}
