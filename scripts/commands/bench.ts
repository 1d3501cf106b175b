import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { runNode } from '../lib/run-node.ts';
import { type Command, CommandError } from './command.ts';
import { withServices } from './provide.ts';

const FOLDER = fileURLToPath(new URL('../../bench/', import.meta.url));

/** Runs `bench/<name>.ts` on throwaway servers; what follows the name is for it. */
export const bench: Command = async ([name = '', ...args]) => {
  const names = (await readdir(FOLDER))
    .filter((file) => /^[a-z][a-z-]*\.ts$/.test(file))
    .map((file) => file.slice(0, -3));
  if (!names.includes(name)) {
    throw new CommandError(`npm run bench -- <name> [--json]; the measurements are: ${names.join(', ') || 'none yet'}`);
  }
  return withServices({ throwaway: true }, ({ urls }) => runNode([`${FOLDER}${name}.ts`, ...args], { env: urls }));
};
