import { migrate } from '../../src/stores/postgres/migrate.ts';
import { checkApplication, type Role, startApplication } from '../lib/application.ts';
import { progressLog } from '../lib/progress-log.ts';
import { stopSignal } from '../lib/stop-signal.ts';
import { type Command, refuseUnknown } from './command.ts';
import { DEMO_LOGINS, DEMO_SCHOOL_ARGS, demoPassword, demoSchoolOptions, seedDemoSchool } from './demo-school.ts';
import { withServices } from './provide.ts';

/**
 * Everything from nothing: servers, schema, demo school, then the processes. Stops all of it at Ctrl-C, and also when one
 * process ends: half an application looks alive and is not.
 */
const startRoles =
  (roles: readonly Role[]): Command =>
  async (args) => {
    const startedMs = Date.now();
    refuseUnknown(args, DEMO_SCHOOL_ARGS);
    const school = demoSchoolOptions(args, 'full');
    await checkApplication(roles);
    const stop = stopSignal();
    return withServices({}, async (services) => {
      await migrate(services.urls.DATABASE_URL, progressLog);
      // a production database gets a demo school only by `npm run seed`
      if (process.env.NODE_ENV !== 'production') await seedDemoSchool(services, school);
      const application = await startApplication(services, roles);
      const outcome = Promise.race([stop.then(() => 'stop' as const), application.firstExit]);
      if (roles.includes('web')) {
        application.ready().then(
          () => announce(application.url, startedMs),
          (error: Error) => progressLog.warn(error.message),
        );
      }
      const ended = await outcome;
      if (ended === 'stop') progressLog.info('stopping …');
      else progressLog.warn(`the ${ended.role} process ended with code ${ended.code}; stopping the rest`);
      const code = await application.stop();
      // one that ends unasked has failed, whatever it says
      return ended === 'stop' ? code : Math.max(code, 1);
    });
  };

function announce(url: string, startedMs: number): void {
  const { isDefault, password } = demoPassword();
  process.stdout.write(`
Schools24 is ready (${((Date.now() - startedMs) / 1_000).toFixed(1)} s)
  API          ${url}/api/v1
  API docs     ${url}/docs   (${url}/openapi.json)
  Readiness    ${url}/readyz
  Bull Board   ${url}/admin/queues   (log in as admin)
  Demo logins  ${DEMO_LOGINS}
  Password     ${isDefault ? `${password}   (for development only; set DEMO_PASSWORD before the first start for another)` : 'the DEMO_PASSWORD of the first start'}
  Stop         Ctrl-C

`);
}

export const start = startRoles(['web', 'worker']);
export const startWeb = startRoles(['web']);
export const startWorker = startRoles(['worker']);
