import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SERVICES } from '../../scripts/services/definitions.ts';
import { freePort } from '../../scripts/services/ports.ts';
import type { ServiceName } from '../../scripts/services/types.ts';

const READY_WITHIN_MS = 30_000;
const POLL_MS = 20;
const quiet = { info: () => {}, warn: () => {} };

/** A server that one test owns: it may be killed, held and started again on its data. */
export interface OwnServer {
  url: string;
  port: number;
  /** SIGKILL, and gone when this resolves. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  hold(): void;
  resume(): void;
  /** On the same folder and port; resolves when it answers. */
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  close(): Promise<void>;
}

/** @param extraArgs added behind the arguments the project starts the server with, so they win */
export async function startOwnServer(name: ServiceName, extraArgs: readonly string[] = []): Promise<OwnServer> {
  const definition = SERVICES[name];
  const root = await mkdtemp(join(tmpdir(), `schools24-own-${name}-`));
  const folder = join(root, name);
  const port = await freePort();
  const url = definition.url(port);
  const binary = await definition.choose(quiet);
  const place = { folder, port, throwaway: true, extraArgs };
  const logFile = join(root, 'log');
  let child: ChildProcess | undefined;

  const killTree = async (): Promise<void> => {
    const victim = child;
    child = undefined;
    if (!victim || victim.exitCode !== null || victim.signalCode !== null) return;
    const gone = once(victim, 'exit');
    // The group: PostgreSQL's own children must not outlive it and hold its folder.
    process.kill(-victim.pid!, 'SIGKILL');
    await gone;
  };

  const server: OwnServer = {
    url,
    port,
    kill: killTree,
    hold: () => void process.kill(-child!.pid!, 'SIGSTOP'),
    resume: () => void process.kill(-child!.pid!, 'SIGCONT'),
    async start() {
      await definition.prepare(binary, place);
      const { file, args, ...user } = await definition.command(binary, place);
      const output = openSync(logFile, 'a');
      child = spawn(file, args, { stdio: ['ignore', output, output], cwd: root, detached: true, ...user });
      const deadline = Date.now() + READY_WITHIN_MS;
      for (;;) {
        try {
          await definition.probe(url);
          return;
        } catch (error) {
          if (Date.now() > deadline || child.exitCode !== null) {
            throw new Error(`${name} did not start: ${(await readFile(logFile, 'utf8')).slice(-1_000)}`, {
              cause: error,
            });
          }
          await delay(POLL_MS);
        }
      }
    },
    async close() {
      await killTree();
      await rm(root, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}
