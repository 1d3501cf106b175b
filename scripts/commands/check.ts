import { spawn } from 'node:child_process';
import { exitOf, spawnNode } from '../lib/children.ts';
import { projectNode } from '../services/project-node.ts';

const run = (file: string, args: string[]): Promise<number> =>
  new Promise((resolve) => spawn(file, args, { stdio: 'inherit' }).once('exit', (code) => resolve(code ?? 1)));

const CHECKS: Record<string, () => Promise<number>> = {
  types: () => run(projectNode(), ['node_modules/typescript/bin/tsc', '--noEmit']),
  lint: () => run(projectNode(), ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.']),
  imports: () => exitOf(spawnNode('scripts/check-imports.ts')),
};

/** Types, lint and format, import directions and cycles; all of them run, whatever fails. */
export async function check(): Promise<number> {
  const failed: string[] = [];
  for (const [name, runCheck] of Object.entries(CHECKS)) {
    process.stdout.write(`== ${name}\n`);
    if ((await runCheck()) !== 0) failed.push(name);
  }
  if (failed.length > 0)
    process.stdout.write(`not clean: ${failed.join(', ')}; npx biome check --write mends most of lint\n`);
  process.stdout.write(`${Object.keys(CHECKS).length - failed.length} passed, ${failed.length} failed\n`);
  return failed.length > 0 ? 1 : 0;
}
