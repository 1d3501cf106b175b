import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { projectNode } from '../services/project-node.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GUARD = fileURLToPath(new URL('./die-with-parent.mjs', import.meta.url));

export interface ChildOptions {
  env?: Record<string, string>;
  /** Where its output goes; ours unless told. */
  stdio?: 'inherit' | 'ignore' | 'pipe';
  nodeArgs?: readonly string[];
}

/** Starts a TypeScript file of the project in a Node of its own that ends when this process has gone. */
export function spawnNode(
  file: string,
  args: readonly string[] = [],
  { env = {}, stdio = 'inherit', nodeArgs = [] }: ChildOptions = {},
): ChildProcess {
  return spawn(
    projectNode(),
    ['--disable-warning=ExperimentalWarning', '--import', GUARD, ...nodeArgs, file, ...args],
    {
      cwd: ROOT,
      env: { ...process.env, ...env, SCHOOLS24_PARENT_PID: String(process.pid) },
      stdio: [stdio === 'inherit' ? 'inherit' : 'ignore', stdio, stdio, 'ipc'],
    },
  );
}

/** The exit code; 1 for a signal. */
export const exitOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
