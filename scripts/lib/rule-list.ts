import type { TestReport } from './test-count.ts';

export interface Rule {
  /** As in `A3`. */
  id: string;
  service: string;
  /** In a few words. */
  says: string;
}

export interface RuleResult extends Rule {
  /** Tests that name it, with their own result. */
  tests: { name: string; file: string; isPassed: boolean }[];
  state: 'passed' | 'failed' | 'missing';
}

const ROW = /^\| ([A-Z]{1,2}\d{1,2}) +\| ([a-z-]+) +\| (.+?) +\|$/;
const NAMED = /\b[A-Z]{1,2}\d{1,2}\b/g;

/** Rows of the table in docs/rules.md. @throws when a number is there twice */
export function parseRules(markdown: string): Rule[] {
  const rules = markdown.split('\n').flatMap((line): Rule[] => {
    const [, id, service, says] = ROW.exec(line) ?? [];
    return id && service && says ? [{ id, service, says }] : [];
  });
  const twice = rules.find(({ id }, index) => rules.findIndex((rule) => rule.id === id) !== index);
  if (twice) throw new Error(`rule ${twice.id} is listed twice`);
  return rules;
}

/** Numbers that a test's full name holds. */
export const rulesNamedIn = (text: string): Set<string> => new Set(text.match(NAMED) ?? []);

/** What the tests that ran say of each rule; one without a test that passed is missing. */
export function resultsOf(rules: readonly Rule[], report: TestReport | undefined): RuleResult[] {
  const ran = (report?.testResults ?? []).flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'passed' || status === 'failed')
      .map((test) => ({
        name: test.fullName ?? '',
        file: name ?? '',
        isPassed: test.status === 'passed',
        rules: rulesNamedIn(test.fullName ?? ''),
      })),
  );
  return rules.map((rule): RuleResult => {
    const tests = ran
      .filter((test) => test.rules.has(rule.id))
      .map(({ name, file, isPassed }) => ({ name, file, isPassed }));
    const state = tests.length === 0 ? 'missing' : tests.every(({ isPassed }) => isPassed) ? 'passed' : 'failed';
    return { ...rule, tests, state };
  });
}
