import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runNode } from '../lib/run-node.ts';
import { countOf, type TestReport, totalLine } from '../lib/test-count.ts';
import type { Command } from './command.ts';

const VITEST = 'node_modules/vitest/vitest.mjs';

/** Tests on throwaway servers, which vitest's global set-up provides; ends with `N passed, N failed, N skipped`. */
const testProjects =
  (projects: readonly string[]): Command =>
  async (args) => {
    const folder = await mkdtemp(join(tmpdir(), 'schools24-report-'));
    const reportFile = join(folder, 'report.json');
    try {
      const code = await runNode(
        VITEST,
        [
          'run',
          ...projects.flatMap((project) => ['--project', project]),
          '--reporter=default',
          '--reporter=json',
          `--outputFile.json=${reportFile}`,
          ...args,
        ],
        { env: { NODE_ENV: 'test' } },
      );
      const report = await readFile(reportFile, 'utf8').then(
        (text) => JSON.parse(text) as TestReport,
        () => undefined,
      );
      const count = countOf(report, code);
      process.stdout.write(`\n${totalLine(count)}\n`);
      return code === 0 && count.failed > 0 ? 1 : code;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };

export const test = testProjects(['unit', 'property', 'integration', 'contract']);
export const testChaos = testProjects(['chaos']);
export const testCluster = testProjects(['cluster']);
