import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { RateLimitedError } from '../errors/catalogue.ts';
import type { RateLimitName } from '../lib/route.ts';

/** Requests a window (DOMAIN §0), before RATE_LIMIT_FACTOR. */
const LIMITS_PER_MINUTE: Record<RateLimitName, number> = {
  default: 120,
  login: 10,
  autosave: 12,
  pings: 40,
  reports: 6,
  imports: 2,
};
const WINDOW_SECONDS: Record<RateLimitName, number> = {
  default: 60,
  login: 60,
  autosave: 60,
  pings: 60,
  reports: 60,
  imports: 3600,
};

/** Below this share of the limit a process counts by itself and settles with Redis in the background. */
const SETTLE_AT_ONCE_SHARE = 0.8;
const SETTLE_MS = 250;
/** Callers remembered at most; the oldest is asked again in Redis. */
const MOST_CALLERS = 50_000;

interface Count {
  /** As Redis knew it at the last settling. */
  settled: number;
  /** Counted here since. */
  pending: number;
  resetAtMs: number;
}

/**
 * Counts requests a minute and caller over all processes. While a caller is far from the limit the count is kept in the
 * process and sent to Redis every 250 ms, so that it costs no round trip: with n processes a caller can exceed the limit by
 * what n - 1 of them let through in 250 ms. Near the limit every request asks Redis. If Redis is away, each process counts alone.
 */
export class Limiter {
  readonly #limiters: Record<RateLimitName, { limit: number; redis: RateLimiterRedis }>;
  readonly #counts = new Map<string, Count>();
  readonly #unsettled = new Map<string, { name: RateLimitName; caller: string }>();
  readonly #timer: NodeJS.Timeout;

  constructor(redis: Redis, prefix: string, factor: number) {
    const create = (name: RateLimitName) => {
      const limit = Math.max(1, Math.round(LIMITS_PER_MINUTE[name] * factor));
      const options = { points: limit, duration: WINDOW_SECONDS[name], keyPrefix: `${prefix}:rate:${name}` };
      const insuranceLimiter = new RateLimiterMemory(options);
      return {
        limit,
        redis: new RateLimiterRedis({ ...options, storeClient: redis, insuranceLimiter, useRedisPackage: false }),
      };
    };
    this.#limiters = {
      default: create('default'),
      login: create('login'),
      autosave: create('autosave'),
      pings: create('pings'),
      reports: create('reports'),
      imports: create('imports'),
    };
    this.#timer = setInterval(() => this.#settleAll(), SETTLE_MS);
    this.#timer.unref();
  }

  /**
   * Counts one request.
   *
   * @returns headers that tell the caller where it stands
   * @throws RateLimitedError with Retry-After
   */
  consume(
    name: RateLimitName,
    caller: string,
    nowMs: number,
  ): Record<string, string> | Promise<Record<string, string>> {
    const key = `${name}:${caller}`;
    const { limit } = this.#limiters[name];
    const count = this.#counts.get(key);
    if (count && count.resetAtMs > nowMs && count.settled + count.pending + 1 < limit * SETTLE_AT_ONCE_SHARE) {
      count.pending++;
      if (count.pending === 1) this.#unsettled.set(key, { name, caller });
      return this.#headers(name, limit - count.settled - count.pending, count.resetAtMs - nowMs);
    }
    return this.#settle(name, caller, 1);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #settle(name: RateLimitName, caller: string, more: number): Promise<Record<string, string>> {
    const key = `${name}:${caller}`;
    const { redis, limit } = this.#limiters[name];
    const before = this.#counts.get(key);
    const pending = before?.pending ?? 0;
    if (before) before.pending = 0;
    this.#unsettled.delete(key);
    let result: RateLimiterRes;
    let isOver = false;
    try {
      result = await redis.consume(caller, pending + more);
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      result = refusal;
      isOver = true;
    }
    if (this.#counts.size >= MOST_CALLERS && !before) this.#counts.delete(this.#counts.keys().next().value!);
    const count: Count = {
      settled: result.consumedPoints,
      pending: this.#counts.get(key)?.pending ?? 0,
      resetAtMs: Date.now() + result.msBeforeNext,
    };
    this.#counts.set(key, count);
    const headers = this.#headers(name, result.remainingPoints, result.msBeforeNext);
    if (isOver && more > 0) {
      throw new RateLimitedError({
        detail: `at most ${limit} requests in ${WINDOW_SECONDS[name]} s`,
        headers: { ...headers, 'Retry-After': String(Math.max(1, Math.ceil(result.msBeforeNext / 1000))) },
      });
    }
    return headers;
  }

  #settleAll(): void {
    for (const { name, caller } of [...this.#unsettled.values()]) void this.#settle(name, caller, 0).catch(() => {});
  }

  /** IETF draft-ietf-httpapi-ratelimit-headers. */
  #headers(name: RateLimitName, remaining: number, resetMs: number): Record<string, string> {
    return {
      'RateLimit-Policy': `"${name}";q=${this.#limiters[name].limit};w=${WINDOW_SECONDS[name]}`,
      RateLimit: `"${name}";r=${Math.max(0, remaining)};t=${Math.max(0, Math.ceil(resetMs / 1000))}`,
    };
  }
}
