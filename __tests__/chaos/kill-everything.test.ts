import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_PASSWORD } from '../support/template.ts';
import { until } from '../support/until.ts';

/** `CHAOS_ROUNDS=200 npm run test:chaos -- kill-everything` is the long run. */
const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 3);
const SEED = Number(process.env.CHAOS_SEED ?? 24);
const START_MS = 60_000;
/** A run that was killed holds its place until its lock ends. */
const RUN_MS = 90_000;

let dataDir: string;
let port: number;
let app: ChildProcess;

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address() as { port: number };
      server.close(() => resolve(free));
    });
  });

/** Every process of the start: its descendants, and the servers that work in its DATA_DIR. */
function processTree(): number[] {
  const parents = new Map<number, number>();
  const found = new Set<number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(dataDir)) found.add(Number(name));
    } catch {
      // gone meanwhile
    }
  }
  for (const [pid] of parents) {
    for (let at: number | undefined = pid; at && at > 1; at = parents.get(at)) {
      if (at === app.pid || found.has(at)) {
        found.add(pid);
        break;
      }
    }
  }
  return [...found].filter((pid) => pid !== process.pid);
}

function killEverything(): void {
  for (const pid of processTree()) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // gone already
    }
  }
}

async function start(): Promise<void> {
  const { DATABASE_URL: _1, REDIS_URL: _2, MONGO_URL: _3, ...env } = process.env;
  app = spawn('node', ['scripts/run.mjs', 'start'], {
    env: { ...env, DATA_DIR: dataDir, PORT: String(port), LOG_LEVEL: 'error', RATE_LIMIT_FACTOR: '1000' },
    stdio: 'ignore',
  });
  await until(
    'the application',
    async () => ((await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok ? true : undefined),
    START_MS,
  );
}

async function call(token: string | undefined, method: string, path: string, body?: object) {
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, {
    method,
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  return { status: answer.status, data: ((await answer.json()) as { data: any }).data };
}

const login = async (name: string): Promise<string> =>
  (await call(undefined, 'POST', '/auth/login', { login: name, password: DEMO_PASSWORD })).data.access_token;

describe.runIf(process.platform === 'linux')('kill -9 of everything after an acknowledgement', () => {
  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'schools24-kill-'));
    port = await freePort();
    await start();
  }, START_MS * 2);

  afterAll(async () => {
    killEverything();
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });

  it(`loses nothing in ${ROUNDS} rounds (seed ${SEED})`, { timeout: ROUNDS * 120_000 }, async () => {
    let state = SEED;
    const random = (): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state / 2_147_483_648;
    };
    const acknowledged: string[] = [];
    let teacher = await login('teacher001');
    const subject = (await call(teacher, 'GET', '/auth/me')).data.scopes.class_subjects[0].id;
    for (let round = 0; round < ROUNDS; round++) {
      const due = new Date(Date.now() + 86_400_000).toISOString();
      const { status, data } = await call(teacher, 'POST', '/homework', {
        class_subject_ids: [subject],
        title: `round ${round}`,
        due_at: due,
      });
      expect(status).toBe(202);
      acknowledged.push(data.id);
      await new Promise((resolve) => setTimeout(resolve, random() * 20));
      killEverything();
      await start();
      teacher = await login('teacher001');
      expect((await call(teacher, 'GET', `/homework/${data.id}`)).data?.title).toBe(`round ${round}`);
    }
    const admin = await login('admin');
    const { runId } = (await call(admin, 'POST', '/admin/sync')).data;
    const run = await until(
      'the run',
      async () => {
        const { data } = await call(admin, 'GET', `/admin/sync/runs/${runId}`);
        return data.state === 'completed' ? data : undefined;
      },
      RUN_MS,
    );
    expect(run.failed).toBe(0);
    for (const id of acknowledged)
      expect((await call(teacher, 'GET', `/homework/${id}`)).data).toMatchObject({ id, pending: false });
  });
});
