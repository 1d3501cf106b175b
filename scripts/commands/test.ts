import { runVitest } from '../lib/run-vitest.ts';
import { countOf, totalLine } from '../lib/test-count.ts';
import type { Command } from './command.ts';

/** Tests on throwaway servers; ends with `N passed, N failed, N skipped`. */
const testProjects =
  (projects: readonly string[]): Command =>
  async (args) => {
    const { code, report } = await runVitest(projects, args);
    const count = countOf(report, code);
    process.stdout.write(`\n${totalLine(count)}\n`);
    return code === 0 && count.failed > 0 ? 1 : code;
  };

export const test = testProjects(['unit', 'property', 'integration', 'contract']);
export const testChaos = testProjects(['chaos']);
export const testCluster = testProjects(['cluster']);
