import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { freePort } from '../../scripts/services/ports.ts';
import { runSeed } from '../../seeds/run.ts';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { createOwnDatabase, type OwnDatabase } from './own-database.ts';
import { DEMO_PASSWORD } from './template.ts';
import { until } from './until.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface ProcessAnswer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  body: any;
}

/** One process of the application, started as in production. */
export class SchoolProcess {
  readonly child: ChildProcess;
  readonly baseUrl: string;
  #output = '';

  constructor(role: 'server' | 'worker', env: Record<string, string>, port: number) {
    this.baseUrl = `http://127.0.0.1:${port}`;
    this.child = spawn(process.execPath, [`${ROOT}src/${role}.ts`], {
      cwd: ROOT,
      env: { PATH: process.env.PATH!, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on('data', (data) => {
        this.#output = (this.#output + String(data)).slice(-20_000);
      });
    }
  }

  /** The last it has said, for messages of failing tests. */
  get output(): string {
    return this.#output;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async end(signal: NodeJS.Signals): Promise<{ code: number | null; afterMs: number }> {
    const startedMs = performance.now();
    if (this.isRunning) {
      const gone = once(this.child, 'exit');
      this.child.kill(signal);
      await gone;
    }
    return { code: this.child.exitCode, afterMs: performance.now() - startedMs };
  }

  async call(
    method: string,
    path: string,
    options: { token?: string; body?: object; headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<ProcessAnswer> {
    const { token, body, headers, signal } = options;
    const answer = await fetch(`${this.baseUrl}${path}`, {
      method,
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
  }
}

/** A school on databases of its own, whose web and worker processes a test starts, kills and stops. */
export class SchoolProcesses {
  readonly prefix = `t${randomBytes(5).toString('hex')}`;
  readonly #processes: SchoolProcess[] = [];
  #database!: OwnDatabase;
  #env: Record<string, string>;

  /** @param env overrides, for example servers of the test's own */
  constructor(env: Record<string, string> = {}) {
    this.#env = env;
  }

  get databaseUrl(): string {
    return this.#database.url;
  }

  async open(): Promise<void> {
    this.#database = await createOwnDatabase(this.#env.DATABASE_URL);
    await migrate(this.#database.url);
    await runSeed({ databaseUrl: this.#database.url, scale: 'small', password: DEMO_PASSWORD });
    const { MONGO_URL, REDIS_URL } = process.env;
    this.#env = {
      NODE_ENV: 'test',
      REDIS_URL: REDIS_URL!,
      REDIS_PREFIX: this.prefix,
      RATE_LIMIT_FACTOR: '1000',
      LOG_LEVEL: 'warn',
      ENABLE_PROMETHEUS: 'false',
      JWT_KEYS: `test:${Buffer.alloc(32, 7).toString('base64')}`,
      ...this.#env,
      MONGO_URL: Object.assign(new URL(this.#env.MONGO_URL ?? MONGO_URL!), { pathname: `/${this.prefix}` }).href,
      DATABASE_URL: this.#database.url,
    };
  }

  /** @returns when it answers 200 to /readyz */
  async startWeb(env: Record<string, string> = {}): Promise<SchoolProcess> {
    const port = await freePort();
    const started = new SchoolProcess('server', { ...this.#env, HOST: '127.0.0.1', PORT: String(port), ...env }, port);
    this.#processes.push(started);
    await until(
      'the web process',
      async () => {
        if (!started.isRunning) throw new Error(`the web process ended: ${started.output}`);
        const answer = await started.call('GET', '/readyz').catch(() => undefined);
        return answer?.status === 200 ? true : undefined;
      },
      30_000,
    );
    return started;
  }

  startWorker(env: Record<string, string> = {}): SchoolProcess {
    const started = new SchoolProcess('worker', { ...this.#env, ...env }, 0);
    this.#processes.push(started);
    return started;
  }

  /** A worker that has started to work, so that it knows how to stop. */
  async startReadyWorker(env: Record<string, string> = {}): Promise<SchoolProcess> {
    const worker = this.startWorker({ LOG_LEVEL: 'info', ...env });
    await until('the worker', async () => (worker.output.includes('"working"') ? true : undefined), 30_000);
    return worker;
  }

  async login(web: SchoolProcess, name: string): Promise<string> {
    const { body } = await web.call('POST', '/api/v1/auth/login', { body: { login: name, password: DEMO_PASSWORD } });
    return body.data.access_token;
  }

  /** Requests runs until the buffer is empty; needs a worker. */
  async syncAll(web: SchoolProcess, mostMs = 90_000): Promise<void> {
    const token = await this.login(web, 'admin');
    await until(
      'everything to be stored',
      async () => {
        const { body } = await web.call('POST', '/api/v1/admin/sync', { token });
        await until(
          'the run',
          async () => {
            const run = await web.call('GET', `/api/v1/admin/sync/runs/${body.data.runId}`, { token });
            return run.body.data?.state === 'completed' ? true : undefined;
          },
          mostMs,
        );
        // The log of what an admin does, this run too, is buffered as well.
        const { entities } = (await web.call('GET', '/api/v1/admin/buffer', { token })).body.data;
        const left = entities.filter(
          ({ entity, dirty }: { entity: string; dirty: number }) => entity !== 'activity_log' && dirty > 0,
        );
        return left.length === 0 ? true : undefined;
      },
      mostMs,
    );
  }

  async rows(sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.#database.url });
    await client.connect();
    try {
      return (await client.query(sql, values)).rows;
    } finally {
      await client.end();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.end('SIGKILL')));
    await this.#database?.drop();
  }
}
