import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitOf, spawnNode } from '../lib/children.ts';

const VITEST = 'node_modules/vitest/vitest.mjs';

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  numFailedTestSuites: number;
}

/** Runs test folders on throwaway servers and counts: `N passed, N failed` is the last line. */
async function runTests(folders: readonly string[], args: string[]): Promise<number> {
  const present = folders.filter((folder) => existsSync(`__tests__/${folder}`));
  const scratch = await mkdtemp(join(tmpdir(), 'schools24-report-'));
  const file = join(scratch, 'report.json');
  try {
    const code = await exitOf(
      spawnNode(VITEST, [
        'run',
        ...(args.length > 0 ? args : present.map((folder) => `__tests__/${folder}/`)),
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${file}`,
      ]),
    );
    const report = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined;
    // A file that cannot even be loaded fails without a failed test in it.
    const failed = report ? Math.max(report.numFailedTests, code === 0 ? 0 : 1) : 1;
    const skipped = report ? report.numPendingTests + report.numTodoTests : 0;
    process.stdout.write(
      `${report?.numPassedTests ?? 0} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
    );
    return code;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

export const test = (args: string[]): Promise<number> =>
  runTests(['unit', 'property', 'integration', 'contract'], args);
export const testChaos = (args: string[]): Promise<number> => runTests(['chaos'], args);
export const testCluster = (args: string[]): Promise<number> => runTests(['cluster'], args);
