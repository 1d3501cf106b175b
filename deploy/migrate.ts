/** One-shot of a deployment: brings the PostgreSQL schema up to date, then ends. Several at once wait for each other. */
import { loadConfig } from '../src/config/index.ts';
import { createLogger } from '../src/lib/logger.ts';
import { migrate } from '../src/stores/postgres/migrate.ts';

try {
  const config = loadConfig();
  await migrate(config.postgres.url, createLogger({ level: config.log.level, role: 'migrate' }));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
