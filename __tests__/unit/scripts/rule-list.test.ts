import { describe, expect, it } from 'vitest';
import { parseRules, resultsOf } from '../../../scripts/lib/rule-list.ts';

const TABLE =
  '| Rule | Service | Says |\n|---|---|---|\n| A1 | auth | one |\n| AT2 | attendance | two |\n| C3 | calendar | three |';
const test = (fullName: string, status: string) => ({ fullName, status });

describe('the list of rules', () => {
  it('is read from the table', () => {
    expect(parseRules(TABLE)).toEqual([
      { id: 'A1', service: 'auth', says: 'one' },
      { id: 'AT2', service: 'attendance', says: 'two' },
      { id: 'C3', service: 'calendar', says: 'three' },
    ]);
  });

  it('holds no number twice', () => {
    expect(() => parseRules(`${TABLE}\n| A1 | auth | again |`)).toThrow('A1 is listed twice');
  });

  it('takes a rule as proven when all tests that name it passed', () => {
    const report = {
      testResults: [
        {
          name: 'a.test.ts',
          status: 'failed',
          assertionResults: [
            test('rolls AT2: prefill', 'passed'),
            test('AT2 and A1 together', 'failed'),
            test('A1: in the open', 'skipped'),
            test('C31 is another one', 'passed'),
          ],
        },
      ],
    };
    const results = resultsOf(parseRules(TABLE), report);
    expect(results.map(({ id, state, tests }) => [id, state, tests.length])).toEqual([
      ['A1', 'failed', 1],
      ['AT2', 'failed', 2],
      ['C3', 'missing', 0],
    ]);
  });
});
