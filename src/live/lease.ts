import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';

/**
 * Takes or renews. KEYS: lease. ARGV: holder, ms. Returns 1 when it is the holder's.
 */
const HOLD = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

interface Commands {
  lease_hold(...args: (string | number)[]): Promise<0 | 1>;
  lease_release(...args: string[]): Promise<0 | 1>;
}

const LEASE_MS = 15_000;
/** Renewed when a third is over, so that a slow moment does not lose it. */
const RENEW_MS = LEASE_MS / 3;

/**
 * Elects one process at a time. A process that stands still for long may believe to be elected beside its successor, so what
 * it does must be harmless when done twice.
 */
export class Lease {
  readonly #commands: Commands;
  readonly #key: string;
  readonly #holder = randomUUID();
  #heldSinceMs: number | undefined;

  constructor(redis: Redis, key: string) {
    redis.defineCommand('lease_hold', { lua: HOLD, numberOfKeys: 1 });
    redis.defineCommand('lease_release', { lua: RELEASE, numberOfKeys: 1 });
    this.#commands = redis as unknown as Commands;
    this.#key = key;
  }

  /** Takes it, or keeps it. @returns whether it is this process' now */
  async hold(nowMs: number): Promise<boolean> {
    // A clock that was put back says nothing of how long it is held.
    const heldMs = this.#heldSinceMs === undefined ? -1 : nowMs - this.#heldSinceMs;
    if (heldMs >= 0 && heldMs < RENEW_MS) return true;
    const isHeld = (await this.#commands.lease_hold(this.#key, this.#holder, LEASE_MS)) === 1;
    this.#heldSinceMs = isHeld ? nowMs : undefined;
    return isHeld;
  }

  /** Lets another take it at once. */
  async release(): Promise<void> {
    this.#heldSinceMs = undefined;
    await this.#commands.lease_release(this.#key, this.#holder);
  }
}
