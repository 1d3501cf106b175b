import { migrate } from '../../src/stores/postgres/migrate.ts';
import { progressLog } from '../lib/progress-log.ts';
import { type Command, refuseUnknown } from './command.ts';
import { DEMO_LOGINS, DEMO_SCHOOL_ARGS, demoSchoolOptions, seedDemoSchool } from './demo-school.ts';
import { withServices } from './provide.ts';

/** Fills an empty database with the demo school; its tables are made first where they are missing. */
export const seed: Command = async (args) => {
  refuseUnknown(args, DEMO_SCHOOL_ARGS);
  const options = demoSchoolOptions(args, 'full');
  await withServices({}, async (services) => {
    await migrate(services.urls.DATABASE_URL, progressLog);
    const { seeded } = await seedDemoSchool(services, options);
    if (seeded) progressLog.info(`npm start serves it; the demo logins are ${DEMO_LOGINS}`);
  });
  return 0;
};
