import { parseArgs } from 'node:util';

/** Reads `--name=value` flags. @throws Error naming the flag that is not known */
export function readFlags<Name extends string>(
  args: string[],
  names: readonly Name[],
): { flags: Partial<Record<Name, string>>; rest: string[] } {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  return { flags: values as Partial<Record<Name, string>>, rest: positionals };
}
