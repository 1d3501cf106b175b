import type { ChildProcess } from 'node:child_process';
import { exitOf, spawnNode } from '../lib/children.ts';
import { consoleLog } from '../lib/console-log.ts';
import { DEMO_PASSWORD, prepare } from '../lib/prepared.ts';

type Role = 'web' | 'worker';

const FILES: Record<Role, string> = { web: 'src/server.ts', worker: 'src/worker.ts' };
const READY_MS = 60_000;
/** A larger young generation: batches and requests make much garbage that dies at once. */
const NODE_ARGS = ['--max-semi-space-size=32'];

const dataDir = (): string => process.env.DATA_DIR ?? '.data';

async function run(roles: readonly Role[]): Promise<number> {
  const startedMs = Date.now();
  // Migrating and seeding go on while the web process loads its modules.
  const services = await prepare({ dataDir: dataDir(), scale: 'full', log: consoleLog });
  const children: ChildProcess[] = [];
  let isStopping = false;
  const stop = (): void => {
    isStopping = true;
    for (const child of children) child.kill('SIGTERM');
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  try {
    for (const role of roles)
      children.push(
        spawnNode(FILES[role], [], {
          env: { ...services.urls, DATA_DIR: dataDir(), DEMO_PASSWORD },
          nodeArgs: NODE_ARGS,
        }),
      );
    const exits = children.map(exitOf);
    if (roles.includes('web')) void announce(startedMs, () => isStopping);
    const first = await Promise.race(exits);
    if (!isStopping) consoleLog.warn('a process has ended; stopping the others');
    stop();
    const codes = await Promise.all(exits);
    return Math.max(first, ...codes);
  } finally {
    await services.stop();
  }
}

async function announce(startedMs: number, isStopping: () => boolean): Promise<void> {
  const base = `http://${process.env.HOST ?? '127.0.0.1'}:${process.env.PORT ?? 3000}`;
  while (!isStopping()) {
    const isReady = await fetch(`${base}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (isReady) break;
    if (Date.now() - startedMs > READY_MS) {
      consoleLog.warn(`not ready after ${READY_MS / 1000} s: ask ${base}/readyz why`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  consoleLog.info(`
Schools24 is ready after ${((Date.now() - startedMs) / 1000).toFixed(1)} s
  API          ${base}/api/v1
  Readiness    ${base}/readyz
  Bull Board   ${base}/admin/queues   (log in as admin)
  Demo logins  admin  teacher001  student0001  parent0001  accountant01  driver01
  Password     ${process.env.DEMO_PASSWORD ? 'the value of DEMO_PASSWORD' : `${DEMO_PASSWORD}   (DEMO_PASSWORD; this default is for development only)`}
  Stop         Ctrl-C
`);
}

export const start = (): Promise<number> => run(['web', 'worker']);
export const startWeb = (): Promise<number> => run(['web']);
export const startWorker = (): Promise<number> => run(['worker']);
