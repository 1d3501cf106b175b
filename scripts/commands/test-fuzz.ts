import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { startApplication } from '../lib/application.ts';
import { progressLog } from '../lib/progress-log.ts';
import { exitOf } from '../lib/run-node.ts';
import { totalLine } from '../lib/test-count.ts';
import { freePort } from '../services/ports.ts';
import { NoPythonError } from '../services/python-environment.ts';
import { schemathesisPython } from '../services/schemathesis.ts';
import { type Command, CommandError, refuseUnknown } from './command.ts';
import { demoPassword, seedDemoSchool } from './demo-school.ts';
import { withServices } from './provide.ts';

/** The two that are many, and who sees most: last, as an admin may change the accounts of the others. */
const LOGINS = ['student0001', 'teacher001', 'admin'];
/** What is left out, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  postAuthLogout: 'ends the login that asks',
  postAuthPasswordChange: 'ends the logins of who asks, and locks the account after wrong guesses',
  deleteAuthSessionsBySid: 'ends the login that asks, once it is found in the list of logins',
  postUsersByIdSuspend: 'ends the login that asks, once the account is found in the list of accounts',
  putUsersByIdRoles: 'ends the login that asks, once the account is found in the list of accounts',
  getStream: 'has no end',
};
/** Made-up requests an endpoint, beside those at the edges of its schemas. */
const FEW_EXAMPLES = 5;
/** The same unless told otherwise, so that a commit is not judged by chance. Which link of an answer is followed is not seeded. */
const USUAL_SEED = 24;
const HOOKS = fileURLToPath(new URL('../fuzz/hooks.py', import.meta.url));
/** One machine asks more here than a person would in a day. */
const RATE_LIMIT_FACTOR = '100000';

/**
 * Asks a throwaway application what its /openapi.json allows and forbids, as an admin, a teacher and a student: no answer may be
 * a 5xx, or other than described. FUZZ_EXAMPLES is how many requests are made up for an endpoint, FUZZ_SEED makes up others.
 */
export const testFuzz: Command = async (args) => {
  refuseUnknown(args, []);
  const examples = Number(process.env.FUZZ_EXAMPLES || FEW_EXAMPLES);
  if (!Number.isInteger(examples) || examples < 1) throw new CommandError('FUZZ_EXAMPLES must be a number from 1');
  const seed = Number(process.env.FUZZ_SEED || USUAL_SEED);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new CommandError('FUZZ_SEED must be a number from 0');
  let python: string;
  try {
    python = await schemathesisPython(progressLog);
  } catch (error) {
    if (!(error instanceof NoPythonError)) throw new CommandError((error as Error).message, { cause: error });
    process.stdout.write(`skipped: ${error.message}\n${totalLine({ passed: 0, failed: 0, skipped: LOGINS.length })}\n`);
    return 0;
  }
  const failed = await fuzzOwnApplication(python, examples, seed);
  if (failed.length > 0)
    process.stdout.write(
      `not as described for ${failed.join(', ')}: see FAILURES above, with the curl that shows each\n`,
    );
  process.stdout.write(`${totalLine({ passed: LOGINS.length - failed.length, failed: failed.length, skipped: 0 })}\n`);
  return failed.length > 0 ? 1 : 0;
};

/** @returns the logins for which an answer was wrong */
function fuzzOwnApplication(python: string, examples: number, seed: number): Promise<string[]> {
  return withServices({ throwaway: true }, async (services) => {
    await migrate(services.urls.DATABASE_URL, progressLog);
    await seedDemoSchool(services, { scale: 'small' });
    const application = await startApplication(services, ['web', 'worker'], {
      PORT: String(await freePort()),
      RATE_LIMIT_FACTOR,
      LOG_LEVEL: process.env.LOG_LEVEL || 'warn',
    });
    const folder = await mkdtemp(join(tmpdir(), 'schools24-fuzz-'));
    try {
      await application.ready();
      const failed: string[] = [];
      for (const login of LOGINS) {
        process.stdout.write(`== ${login}, FUZZ_SEED=${seed}, ${examples} examples an endpoint\n`);
        const file = join(folder, `${login}.toml`);
        const token = await logIn(application.url, login);
        await writeFile(file, settings(token, examples, seed));
        const child = spawn(
          python,
          ['-m', 'schemathesis.cli', '--config-file', file, 'run', `${application.url}/openapi.json`],
          // its cache of earlier failures is not for this run
          { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, SCHEMATHESIS_HOOKS: HOOKS } },
        );
        const isFine = (await exitOf(child)) === 0;
        const isIn = await isLoggedIn(application.url, token);
        if (!isIn) process.stdout.write(`the login of ${login} ended under way, so most of it was answered with 401\n`);
        if (!isFine || !isIn) failed.push(login);
      }
      return failed;
    } finally {
      await application.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
}

async function logIn(url: string, login: string): Promise<string> {
  const response = await fetch(`${url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ login, password: demoPassword().password }),
  });
  if (!response.ok) throw new CommandError(`${login} cannot log in: ${await response.text()}`);
  return ((await response.json()) as { data: { access_token: string } }).data.access_token;
}

async function isLoggedIn(url: string, token: string): Promise<boolean> {
  return (await fetch(`${url}/api/v1/auth/me`, { headers: { authorization: `Bearer ${token}` } })).ok;
}

/**
 * Its default checks. What is fitted: a rule or a newer version may refuse what the schema allows (422, 412, 429), what breaks it may
 * be too large as well (413), and no text holds NUL, which is said in words, as no schema of ours repeats it for each text.
 */
const settings = (token: string, examples: number, seed: number): string => `
seed = ${seed}
continue-on-failure = true
color = false

[generation]
max-examples = ${examples}
allow-x00 = false
database = "none"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422", "429"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429"]

[auth.openapi.bearer]
bearer = ${JSON.stringify(token)}
${Object.entries(LEFT_OUT)
  .map(([id, reason]) => `\n[[operations]]\n# ${reason}\ninclude-operation-id = "${id}"\nenabled = false\n`)
  .join('')}`;
