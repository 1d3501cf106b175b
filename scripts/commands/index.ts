import { bench } from './bench.ts';
import { check } from './check.ts';
import { demo } from './demo.ts';
import { migrateCommand, seedCommand, servicesCommand } from './services.ts';
import { start, startWeb, startWorker } from './start.ts';
import { test, testChaos, testCluster } from './test.ts';

/** What each npm script does; the result is the exit code. */
export type Command = (args: string[]) => Promise<number>;

export const COMMANDS: Readonly<Record<string, Command>> = {
  start,
  'start:web': startWeb,
  'start:worker': startWorker,
  services: servicesCommand,
  migrate: migrateCommand,
  seed: seedCommand,
  demo,
  bench,
  test,
  'test:chaos': testChaos,
  'test:cluster': testCluster,
  check,
};
