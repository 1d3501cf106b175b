import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { RateLimitedError } from '../errors/catalogue.ts';
import type { RateLimitName } from '../lib/route.ts';

/** Requests a window (DOMAIN §0), before RATE_LIMIT_FACTOR. */
const LIMITS: Record<RateLimitName, { requests: number; windowSeconds: number }> = {
  default: { requests: 120, windowSeconds: 60 },
  login: { requests: 10, windowSeconds: 60 },
  recovery: { requests: 10, windowSeconds: 60 },
  autosave: { requests: 12, windowSeconds: 60 },
  pings: { requests: 40, windowSeconds: 60 },
  reports: { requests: 6, windowSeconds: 60 },
  imports: { requests: 2, windowSeconds: 3_600 },
};

/** Below this share of the limit a process counts by itself and settles with Redis in the background. */
const SETTLE_AT_ONCE_SHARE = 0.8;
const SETTLE_MS = 250;
/** A limit protects the service; waiting for it must not become the outage. */
const ANSWER_WITHIN_MS = 250;
/** Callers remembered at most; the oldest is asked again in Redis. */
const MOST_CALLERS = 50_000;

interface Count {
  /** As Redis knew it when it last answered. */
  settled: number;
  /** Counted here, on the way to Redis. */
  inFlight: number;
  /** Counted here since. */
  pending: number;
  resetAtMs: number;
}

interface Limit {
  name: RateLimitName;
  points: number;
  windowSeconds: number;
  redis: RateLimiterRedis;
  /** First part of the header that never changes. */
  policy: string;
}

/**
 * Counts requests a window and caller over all processes. While a caller is far from the limit the count is kept in the
 * process and sent to Redis every 250 ms, so that it costs no round trip; above 80 % of the limit every request asks Redis.
 * With n processes a caller can therefore exceed the limit by what n - 1 of them let through in 250 ms, at most 80 % of the
 * limit each. Where Redis is away or slow, each process counts alone: requests pass that Redis would refuse, none waits.
 */
export class Limiter {
  readonly #limits: Record<RateLimitName, Limit>;
  readonly #counts = new LRUCache<string, Count>({ max: MOST_CALLERS });
  readonly #unsettled = new Map<string, { limit: Limit; caller: string; count: Count }>();
  readonly #timer: NodeJS.Timeout;

  constructor(redis: Redis, prefix: string, factor: number) {
    const create = (name: RateLimitName): Limit => {
      const points = Math.max(1, Math.round(LIMITS[name].requests * factor));
      const { windowSeconds } = LIMITS[name];
      const options = { points, duration: windowSeconds, keyPrefix: `${prefix}:rate:${name}` };
      const insuranceLimiter = new RateLimiterMemory(options);
      return {
        name,
        points,
        windowSeconds,
        redis: new RateLimiterRedis({ ...options, storeClient: redis, insuranceLimiter, useRedisPackage: false }),
        policy: `"${name}";q=${points};w=${windowSeconds}`,
      };
    };
    this.#limits = {
      default: create('default'),
      login: create('login'),
      recovery: create('recovery'),
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
  consume(name: RateLimitName, caller: string): Record<string, string> | Promise<Record<string, string>> {
    const limit = this.#limits[name];
    const key = `${name}:${caller}`;
    // The machine's time, as the windows are Redis' own.
    const nowMs = Date.now();
    let count = this.#counts.get(key);
    if (!count || count.resetAtMs <= nowMs) {
      count = { settled: 0, inFlight: 0, pending: 0, resetAtMs: nowMs + limit.windowSeconds * 1000 };
      this.#counts.set(key, count);
      return this.#ask(limit, caller, key, count, nowMs);
    }
    if (usedOf(count) + 1 >= limit.points * SETTLE_AT_ONCE_SHARE) return this.#ask(limit, caller, key, count, nowMs);
    count.pending++;
    if (count.pending === 1) this.#unsettled.set(key, { limit, caller, count });
    return headersOf(limit, count, nowMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Lets Redis decide about one request; if it does not within a moment, this process decides by what it knows. */
  async #ask(limit: Limit, caller: string, key: string, count: Count, nowMs: number): Promise<Record<string, string>> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), ANSWER_WITHIN_MS);
    });
    count.pending++;
    const place = usedOf(count);
    const isAdmitted = await Promise.race([this.#settle(limit, caller, key, count), late]);
    clearTimeout(timer);
    if (isAdmitted === 'late' ? place <= limit.points : isAdmitted) return headersOf(limit, count, nowMs);
    const headers = headersOf(limit, count, nowMs);
    throw new RateLimitedError({
      detail: `at most ${limit.points} requests in ${limit.windowSeconds} s`,
      headers: { ...headers, 'Retry-After': String(Math.max(1, secondsLeft(count, nowMs))) },
    });
  }

  /**
   * Tells Redis what was counted here and learns what all processes together counted.
   *
   * @returns whether that is within the limit
   */
  async #settle({ redis }: Limit, caller: string, key: string, count: Count): Promise<boolean> {
    const sent = count.pending;
    count.pending = 0;
    count.inFlight += sent;
    this.#unsettled.delete(key);
    let isWithin = true;
    let result: RateLimiterRes | undefined;
    try {
      result = await redis.consume(caller, sent);
    } catch (refusal) {
      // Without an answer what was sent counts as settled: this process counts alone.
      isWithin = !(refusal instanceof RateLimiterRes);
      if (refusal instanceof RateLimiterRes) result = refusal;
    }
    count.inFlight -= sent;
    count.settled = result ? result.consumedPoints : count.settled + sent;
    if (result) count.resetAtMs = Date.now() + result.msBeforeNext;
    return isWithin;
  }

  #settleAll(): void {
    for (const [key, { limit, caller, count }] of [...this.#unsettled]) {
      // What Redis has not answered yet is not followed by more: it would pile up while Redis hangs.
      if (count.inFlight === 0) void this.#settle(limit, caller, key, count);
    }
  }
}

const usedOf = ({ settled, inFlight, pending }: Count): number => settled + inFlight + pending;
const secondsLeft = ({ resetAtMs }: Count, nowMs: number): number => Math.max(0, Math.ceil((resetAtMs - nowMs) / 1000));

/** IETF draft-ietf-httpapi-ratelimit-headers. */
const headersOf = ({ name, points, policy }: Limit, count: Count, nowMs: number): Record<string, string> => ({
  'RateLimit-Policy': policy,
  RateLimit: `"${name}";r=${Math.max(0, points - usedOf(count))};t=${secondsLeft(count, nowMs)}`,
});
