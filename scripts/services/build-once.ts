import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Builds a folder under a temporary name and renames it when it is whole, so that nobody ever sees half of one and
 * processes that build it at once do not clash: the first to finish wins, the others take its folder.
 *
 * @returns `folder`
 */
export async function buildOnce(folder: string, build: (temporary: string) => Promise<void>): Promise<string> {
  if (await exists(folder)) return folder;
  const temporary = `${folder}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  await mkdir(dirname(folder), { recursive: true });
  try {
    await build(temporary);
    await rename(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (!(await exists(folder))) throw error;
  }
  return folder;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
