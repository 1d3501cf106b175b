import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runNode } from './run-node.ts';
import type { TestReport } from './test-count.ts';

const VITEST = 'node_modules/vitest/vitest.mjs';

/**
 * Runs tests on throwaway servers, which vitest's global set-up provides.
 *
 * @param projects of vitest.config.ts
 * @param args further arguments of vitest
 * @returns its exit code and its report; none when it broke off
 */
export async function runVitest(
  projects: readonly string[],
  args: readonly string[],
): Promise<{ code: number; report: TestReport | undefined }> {
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
    return { code, report };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
