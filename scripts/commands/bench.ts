import { readdir } from 'node:fs/promises';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { progressLog } from '../lib/progress-log.ts';
import { runNode } from '../lib/run-node.ts';
import { type Command, CommandError } from './command.ts';
import { seedDemoSchool } from './demo-school.ts';
import { withServices } from './provide.ts';

/** The same young generation as the application's processes, and memory that can be measured after a collection. */
const NODE_ARGS = ['--max-semi-space-size=64', '--no-parallel-scavenge', '--expose-gc'];
/** The date of all published figures. */
const TODAY = '2025-09-10';

/** Measurements whose subject is how much there is. */
const ON_FULL_SCHOOL: readonly string[] = ['cache'];

/** Runs `bench/<name>.ts` on throwaway servers with the demo school; what follows the name is for it. */
export const bench: Command = async ([name = '', ...args]) => {
  const files = await readdir(new URL('../../bench/', import.meta.url));
  const names = files.filter((file) => /^[a-z][a-z-]*\.ts$/.test(file)).map((file) => file.slice(0, -3));
  if (!names.includes(name)) {
    throw new CommandError(`npm run bench -- <name> [--json]; the measurements are: ${names.join(', ')}`);
  }
  return withServices({ throwaway: true }, async (services) => {
    await migrate(services.urls.DATABASE_URL, progressLog);
    await seedDemoSchool(services, { scale: ON_FULL_SCHOOL.includes(name) ? 'full' : 'small', today: TODAY });
    return runNode(`bench/${name}.ts`, args, { env: { ...services.urls, NODE_ENV: 'test' }, nodeArgs: NODE_ARGS });
  });
};
