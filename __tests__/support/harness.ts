import { randomBytes } from 'node:crypto';
import type { Worker } from 'bullmq';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { requestSync } from '../../queues/request-sync.ts';
import type { SyncRun } from '../../queues/sync-runs.ts';
import { runSeed } from '../../seeds/run.ts';
import { type Config, loadConfig } from '../../src/config/index.ts';
import { type Container, createContainer } from '../../src/container.ts';
import { startEngine } from '../../src/engine.ts';
import { startEventWorkers } from '../../src/event-workers.ts';
import { WebServer } from '../../src/http/web-server.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { EventConsumer } from '../../src/lib/events.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { hashPassword } from '../../src/services/auth/passwords.ts';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { startSyncWorkers } from '../../src/sync-workers.ts';
import { ApiDescription, type ApiDocument } from './api-description.ts';
import { recordExample } from './record-examples.ts';
import { DEMO_PASSWORD, TEMPLATE, TODAY } from './template.ts';
import { until } from './until.ts';

export interface Answer {
  status: number;
  headers: Headers;
  // Tests look into answers of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  body: any;
}

export interface CallOptions {
  body?: unknown;
  headers?: Record<string, string>;
}

export type Call = (method: string, path: string, options?: CallOptions) => Promise<Answer>;

export interface LogLine {
  level: string;
  message: string;
  fields: object | undefined;
}

/** A logger that keeps its lines for the test to look at. */
export function createTestLog(): Logger & { lines: LogLine[] } {
  const lines: LogLine[] = [];
  const add = (level: string) => (message: string, fields?: object) => void lines.push({ level, message, fields });
  const log = {
    lines,
    debug: add('debug'),
    info: add('info'),
    warn: add('warn'),
    error: add('error'),
    child: () => log,
  };
  return log;
}

/** Before the second attempt to handle an event. */
const RETRY_MS = 10;

/** Access tokens live 15 min of the test's own clock. */
const FRESH_MS = 10 * 60_000;

/** Half past eight on the school's day. */
export class TestClock implements Clock {
  #now = Date.parse(`${TODAY}T08:30:00+05:30`);

  now(): Date {
    return new Date(this.#now);
  }

  set(instant: string): void {
    this.#now = Date.parse(instant);
  }
}

/** One school of its own: a copy of the seeded database, an own Redis prefix and MongoDB database, the real app and workers. */
export class SchoolHarness {
  readonly clock = new TestClock();
  readonly log = createTestLog();
  readonly prefix = `t${randomBytes(5).toString('hex')}`;
  container!: Container;
  /** For a further process of the same school. */
  config!: Config;
  knexUrl = '';
  baseUrl = '';
  /** Every answer of `as` is held against it. */
  description!: ApiDescription;
  #worker!: Container;
  #workers: Worker[] = [];
  #events: { close(): Promise<void> } | undefined;
  #server: WebServer | undefined;
  readonly #tokens = new Map<string, { token: string; atMs: number }>();
  readonly #env: Record<string, string>;
  readonly #consumers: readonly EventConsumer[];
  readonly #fill: ((databaseUrl: string) => Promise<void>) | undefined;

  /**
   * @param consumers of the test's own, beside those of the services
   * @param fill makes the content of an empty database, in place of the demo school
   */
  constructor(
    env: Record<string, string> = {},
    consumers: readonly EventConsumer[] = [],
    fill?: (databaseUrl: string) => Promise<void>,
  ) {
    this.#env = env;
    this.#consumers = consumers;
    this.#fill = fill;
  }

  get engine() {
    return this.container.engine;
  }

