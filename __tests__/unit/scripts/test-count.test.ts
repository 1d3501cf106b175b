import { describe, expect, it } from 'vitest';
import { countOf, totalLine } from '../../../scripts/lib/test-count.ts';

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((test) => ({ status: test })),
});

describe('test count', () => {
  it('adds up the tests of all files', () => {
    const testResults = [file('passed', 'passed', 'passed', 'pending'), file('failed', 'passed', 'failed', 'todo')];
    expect(countOf({ testResults }, 1)).toEqual({ passed: 3, failed: 1, skipped: 2 });
  });

  it('counts a file that could not be loaded as one failed test', () => {
    expect(countOf({ testResults: [file('passed', 'passed'), file('failed')] }, 1)).toEqual({
      passed: 1,
      failed: 1,
      skipped: 0,
    });
  });

  it('counts a run that broke off or failed without a failed test as one', () => {
    expect(countOf(undefined, 1).failed).toBe(1);
    expect(countOf({ testResults: [file('passed', 'passed')] }, 1).failed).toBe(1);
  });

  it.each([
    [{ passed: 3, failed: 0, skipped: 0 }, '3 passed, 0 failed'],
    [{ passed: 3, failed: 1, skipped: 2 }, '3 passed, 1 failed, 2 skipped'],
  ])('says %o as %s', (count, line) => {
    expect(totalLine(count)).toBe(line);
  });
});
