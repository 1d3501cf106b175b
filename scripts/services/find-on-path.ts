import { constants } from 'node:fs';
import { access, realpath } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** @returns the real file of the first such program on PATH that may be run, else undefined */
export async function findOnPath(program: string): Promise<string | undefined> {
  const endings = process.platform === 'win32' ? ['.exe', '.cmd', ''] : [''];
  for (const folder of (process.env.PATH ?? '').split(delimiter).filter(Boolean)) {
    for (const ending of endings) {
      const file = join(folder, program + ending);
      try {
        await access(file, constants.X_OK);
        return await realpath(file);
      } catch {
        // not in this folder
      }
    }
  }
  return undefined;
}
