import { glob, readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { parseRules, type RuleResult, resultsOf, rulesNamedIn } from '../lib/rule-list.ts';
import { runVitest } from '../lib/run-vitest.ts';
import { type Command, refuseUnknown } from './command.ts';

/** Where rules of the school are proven; the engine's invariants have tests and numbers of their own. */
const PROJECTS = ['unit', 'integration', 'contract'];
const LIST = 'docs/rules.md';

/** Runs the tests that name rules of the school and prints what became of each rule. */
export const rules: Command = async (args) => {
  refuseUnknown(args, []);
  const listed = parseRules(await readFile(LIST, 'utf8'));
  const numbers = listed.map(({ id }) => id);
  const files = await filesNaming(new Set(numbers));
  const { code, report } = await runVitest(PROJECTS, [...files, '-t', `\\b(${numbers.join('|')})\\b`]);
  const results = resultsOf(listed, report);
  process.stdout.write(`\n${results.map(linesOf).join('\n')}\n`);
  const failed = results.filter(({ state }) => state !== 'passed').length;
  process.stdout.write(`\n${results.length - failed} passed, ${failed} failed\n`);
  return code === 0 && failed === 0 ? 0 : 1;
};

async function filesNaming(numbers: ReadonlySet<string>): Promise<string[]> {
  const files: string[] = [];
  for (const project of PROJECTS) {
    for await (const file of glob(`__tests__/${project}/**/*.test.ts`)) {
      const named = rulesNamedIn(await readFile(file, 'utf8'));
      if ([...named].some((id) => numbers.has(id))) files.push(file);
    }
  }
  return files;
}

function linesOf({ id, service, says, state, tests }: RuleResult): string {
  const lines = tests.map(
    ({ name, file, isPassed }) => `      ${isPassed ? '✓' : '✗'} ${relative(process.cwd(), file)} › ${name}`,
  );
  if (state === 'missing') lines.push(`      no test names it: begin a title with "${id}: "`);
  return [`${id.padEnd(5)} ${state.padEnd(8)} ${service}: ${says}`, ...lines].join('\n');
}
