import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from './commands/command.ts';
import { CommandError } from './commands/command.ts';

/** Every npm script that goes through the bootstrap. A command's file is loaded only when it runs. */
const COMMANDS: Record<string, { summary: string; load(): Promise<Command> }> = {
  start: {
    summary: 'API, worker and everything they need',
    load: async () => (await import('./commands/start.ts')).start,
  },
  'start:web': { summary: 'the API alone', load: async () => (await import('./commands/start.ts')).startWeb },
  'start:worker': { summary: 'the worker alone', load: async () => (await import('./commands/start.ts')).startWorker },
  services: {
    summary: '[--json] the servers in use; keeps them running until Ctrl-C',
    load: async () => (await import('./commands/services.ts')).services,
  },
  migrate: {
    summary: '[up|down|status] the PostgreSQL schema',
    load: async () => (await import('./commands/migrate.ts')).migrate,
  },
  seed: {
    summary: '[--scale=small|full] [--today=YYYY-MM-DD] the demo school',
    load: async () => (await import('./commands/seed.ts')).seed,
  },
  demo: {
    summary: 'a school morning, verified row by row',
    load: async () => (await import('./commands/demo.ts')).demo,
  },
  bench: { summary: '<name> [--json] a measurement', load: async () => (await import('./commands/bench.ts')).bench },
  test: {
    summary: '[vitest arguments] unit, integration and contract tests',
    load: async () => (await import('./commands/test.ts')).test,
  },
  'test:chaos': { summary: 'failures on purpose', load: async () => (await import('./commands/test.ts')).testChaos },
  'test:cluster': {
    summary: 'Redis in cluster mode',
    load: async () => (await import('./commands/test.ts')).testCluster,
  },
  'test:fuzz': {
    summary: 'requests made up from /openapi.json by schemathesis; FUZZ_EXAMPLES for more',
    load: async () => (await import('./commands/test-fuzz.ts')).testFuzz,
  },
  'openapi:examples': {
    summary: '[vitest arguments] records the examples of the API description from the tests',
    load: async () => (await import('./commands/openapi-examples.ts')).openapiExamples,
  },
  rules: {
    summary: 'every rule of the school with the tests that prove it',
    load: async () => (await import('./commands/rules.ts')).rules,
  },
  check: {
    summary: 'types, lint and the direction of imports',
    load: async () => (await import('./commands/check.ts')).check,
  },
};

/** Servers of these are their own: a developer's .env must not lead a test into a real database. */
const WITHOUT_ENV_FILE = new Set([
  'test',
  'test:chaos',
  'test:cluster',
  'test:fuzz',
  'openapi:examples',
  'rules',
  'bench',
  'check',
]);

function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  npm run ${name.padEnd(16)} ${summary}`);
  return `The commands are:\n${lines.join('\n')}`;
}

async function main(): Promise<number> {
  const [name = '', ...args] = process.argv.slice(2);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new CommandError(`${name ? `There is no command "${name}".` : 'Which command?'} ${usage()}`);
  const envFile = fileURLToPath(new URL('../.env', import.meta.url));
  // what is set already is stronger than the file
  if (!WITHOUT_ENV_FILE.has(name) && existsSync(envFile)) process.loadEnvFile(envFile);
  return (await command.load())(args);
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(
      `${error instanceof CommandError || process.env.DEBUG === undefined ? error.message : error.stack}\n`,
    );
    process.exit(1);
  },
);
