import { runNode } from '../lib/run-node.ts';
import { totalLine } from '../lib/test-count.ts';
import { type Command, refuseUnknown } from './command.ts';

const CHECKS: Record<string, () => Promise<number>> = {
  types: () => runNode('node_modules/typescript/bin/tsc', ['--noEmit']),
  lint: () => runNode('node_modules/@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.']),
  imports: () => runNode('scripts/check-imports.ts'),
};

/** Types, lint and format, directions and cycles of imports: all of them run, whatever fails. */
export const check: Command = async (args) => {
  refuseUnknown(args, []);
  const failed: string[] = [];
  for (const [name, run] of Object.entries(CHECKS)) {
    process.stdout.write(`== ${name}\n`);
    if ((await run()) !== 0) failed.push(name);
  }
  if (failed.length > 0)
    process.stdout.write(`not clean: ${failed.join(', ')}; npx biome check --write mends most of lint\n`);
  const passed = Object.keys(CHECKS).length - failed.length;
  process.stdout.write(`${totalLine({ passed, failed: failed.length, skipped: 0 })}\n`);
  return failed.length > 0 ? 1 : 0;
};
