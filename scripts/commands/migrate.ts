import { migrate as migrateUp, migrationStatus, rollback } from '../../src/stores/postgres/migrate.ts';
import { progressLog } from '../lib/progress-log.ts';
import { type Command, CommandError } from './command.ts';
import { withServices } from './provide.ts';

const ACTIONS: Record<string, (databaseUrl: string) => Promise<void>> = {
  up: async (databaseUrl) => {
    await migrateUp(databaseUrl, progressLog);
  },
  down: async (databaseUrl) => {
    await rollback(databaseUrl, { log: progressLog });
  },
  status: async (databaseUrl) => {
    const { completed, pending } = await migrationStatus(databaseUrl);
    const lines = [...completed.map((name) => `done     ${name}`), ...pending.map((name) => `pending  ${name}`)];
    process.stdout.write(`${lines.join('\n')}\n`);
  },
};

export const migrate: Command = async ([name = 'up', ...rest]) => {
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (!action || rest.length > 0) throw new CommandError(`npm run migrate -- ${Object.keys(ACTIONS).join(' | ')}`);
  await withServices({}, ({ urls }) => action(urls.DATABASE_URL));
  return 0;
};