  async open(): Promise<void> {
    const url = new URL(process.env.DATABASE_URL!);
    if (!this.#fill) await ensureTemplate();
    await execute(url.href, `CREATE DATABASE ${this.prefix}${this.#fill ? '' : ` TEMPLATE ${TEMPLATE}`}`);
    url.pathname = `/${this.prefix}`;
    await this.#fill?.(url.href);
    this.knexUrl = url.href;
    const mongo = new URL(process.env.MONGO_URL!);
    mongo.pathname = `/${this.prefix}`;
    this.config = loadConfig({
      NODE_ENV: 'test',
      DATABASE_URL: url.href,
      REDIS_URL: process.env.REDIS_URL,
      MONGO_URL: mongo.href,
      REDIS_PREFIX: this.prefix,
      RATE_LIMIT_FACTOR: '1000',
      JWT_KEYS: `test:${Buffer.alloc(32, 7).toString('base64')}`,
      ...this.#env,
    });
    const { config } = this;
    this.container = createContainer({ config, log: this.log, role: 'web', clock: this.clock });
    this.#worker = createContainer({ config, log: this.log, role: 'worker', clock: this.clock });
    await startEngine(this.container.engine, this.log);
    await startEngine(this.#worker.engine, this.log);
    this.#workers = await startSyncWorkers(this.#worker, config, this.log);
    this.#events = await startEventWorkers(this.#worker.engine, {
      ...this.#worker,
      consumers: [...this.#worker.consumers, ...this.#consumers],
      services: [],
      log: this.log,
      retryMs: RETRY_MS,
    });
    this.#server = new WebServer(this.container.app);
    this.baseUrl = `http://127.0.0.1:${await this.#server.listen(0, '127.0.0.1')}`;
    const document = await (await fetch(`${this.baseUrl}/openapi.json`)).json();
    this.description = new ApiDescription(document as ApiDocument);
  }

  async close(): Promise<void> {
    if (!this.#server) return; // it never opened; the reason is reported already
    await Promise.all([this.#events?.close(), ...this.#workers.map((worker) => worker.close())]);
    await this.#server.stop(0);
    const { redis } = this.container.engine;
    const leftOver = await redis.keys(`*${this.prefix}*`);
    for (const key of leftOver) await redis.del(key).catch(() => 0); // a cluster's throwaway nodes go with their keys
    await this.container.db.dropDatabase().catch(() => {});
    await Promise.all([this.container.close(), this.#worker.close()]);
    await execute(process.env.DATABASE_URL!, `DROP DATABASE ${this.prefix} WITH (FORCE)`);
  }

  /** Calls the API as somebody, or as nobody. @throws UndescribedAnswerError when the answer is not as its route declares */
  as(login: string | undefined): Call {
    return async (method, path, { body, headers = {} } = {}) => {
      const token = login === undefined ? undefined : await this.token(login);
      const whole = path.startsWith('/') && !path.startsWith('/api') && !isTop(path) ? `/api/v1${path}` : path;
      const response = await fetch(`${this.baseUrl}${whole}`, {
        method,
        headers: {
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        redirect: 'manual',
      });
      const text = await response.text();
      const answer = {
        status: response.status,
        headers: response.headers,
        body: text && /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : text,
      };
      this.description.check(method, whole, answer);
      const operation = this.description.find(method, whole)?.operation;
      if (operation) recordExample(operation.operationId, body, answer);
      return answer;
    };
  }

  async token(login: string): Promise<string> {
    const atMs = this.clock.now().getTime();
    const known = this.#tokens.get(login);
    if (known && Math.abs(atMs - known.atMs) < FRESH_MS) return known.token;
    const call = this.as(undefined);
    const { body } = await call('POST', '/auth/login', { body: { login, password: DEMO_PASSWORD } });
    this.#tokens.set(login, { token: body.data.access_token, atMs });
    return body.data.access_token;
  }

  /** Runs a sync and waits for its summary. */
  async sync(): Promise<SyncRun> {
    const { queues, runs } = this.engine;
    const id = await requestSync(queues, 'admin');
    return until(`run ${id}`, async () => {
      const run = await runs.get(id);
      return run?.state === 'completed' ? run : undefined;
    });
  }

  async rows(sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    return execute(this.knexUrl, sql, values);
  }
}

/** The migrated and seeded database that each file copies: made by the first file that asks, the others wait for it. */
async function ensureTemplate(): Promise<void> {
  const url = new URL(process.env.DATABASE_URL!);
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [TEMPLATE]);
    if (rowCount) return;
    const draft = `${TEMPLATE}_draft`;
    await client.query(`DROP DATABASE IF EXISTS ${draft}`);
    await client.query(`CREATE DATABASE ${draft}`);
    url.pathname = `/${draft}`;
    await migrate(url.href);
    await runSeed({ databaseUrl: url.href, scale: 'small', today: TODAY, password: DEMO_PASSWORD });
    await client.query(`ALTER DATABASE ${draft} RENAME TO ${TEMPLATE}`);
  } finally {
    await client.end();
  }
}

const TEMPLATE_LOCK = 0x7465_6d70;

const isTop = (path: string): boolean => /^\/(healthz|readyz|openapi|docs|admin\/queues)/.test(path);

async function execute(url: string, sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** Opens a school for a test file and closes it afterwards. */
export function useSchool(env: Record<string, string> = {}, consumers: readonly EventConsumer[] = []): SchoolHarness {
  const school = new SchoolHarness(env, consumers);
  beforeAll(() => school.open());
  afterAll(() => school.close());
  return school;
}

/** Opens a school where nothing is set up yet: its own row, and the login `admin` of somebody without any person behind it. */
export function useEmptySchool(env: Record<string, string> = {}): SchoolHarness {
  const school = new SchoolHarness(env, [], async (databaseUrl) => {
    await migrate(databaseUrl);
    await execute(
      databaseUrl,
      `INSERT INTO schools (id, code, name, timezone, currency, school_weekdays, locale)
       VALUES (gen_random_uuid(), 'NEW', 'New School', 'Asia/Kolkata', 'INR', '{1,2,3,4,5,6}', 'en-IN')`,
    );
    await execute(
      databaseUrl,
      `WITH admin AS (INSERT INTO users (id, login, status, password_hash, created_at, updated_at)
         VALUES (gen_random_uuid(), 'admin', 'active', $1, now(), now()) RETURNING id)
       INSERT INTO user_roles (user_id, role, granted_by, granted_at) SELECT id, 'admin', id, now() FROM admin`,
      [await hashPassword(DEMO_PASSWORD)],
    );
  });
  beforeAll(() => school.open());
  afterAll(() => school.close());
  return school;
}
