import { mkdir, stat } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * The user's cache folder of this project: what is downloaded or built once and serves every clone.
 * Where the home folder cannot be written, one in the temporary folder that belongs to this user alone.
 */
export async function cacheFolder(): Promise<string> {
  const wanted = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'schools24');
  try {
    await mkdir(wanted, { recursive: true });
    return wanted;
  } catch {
    const fallback = join(tmpdir(), `schools24-cache-${process.getuid?.() ?? 'user'}`);
    await mkdir(fallback, { recursive: true, mode: 0o700 });
    const { uid } = await stat(fallback);
    if (process.getuid && uid !== process.getuid()) {
      throw new Error(`${fallback} belongs to another user: set XDG_CACHE_HOME to a folder of your own`);
    }
    return fallback;
  }
}
