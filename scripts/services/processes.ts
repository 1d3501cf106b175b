import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const POLL_MS = 20;

/** Runs a program to its end; the error carries what it printed. */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; uid?: number; gid?: number; timeoutMs?: number } = {},
): Promise<string> {
  const { timeoutMs, ...rest } = options;
  const { stdout } = await run(file, [...args], { ...rest, timeout: timeoutMs ?? 0, maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}

/** True when the number is that of a process of ours, be it one that has ended and waits to be collected. */
export function canBeSignalled(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** True when a process works in this folder, as far as the system tells (Linux; elsewhere always false). */
export async function hasProcessIn(folder: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const places = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => undefined)));
  return places.includes(folder);
}

/** True for a process that still runs; one that has ended and waits to be collected does not count. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const state = stat.slice(stat.lastIndexOf(')') + 2)[0];
    // a killed process shows its end before its last threads have let go of ports, files and locks
    return (state !== 'Z' && state !== 'X') || (await readdir(`/proc/${pid}/task`)).length > 1;
  } catch (error) {
    // without /proc the signal's word has to do; with it, a missing folder means that the process has just gone
    return process.platform !== 'linux' || (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** The command line of a process, empty when there is none. */
export async function commandLine(pid: number): Promise<string> {
  try {
    if (process.platform === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
    return await runProgram('ps', ['-p', String(pid), '-o', 'command=']);
  } catch {
    return '';
  }
}

/** Asks a process to end and makes it end after `graceMs`. Resolves when it has gone. */
export async function stopProcess(pid: number, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  if (!sendSignal(pid, signal)) return;
  const patienceEnds = Date.now() + graceMs;
  let isForced = signal === 'SIGKILL';
  while (await isAlive(pid)) {
    if (!isForced && Date.now() > patienceEnds) {
      isForced = true;
      sendSignal(pid, 'SIGKILL');
    }
    await delay(POLL_MS);
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
