import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Example } from '../../src/http/openapi/operation.ts';
import { runNode } from '../lib/run-node.ts';
import type { Command } from './command.ts';
import { test } from './test.ts';

const FILE = fileURLToPath(new URL('../../src/http/openapi/examples.json', import.meta.url));
const BIOME = 'node_modules/@biomejs/biome/bin/biome';

type Recorded = Example & { id: string };

/**
 * Records a request and its answer for each endpoint from the integration tests, or those named, and puts them into the API
 * description. Endpoints that were not called keep what they had; of several calls the one that shows most is kept.
 */
export const openapiExamples: Command = async (args) => {
  const folder = await mkdtemp(join(tmpdir(), 'schools24-examples-'));
  try {
    process.env.RECORD_EXAMPLES = folder;
    const code = await test(args.length > 0 ? args : ['--project', 'integration']);
    const examples = JSON.parse(await readFile(FILE, 'utf8')) as Record<string, Example>;
    const best = new Map<string, { example: Example; length: number }>();
    for (const { id, ...example } of await recorded(folder)) {
      const { length } = JSON.stringify(example);
      if (length > (best.get(id)?.length ?? 0)) best.set(id, { example, length });
    }
    for (const [id, { example }] of best) examples[id] = example;
    const sorted = Object.entries(examples).sort(([a], [b]) => (a < b ? -1 : 1));
    await writeFile(FILE, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);
    process.stdout.write(`${best.size} endpoints recorded, ${sorted.length} have an example\n`);
    const formatted = await runNode(BIOME, ['format', '--write', FILE]);
    return code || formatted;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

async function recorded(folder: string): Promise<Recorded[]> {
  const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
  return texts.flatMap((text) => text.trim().split('\n')).map((line) => JSON.parse(line) as Recorded);
}
