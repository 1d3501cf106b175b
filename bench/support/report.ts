import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

export interface Result {
  bench: string;
  /** Ratios by name. */
  figures: Record<string, number>;
  /** What each round measured. */
  rounds: unknown[];
  environment: object;
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

export const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!;

const round = (value: number): number => Number(value.toPrecision(4));

/** Targets that a figure is held against; at least or at most. */
export type Targets = Record<string, { least?: number; most?: number }>;

/** Keeps the result as JSON and prints it: one object with `--json`, else a table of figures and targets. */
export function report(result: Omit<Result, 'environment'>, targets: Targets, environment: object = {}): void {
  const full: Result = {
    bench: result.bench,
    figures: Object.fromEntries(Object.entries(result.figures).map(([name, value]) => [name, round(value)])),
    rounds: result.rounds,
    environment: {
      node: process.version,
      cores: cpus().length,
      cpu: cpus()[0]?.model,
      memoryBytes: totalmem(),
      ...environment,
    },
  };
  mkdirSync('bench/results', { recursive: true });
  const file = `bench/results/${result.bench}-${new Date().toISOString().replaceAll(':', '.')}.json`;
  writeFileSync(file, `${JSON.stringify(full, null, 2)}\n`);
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify(full)}\n`);
    return;
  }
  for (const [name, value] of Object.entries(full.figures)) {
    const { least, most } = targets[name] ?? {};
    const wanted = least !== undefined ? `>= ${least}` : most !== undefined ? `<= ${most}` : '';
    const isMet = (least === undefined || value >= least) && (most === undefined || value <= most);
    process.stdout.write(
      `${name.padEnd(34)} ${String(value).padStart(9)}  ${wanted.padEnd(9)} ${wanted ? (isMet ? 'met' : 'missed') : ''}\n`,
    );
  }
  process.stdout.write(`kept in ${file}\n`);
}

/** Progress goes to standard error, so that `--json` stays clean. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`);
