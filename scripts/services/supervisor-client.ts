import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { exclusiveAddress } from '../lib/exclusive-socket.mjs';
import { projectNode } from './project-node.ts';
import { type Answer, encodeLine, readLines, type SupervisorOptions } from './protocol.ts';
import type { ProvidedService, ServiceLog, ServiceName } from './types.ts';

const SUPERVISOR = fileURLToPath(new URL('./supervisor.ts', import.meta.url));
const REACH_WITHIN_MS = 60_000;
const POLL_MS = 20;

export interface AcquireOptions extends SupervisorOptions {
  services: ServiceName[];
  extraArgs: Partial<Record<ServiceName, string[]>>;
  log: ServiceLog;
}

/** A share in the servers of a data folder; they run at least until it is released or this process ends. */
export interface Lease {
  services: ProvidedService[];
  /** True when somebody else's servers are shared. */
  isReused: boolean;
  supervisorPid: number;
  /** Gives the share back; when it was the last one, resolves after everything has stopped. */
  release(): Promise<void>;
}

/**
 * Reaches the supervisor of a data folder, starting one when there is none.
 *
 * @throws Error with what the servers said when one cannot be started
 */
export async function acquire(options: AcquireOptions): Promise<Lease> {
  const address = exclusiveAddress('services', options.dataDir);
  const deadline = Date.now() + REACH_WITHIN_MS;
  for (;;) {
    const socket = (await tryConnect(address)) ?? (await startAndConnect(options, address));
    const outcome = socket && (await request(socket, options));
    if (outcome) return { ...outcome, release: () => release(options, socket) };
    // it was just stopping: its lock is free when the connection closes
    if (Date.now() > deadline) {
      throw new Error(
        `the supervisor of ${options.dataDir} cannot be reached; see ${join(options.dataDir, 'logs', 'supervisor.log')}`,
      );
    }
    await delay(POLL_MS);
  }
}

function tryConnect(address: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

async function startAndConnect(
  { dataDir, throwaway }: SupervisorOptions,
  address: string,
): Promise<Socket | undefined> {
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  const output = openSync(join(dataDir, 'logs', 'supervisor.log'), 'a');
  // detached: its own session, so that a terminal's Ctrl-C does not reach the servers before the application has stopped
  const child = spawn(
    projectNode(),
    ['--disable-warning=ExperimentalWarning', SUPERVISOR, JSON.stringify({ dataDir, throwaway })],
    {
      detached: true,
      stdio: ['pipe', output, output],
      cwd: '/',
    },
  );
  closeSync(output);
  let hasEnded = false;
  child.once('exit', () => {
    hasEnded = true;
  });
  child.once('error', () => {
    hasEnded = true;
  });
  child.stdin?.on('error', () => {});
  const deadline = Date.now() + REACH_WITHIN_MS;
  let socket: Socket | undefined;
  while (!socket && Date.now() < deadline) {
    // it ends at once when another one was faster: then that one is there to connect to
    const wasEnded = hasEnded;
    socket = await tryConnect(address);
    if (wasEnded) break;
    if (!socket) await delay(POLL_MS);
  }
  child.unref();
  child.stdin?.destroy();
  return socket;
}

/** @returns undefined when the supervisor went away before it answered */
function request(
  socket: Socket,
  { services, extraArgs, log }: AcquireOptions,
): Promise<Omit<Lease, 'release'> | undefined> {
  return new Promise((resolve, reject) => {
    socket.on('error', () => {});
    socket.once('close', () => resolve(undefined));
    readLines<Answer>(socket, (answer) => {
      if (answer.type === 'log') log[answer.level](answer.message);
      else if (answer.type === 'ready') resolve(answer);
      else if (answer.type === 'failed') {
        reject(new Error(answer.message));
        socket.destroy();
      }
    });
    socket.write(encodeLine({ type: 'acquire', services, extraArgs }));
  });
}

async function release(options: AcquireOptions, socket: Socket): Promise<void> {
  if (await sayRelease(socket)) return;
  // the supervisor was killed: another one finds its servers by their record and stops them
  const address = exclusiveAddress('services', options.dataDir);
  const deadline = Date.now() + REACH_WITHIN_MS;
  while (Date.now() < deadline) {
    const successor = (await tryConnect(address)) ?? (await startAndConnect(options, address));
    if (successor && (await sayRelease(successor))) return;
    await delay(POLL_MS);
  }
  options.log.warn(
    `servers of ${options.dataDir} may still run: their supervisor was killed and no other can be started`,
  );
}

/** @returns false when the connection was cut before the share was given back */
function sayRelease(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    let isReleased = false;
    socket.on('error', () => {});
    if (socket.destroyed) return resolve(false);
    socket.once('close', () => resolve(isReleased));
    readLines<Answer>(socket, ({ type }) => {
      isReleased ||= type === 'released';
    });
    socket.write(encodeLine({ type: 'release' }));
  });
}
