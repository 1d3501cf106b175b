import { runSeed } from '../../seeds/run.ts';
import type { Scale } from '../../seeds/scale.ts';
import { migrate, migrationStatus, rollback } from '../../src/stores/postgres/migrate.ts';
import { consoleLog } from '../lib/console-log.ts';
import { readFlags } from '../lib/flags.ts';
import { DEMO_PASSWORD } from '../lib/prepared.ts';
import { provideServices } from '../services/provide-services.ts';

const dataDir = process.env.DATA_DIR ?? '.data';
const fullLog = { ...consoleLog, debug: () => {}, error: consoleLog.warn };

/** Prints the addresses in use; servers started here run until Ctrl-C, those of a running start are only named. */
export async function servicesCommand(args: string[]): Promise<number> {
  const services = await provideServices({ dataDir, log: consoleLog });
  if (args.includes('--json'))
    process.stdout.write(`${JSON.stringify({ ...services.urls, services: services.services })}\n`);
  else for (const [name, url] of Object.entries(services.urls)) process.stdout.write(`${name}=${url}\n`);
  if (!services.isReused && services.supervisorPid !== undefined) {
    consoleLog.info('running until Ctrl-C');
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
  }
  await services.stop();
  return 0;
}

export async function migrateCommand([direction = 'up']: string[]): Promise<number> {
  const services = await provideServices({ dataDir, log: consoleLog });
  try {
    const url = services.urls.DATABASE_URL;
    if (direction === 'up') {
      const done = await migrate(url, fullLog);
      consoleLog.info(done.length > 0 ? `migrated: ${done.length} changes; next: npm run seed` : 'nothing to migrate');
    } else if (direction === 'down') {
      await rollback(url, { log: fullLog });
      consoleLog.info('the last batch of migrations is undone; npm run migrate brings it back');
    } else if (direction === 'status') process.stdout.write(`${JSON.stringify(await migrationStatus(url), null, 2)}\n`);
    else throw new Error(`"${direction}" is none of up, down, status`);
    return 0;
  } finally {
    await services.stop();
  }
}

export async function seedCommand(args: string[]): Promise<number> {
  const { flags } = readFlags(args, ['scale', 'today']);
  const scale = (flags.scale ?? 'small') as Scale;
  if (scale !== 'small' && scale !== 'full') throw new Error('--scale must be small or full');
  const services = await provideServices({ dataDir, log: consoleLog });
  try {
    await migrate(services.urls.DATABASE_URL, fullLog);
    const { seeded } = await runSeed({
      databaseUrl: services.urls.DATABASE_URL,
      mongoUrl: services.urls.MONGO_URL,
      scale,
      ...(flags.today ? { today: flags.today } : {}),
      password: DEMO_PASSWORD,
      log: consoleLog,
      progress: (table, rows) => consoleLog.info(`  ${table}: ${rows} rows`),
    });
    consoleLog.info(seeded ? 'seeded; next: npm start' : 'nothing to seed');
    return 0;
  } finally {
    await services.stop();
  }
}
