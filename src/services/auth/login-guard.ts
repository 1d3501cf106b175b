import type { Redis } from 'ioredis';
import { LockedError } from '../../errors/catalogue.ts';

/** A2: so many failures within the time lock a login for the time. */
export const MOST_FAILURES = 5;
export const LOCK_SECONDS = 15 * 60;

/**
 * Counts an attempt, unless the login is locked. KEYS: counter. ARGV: most failures, seconds.
 * Returns the count and, when locked, the seconds left.
 */
const COUNT = `
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count >= tonumber(ARGV[1]) then return {count, math.max(1, redis.call('TTL', KEYS[1]))} end
count = redis.call('INCR', KEYS[1])
if count == 1 or count == tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return {count, 0}`;

/**
 * Locks a login after five failures in 15 min, whether it exists or not. An attempt counts as failed until it has
 * succeeded, so attempts sent at the same time cannot be more than five either.
 */
export class LoginGuard {
  readonly #redis: Redis;
  readonly #keyOf: (login: string) => string;

  constructor(redis: Redis, keyOf: (login: string) => string) {
    this.#redis = redis;
    this.#keyOf = keyOf;
    redis.defineCommand('login_attempt', { lua: COUNT, numberOfKeys: 1 });
  }

  /**
   * @returns attempts since the last success, this one included
   * @throws LockedError with Retry-After
   */
  async attempt(login: string): Promise<number> {
    const commands = this.#redis as unknown as {
      login_attempt(...args: (string | number)[]): Promise<[number, number]>;
    };
    const [count, lockedSeconds] = await commands.login_attempt(this.#key(login), MOST_FAILURES, LOCK_SECONDS);
    if (lockedSeconds > 0) throw lockedFor(lockedSeconds);
    return count;
  }

  async succeed(login: string): Promise<void> {
    await this.#redis.del(this.#key(login));
  }

  /** An attempt that never came to its password proves nothing. */
  async takeBack(login: string): Promise<void> {
    await this.#redis.decr(this.#key(login));
  }

  #key(login: string): string {
    return this.#keyOf(login.toLowerCase());
  }
}

export const lockedFor = (seconds: number): Error => new LockedError({ headers: { 'Retry-After': String(seconds) } });
