import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { projectNode } from '../services/project-node.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PRELOAD = new URL('./die-with-parent.mjs', import.meta.url).href;

export interface RunNodeOptions {
  /** Added to this process' own. */
  env?: NodeJS.ProcessEnv;
  nodeArgs?: readonly string[];
}

/**
 * Starts a program of the project on its own Node, in the project's folder; it is asked to stop when this process ends, in
 * whatever way.
 */
export function spawnNode(
  file: string,
  args: readonly string[] = [],
  { env, nodeArgs = [] }: RunNodeOptions = {},
): ChildProcess {
  return spawn(
    projectNode(),
    ['--disable-warning=ExperimentalWarning', '--import', PRELOAD, ...nodeArgs, file, ...args],
    {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, ...env, SCHOOLS24_PARENT_PID: String(process.pid) },
    },
  );
}

/** @returns the exit code; for a signal 128 and its number, as shells count */
export function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      resolve(code ?? (signal === 'SIGTERM' ? 143 : signal === 'SIGINT' ? 130 : 137)),
    );
  });
}

/** Runs it to its end, handing SIGINT and SIGTERM on. */
export async function runNode(
  file: string,
  args: readonly string[] = [],
  options: RunNodeOptions = {},
): Promise<number> {
  const child = spawnNode(file, args, options);
  const handOn = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, handOn);
  try {
    return await exitOf(child);
  } finally {
    for (const signal of signals) process.off(signal, handOn);
  }
}
