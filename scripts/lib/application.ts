import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../../src/config/index.ts';
import { WebServer } from '../../src/http/web-server.ts';
import { freePort } from '../services/ports.ts';
import type { ProvidedServices } from '../services/provide-services.ts';
import { exitOf, spawnNode } from './run-node.ts';

export type Role = 'web' | 'worker';

const FILES: Record<Role, string> = { web: 'src/server.ts', worker: 'src/worker.ts' };
/**
 * A larger young generation, as requests and batches make much garbage that dies at once; collected by one thread, as there
 * is a process a core and threads would only wait for each other.
 */
const NODE_ARGS = ['--max-semi-space-size=64', '--no-parallel-scavenge'];
const DEFAULT_PORT = 3_000;
const READY_WITHIN_MS = 60_000;
const POLL_MS = 25;
/** Longer than the 30 s in which a process stops by itself. */
const STOP_WITHIN_MS = 35_000;

export interface Application {
  /** Where the API answers, such as `http://127.0.0.1:3000`. */
  url: string;
  /** When the first of the processes has ended: its role and exit code. */
  firstExit: Promise<{ role: Role; code: number }>;
  /** Resolves with the first 200 of `/readyz`. @throws Error with the last answer after 60 s, or when a process has ended */
  ready(): Promise<void>;
  /** SIGTERM to all, and SIGKILL to one that takes more than 35 s. @returns the highest exit code */
  stop(): Promise<number>;
}

/** Servers that are still to be provided, as far as the rules of the environment are concerned. */
const PLACEHOLDERS = {
  DATABASE_URL: 'postgres://localhost/provided',
  REDIS_URL: 'redis://localhost',
  MONGO_URL: 'mongodb://localhost/provided',
};

/**
 * Finds out before anything is started what would stop the processes at once.
 *
 * @throws ConfigError naming bad variables; Error when somebody listens at the address of the API
 */
export async function checkApplication(roles: readonly Role[]): Promise<void> {
  const given = Object.entries(process.env).filter(([, value]) => value);
  const { http } = loadConfig({ ...PLACEHOLDERS, ...Object.fromEntries(given) });
  if (!roles.includes('web') || !process.env.PORT) return;
  // Another application there would answer in this one's name.
  const server = new WebServer(() => {});
  await server.listen(http.port, http.host);
  await server.stop();
}

/**
 * Starts the processes of an application on these servers. None is started again: what ends is told by `firstExit`.
 *
 * @param env for the processes, above this process' own
 */
export async function startApplication(
  { urls, dataDir }: ProvidedServices,
  roles: readonly Role[],
  env: NodeJS.ProcessEnv = {},
): Promise<Application> {
  const host = env.HOST || process.env.HOST || '127.0.0.1';
  const wanted = env.PORT || process.env.PORT;
  // a port somebody asked for is theirs to correct; the usual one may be taken by another clone
  const port = Number(wanted) || (await freePort(wanted ? 0 : DEFAULT_PORT));
  const childEnv = { ...urls, ...(dataDir ? { DATA_DIR: dataDir } : {}), ...env, PORT: String(port) };
  const children = roles.map((role) => ({
    role,
    child: spawnNode(FILES[role], [], { env: childEnv, nodeArgs: NODE_ARGS }),
  }));
  const exits = children.map(async ({ role, child }) => ({ role, code: await exitOf(child) }));
  // 0.0.0.0 is no address to call
  const url = `http://${host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host}:${port}`;
  let hasEnded = false;
  const firstExit = Promise.race(exits).finally(() => {
    hasEnded = true;
  });
  return {
    url,
    firstExit,
    ready: () => waitUntilReady(url, () => hasEnded),
    stop: async () => {
      for (const { child } of children) child.kill('SIGTERM');
      const force = setTimeout(() => kill(children.map(({ child }) => child)), STOP_WITHIN_MS);
      const codes = (await Promise.all(exits)).map(({ code }) => code);
      clearTimeout(force);
      return Math.max(...codes);
    },
  };
}

function kill(children: readonly ChildProcess[]): void {
  for (const child of children) child.kill('SIGKILL');
}

async function waitUntilReady(url: string, isOver: () => boolean): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  let last = 'no answer';
  while (!isOver() && Date.now() < deadline) {
    try {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) });
      if (response.ok && !isOver()) return;
      last = await response.text();
    } catch {
      // not listening yet
    }
    await delay(POLL_MS);
  }
  throw new Error(isOver() ? 'it ended before it was ready' : `${url}/readyz does not say that it is ready: ${last}`);
}
