import { migrate } from '../../src/stores/postgres/migrate.ts';
import { startApplication } from '../lib/application.ts';
import { progressLog } from '../lib/progress-log.ts';
import { runNode } from '../lib/run-node.ts';
import { freePort } from '../services/ports.ts';
import { type Command, CommandError, refuseUnknown } from './command.ts';
import { demoPassword, seedDemoSchool } from './demo-school.ts';
import { withServices } from './provide.ts';

const DEMO = 'scripts/demo/main.ts';
/** A morning comes from one machine here, and would run into limits meant for each of a thousand people. */
const RATE_LIMIT_FACTOR = '1000';

/**
 * Plays a school morning against the application at SCHOOLS24_URL, or against a throwaway one. It verifies rows, so it is
 * given the servers' addresses as well: those of the environment, or of the `npm start` of this DATA_DIR.
 */
export const demo: Command = async (args) => {
  refuseUnknown(args, []);
  const { SCHOOLS24_URL } = process.env;
  return SCHOOLS24_URL ? playAgainst(SCHOOLS24_URL) : playOnOwn();
};

function playAgainst(url: string): Promise<number> {
  return withServices({}, async ({ urls, isReused, dataDir }) => {
    if (dataDir && !isReused) {
      throw new CommandError(
        `SCHOOLS24_URL is set, but no npm start of ${dataDir} runs: set DATABASE_URL, REDIS_URL and MONGO_URL to the servers of that application, or unset SCHOOLS24_URL`,
      );
    }
    return runNode(DEMO, [], { env: { ...urls, ...passwordEnv(), SCHOOLS24_URL: url } });
  });
}

function playOnOwn(): Promise<number> {
  return withServices({ throwaway: true }, async (services) => {
    await migrate(services.urls.DATABASE_URL, progressLog);
    await seedDemoSchool(services, { scale: 'full' });
    const application = await startApplication(services, ['web', 'worker'], {
      PORT: String(await freePort()),
      RATE_LIMIT_FACTOR,
      LOG_LEVEL: process.env.LOG_LEVEL || 'warn',
    });
    try {
      await application.ready();
      return await runNode(DEMO, [], { env: { ...services.urls, ...passwordEnv(), SCHOOLS24_URL: application.url } });
    } finally {
      await application.stop();
    }
  });
}

const passwordEnv = (): NodeJS.ProcessEnv => ({ DEMO_PASSWORD: demoPassword().password });
