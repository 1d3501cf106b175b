import { runSeed, type SeedReport } from '../../seeds/run.ts';
import type { Scale } from '../../seeds/scale.ts';
import { progressBar } from '../lib/progress-bar.ts';
import { progressLog } from '../lib/progress-log.ts';
import type { ProvidedServices } from '../services/provide-services.ts';
import { CommandError, optionOf } from './command.ts';

export interface DemoSchoolOptions {
  scale: Scale;
  today?: string;
}

export const DEMO_LOGINS = 'admin  teacher001  student0001  parent0001  accountant01  driver01';

/** As in `.env.example`. */
const DEVELOPMENT_PASSWORD = 'schools24-demo';
const SHORTEST_PASSWORD = 10;

export const DEMO_SCHOOL_ARGS = ['--scale=', '--today='] as const;

/** Reads `--scale` and `--today`. */
export function demoSchoolOptions(args: readonly string[], fallback: Scale): DemoSchoolOptions {
  const scale = optionOf(args, 'scale') ?? fallback;
  const today = optionOf(args, 'today') ?? (process.env.SEED_TODAY || undefined);
  if (scale !== 'small' && scale !== 'full') throw new CommandError('--scale must be small or full');
  if (today !== undefined && !isDate(today))
    throw new CommandError('--today must be a date like 2025-09-10 (it may stand in SEED_TODAY, too)');
  return { scale, ...(today === undefined ? {} : { today }) };
}

/** The password of all demo logins; only development has one of its own. */
export function demoPassword(): { password: string | undefined; isDefault: boolean } {
  const { DEMO_PASSWORD, NODE_ENV } = process.env;
  if (DEMO_PASSWORD) return { password: DEMO_PASSWORD, isDefault: false };
  return { password: NODE_ENV === 'production' ? undefined : DEVELOPMENT_PASSWORD, isDefault: true };
}

/**
 * Seeds the demo school unless there is a school. Outside development its logins would be open doors, so it then needs a
 * DEMO_PASSWORD of the operator's own.
 *
 * @returns what was done
 * @throws CommandError when there is none, or it is too short
 */
export async function seedDemoSchool({ urls }: ProvidedServices, options: DemoSchoolOptions): Promise<SeedReport> {
  const { password } = demoPassword();
  if (!password || password.length < SHORTEST_PASSWORD) {
    throw new CommandError(
      `DEMO_PASSWORD must have ${SHORTEST_PASSWORD} characters or more; in production it has no default`,
    );
  }
  return runSeed({
    databaseUrl: urls.DATABASE_URL,
    mongoUrl: urls.MONGO_URL,
    ...options,
    password,
    log: progressLog,
    progress: progressBar(process.stderr),
  });
}

const isDate = (text: string): boolean => {
  const date = new Date(`${text}T00:00:00Z`);
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
};
