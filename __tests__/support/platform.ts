import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { UnauthenticatedError } from '../../src/errors/catalogue.ts';
import { createApp } from '../../src/http/app.ts';
import { Idempotency } from '../../src/http/idempotency.ts';
import { Limiter } from '../../src/http/limiter.ts';
import { WebServer } from '../../src/http/web-server.ts';
import type { Actor, Role } from '../../src/lib/actor.ts';
import type { RowScopes } from '../../src/lib/reach.ts';
import type { Route } from '../../src/lib/route.ts';
import { can } from '../../src/services/auth/permissions.ts';
import { createTestLog } from './harness.ts';

export interface PlatformOptions {
  services?: string[];
  rateLimitFactor?: number;
  mostInFlight?: number;
  acceptsWrites?: () => boolean;
  /** Without, a route that asks for rows breaks. */
  rowScopes?: RowScopes;
  /** A server of the test's own instead of the shared one. */
  redisUrl?: string;
}

export interface RawAnswer {
  status: number;
  headers: Headers;
  // Tests look into answers of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  body: any;
}

const NO_ROWS: RowScopes = {
  reachOf: async () => {
    throw new Error('these tests have no rows');
  },
  classOf: async () => undefined,
};

const buildActor = (name: string): Actor => ({
  userId: `user-${name}`,
  login: name,
  name,
  roles: [name.split('-')[0] as Role],
  sid: `sid-${name}`,
  scopes: async () => {
    throw new Error('these tests have no rows');
  },
});

function authenticate(authorization: string | undefined): Actor {
  const name = /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
  if (!name) throw new UnauthenticatedError();
  return buildActor(name);
}

/** The HTTP platform with routes of the test's own: real Redis for limits and repetitions, no services, no databases. */
export class Platform {
  readonly log = createTestLog();
  readonly prefix = `t${randomBytes(5).toString('hex')}`;
  readonly observed: { route: string; method: string; status: number }[] = [];
  redis!: Redis;
  server!: WebServer;
  baseUrl = '';
  port = 0;
  nowMs = Date.now();
  #limiter!: Limiter;
  readonly #routes: readonly Route[];
  readonly #options: PlatformOptions;

  constructor(routes: readonly Route[], options: PlatformOptions) {
    this.#routes = routes;
    this.#options = options;
  }

  async open(): Promise<void> {
    this.redis = new Redis(this.#options.redisUrl ?? process.env.REDIS_URL!, {
      enableAutoPipelining: true,
      maxRetriesPerRequest: 1,
    });
    await this.redis.ping();
    await this.listen();
  }

  /** Does something while the connection to Redis is closed. */
  async withoutRedis(work: () => Promise<void>): Promise<void> {
    const ended = once(this.redis, 'end');
    this.redis.disconnect();
    await ended;
    try {
      await work();
    } finally {
      await this.redis.connect();
    }
  }

  /** A further process, as far as clients can tell: nothing is shared but Redis. */
  async listen(): Promise<void> {
    const { services = [], rateLimitFactor = 1_000, mostInFlight, acceptsWrites = () => true } = this.#options;
    this.#limiter = new Limiter(this.redis, this.prefix, rateLimitFactor);
    const app = createApp({
      routes: this.#routes,
      services,
      entities: [],
      intervalMs: 3_600_000,
      authenticate,
      confirm: async (authorization) => authenticate(authorization),
      scopesFor: can,
      rowScopes: this.#options.rowScopes ?? NO_ROWS,
      limiter: this.#limiter,
      idempotency: new Idempotency(this.redis, (user, key) => `${this.prefix}:idem:${user}:${key}`),
      acceptsWrites,
      readiness: async () => ({ isReady: true, body: { status: 'ready' } }),
      observe: (route, method, status) => void this.observed.push({ route, method, status }),
      ...(mostInFlight === undefined ? {} : { mostInFlight }),
      trustedProxies: 0,
      clock: { now: () => new Date(this.nowMs) },
      log: this.log,
    });
    this.server = new WebServer(app);
    this.port = await this.server.listen(0, '127.0.0.1');
    this.baseUrl = `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    await this.server.stop(0);
    this.#limiter.close();
    const leftOver = await this.redis.keys(`*${this.prefix}*`);
    if (leftOver.length > 0) await this.redis.del(...leftOver);
    await this.redis.quit();
  }

  /** @param path below `/api/v1`; sent as it is spelled */
  async call(
    method: string,
    path: string,
    {
      as = 'teacher',
      body,
      headers = {},
    }: { as?: string | undefined; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<RawAnswer> {
    const response = await fetch(`${this.baseUrl}/api/v1${path}`, {
      method,
      headers: {
        ...(as ? { authorization: `Bearer ${as}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' || Buffer.isBuffer(body) ? (body as string) : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
  }
}

/** Serves the routes for a test file. */
export function usePlatform(routes: readonly Route[], options: PlatformOptions = {}): Platform {
  const platform = new Platform(routes, options);
  beforeAll(() => platform.open());
  afterAll(() => platform.close());
  return platform;
}
