export interface TestCount {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part of vitest's JSON report that is read here. */
export interface TestReport {
  testResults: {
    /** Path of the file. */
    name?: string;
    status: string;
    assertionResults: {
      status: string;
      /** Titles from the outermost `describe` on. */
      fullName?: string;
    }[];
  }[];
}

/**
 * Counts tests. A file that could not even be loaded has none to count, so it counts as one failed test; so does a run
 * that broke off without a report, or that says it failed though no test did.
 */
export function countOf(report: TestReport | undefined, exitCode: number): TestCount {
  const count: TestCount = { passed: 0, failed: 0, skipped: 0 };
  for (const { status, assertionResults } of report?.testResults ?? []) {
    const failed = assertionResults.filter((test) => test.status === 'failed').length;
    count.passed += assertionResults.filter((test) => test.status === 'passed').length;
    count.failed += failed === 0 && status === 'failed' ? 1 : failed;
    count.skipped += assertionResults.filter((test) => test.status !== 'passed' && test.status !== 'failed').length;
  }
  if (exitCode !== 0 && count.failed === 0) count.failed = 1;
  return count;
}

export const totalLine = ({ passed, failed, skipped }: TestCount): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
