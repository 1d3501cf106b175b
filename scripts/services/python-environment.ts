import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce } from './build-once.ts';
import { cacheFolder } from './cache-folder.ts';
import { findOnPath } from './find-on-path.ts';
import { runProgram } from './processes.ts';
import type { ServiceLog } from './types.ts';

/** Packages of PyPI at exactly these versions, in an environment of their own. */
export interface PythonEnvironment {
  /** First part of its folder's name. */
  name: string;
  /** All of them, those that others need included. */
  requirements: readonly string[];
  /** For people: `installing <what> from PyPI …`. */
  what: string;
  /** What to do where it cannot be had. */
  whatElse: string;
  /** The oldest Python that the packages take. */
  oldest: readonly [major: number, minor: number];
}

const CANDIDATES = ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];
const INSTALL_TIMEOUT_MS = 300_000;

/** There is no Python that could be used. */
export class NoPythonError extends Error {
  override name = 'NoPythonError';
}

/**
 * A virtual environment in the user's cache folder, built on first use and found by every later start. It is run by its
 * `bin/python`: scripts beside that name the folder in which they were built.
 *
 * @returns its folder
 * @throws NoPythonError; Error that says what to do instead
 */
export async function pythonEnvironment(environment: PythonEnvironment, log: ServiceLog): Promise<string> {
  const { name, requirements, what, whatElse } = environment;
  const base = await findPython(environment);
  const digest = createHash('sha256').update(requirements.join('\n')).digest('hex').slice(0, 12);
  const folder = join(await cacheFolder(), `${name}-${base.version}-${process.arch}-${digest}`);
  return buildOnce(folder, async (temporary) => {
    log.info(`installing ${what} from PyPI into the cache folder (once, about 15 s)`);
    await createEnvironment(base.file, temporary, whatElse);
    const list = join(temporary, 'requirements.txt');
    await writeFile(list, `${requirements.join('\n')}\n`);
    const pip = ['-m', 'pip', '--disable-pip-version-check', '--quiet'];
    // the interpreter that has pip may be the outer one; it installs into the environment either way
    const inside = join(temporary, 'bin', 'python');
    const hasPip = await succeeds(inside, ['-m', 'pip', '--version']);
    const [file, args] = hasPip ? [inside, pip] : [base.file, [...pip, '--python', inside]];
    await runProgram(file, [...args, 'install', '--no-deps', '--only-binary=:all:', '-r', list], {
      timeoutMs: INSTALL_TIMEOUT_MS,
    }).catch((error: Error) => {
      throw new Error(
        `PyPI packages could not be installed: ${lastLines(error.message)}\nIs PyPI reachable? Otherwise ${whatElse}.`,
        { cause: error },
      );
    });
  });
}

async function findPython({ what, whatElse, oldest }: PythonEnvironment): Promise<{ file: string; version: string }> {
  const seen: string[] = [];
  for (const candidate of CANDIDATES) {
    if (!(await findOnPath(candidate))) continue;
    try {
      // asked, not resolved: the program on PATH may be a shim that chooses by its own name
      const out = await runProgram(candidate, [
        '-c',
        'import sys; print(sys.executable); print("%d.%d.%d" % sys.version_info[:3])',
      ]);
      const [file = '', version = ''] = out.trim().split('\n');
      const [major = 0, minor = 0] = version.split('.').map(Number);
      if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return { file, version };
      seen.push(`${candidate} is ${version}`);
    } catch {
      seen.push(`${candidate} does not run`);
    }
  }
  throw new NoPythonError(
    `Providing ${what} needs python3 ${oldest.join('.')} or newer (${seen.join(', ') || 'there is none on PATH'}).\n` +
      `Install python3, or ${whatElse}.`,
  );
}

async function createEnvironment(python: string, folder: string, whatElse: string): Promise<void> {
  if (await succeeds(python, ['-m', 'venv', folder])) return;
  // Debian's python3 without python3-venv cannot put pip inside; one outside can do the installing
  if (
    (await succeeds(python, ['-m', 'pip', '--version'])) &&
    (await succeeds(python, ['-m', 'venv', '--clear', '--without-pip', folder]))
  ) {
    return;
  }
  throw new Error(
    `${python} cannot create a virtual environment. Install its venv module (Debian, Ubuntu: apt install python3-venv),\n` +
      `or ${whatElse}.`,
  );
}

async function succeeds(file: string, args: string[]): Promise<boolean> {
  try {
    await runProgram(file, args, { timeoutMs: INSTALL_TIMEOUT_MS });
    return true;
  } catch {
    return false;
  }
}

const lastLines = (text: string): string => text.trim().split('\n').slice(-4).join('\n');
