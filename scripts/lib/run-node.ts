import { type ChildProcess, spawn } from 'node:child_process';
import { projectNode } from '../services/project-node.ts';

const PRELOAD = new URL('./die-with-parent.mjs', import.meta.url).href;

export interface RunNodeOptions {
  env?: NodeJS.ProcessEnv;
  /** Where its standard output goes; `ignore` for none. */
  stdout?: 'inherit' | 'ignore' | number;
  cwd?: string;
}

/** Starts a program on the project's Node; it is asked to stop when this process ends, in whatever way. */
export function spawnNode(
  args: readonly string[],
  { env, stdout = 'inherit', cwd }: RunNodeOptions = {},
): ChildProcess {
  return spawn(projectNode(), ['--import', PRELOAD, ...args], {
    stdio: ['ignore', stdout, 'inherit', 'ipc'],
    cwd,
    env: { ...process.env, ...env, SCHOOLS24_PARENT_PID: String(process.pid) },
  });
}

/** @returns the exit code; 128 and more for a signal */
export function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGTERM' ? 143 : 137)));
  });
}

/** Runs it to its end, handing SIGINT and SIGTERM on. */
export async function runNode(args: readonly string[], options: RunNodeOptions = {}): Promise<number> {
  const child = spawnNode(args, options);
  const handOn = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, handOn);
  try {
    return await exitOf(child);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, handOn);
  }
}
