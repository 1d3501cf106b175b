import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/**
 * Imports point one way (a layer may import itself and those before it) and never in a circle. Wiring files stand outside
 * the layers: they import everything and nobody imports them.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['src/lib', 'src/config', 'src/errors'],
  ['src/stores', 'src/cache'],
  ['src/buffer'],
  ['src/live'],
  ['queues'],
  ['src/engine.ts'],
  ['src/services', 'processors'],
  ['src/http'],
];
const WIRING = [
  'src/container.ts',
  'src/server.ts',
  'src/worker.ts',
  'src/event-workers.ts',
  'src/metrics.ts',
  'src/sync-need.ts',
  'src/sync-workers.ts',
];
/** Processors answer jobs, not requests; the engine knows no service. */
const FORBIDDEN: readonly [from: string, to: string][] = [
  ['processors', 'src/http'],
  ['processors', 'src/services'],
  ['src/services', 'processors'],
];

const IMPORT = /(?:^|\n)\s*(import|export)\s+(type\s+)?[^;'"]*?from\s+'(\.[^']+)'/g;

const inside = (file: string, place: string): boolean => file === place || file.startsWith(`${place}/`);
const layerOf = (file: string): number => LAYERS.findIndex((places) => places.some((place) => inside(file, place)));

const problems: string[] = [];
const graph = new Map<string, string[]>();
for (const file of globSync(['src/**/*.ts', 'queues/*.ts', 'processors/*.ts'])) {
  const values: string[] = [];
  for (const [, , isType, target] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
    const imported = relative('.', join(dirname(file), target!));
    if (!isType) values.push(imported);
    if (WIRING.includes(file)) continue;
    if (WIRING.includes(imported)) problems.push(`${file} imports ${imported}, which only wires things`);
    if (FORBIDDEN.some(([from, to]) => inside(file, from) && inside(imported, to)))
      problems.push(`${file} must not import ${imported}`);
    if (!isType && layerOf(imported) > layerOf(file) && layerOf(file) >= 0)
      problems.push(`${file} imports ${imported}, which lies above it`);
  }
  graph.set(file, values);
}

const done = new Set<string>();
function visit(file: string, path: readonly string[]): void {
  if (path.includes(file)) {
    problems.push(`import cycle: ${[...path.slice(path.indexOf(file)), file].join(' -> ')}`);
    return;
  }
  if (done.has(file)) return;
  for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
  done.add(file);
}
for (const file of graph.keys()) visit(file, []);

for (const problem of new Set(problems)) process.stdout.write(`${problem}\n`);
process.stdout.write(`${graph.size} files, ${problems.length} problems\n`);
process.exitCode = problems.length > 0 ? 1 : 0;
