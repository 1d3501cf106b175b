import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './cache-folder.ts';
import type { ServiceLog } from './types.ts';

const VERSION = '7.0.24';
const ANSWER_WITHIN_MS = 5_000;
const REMEMBER_MS = 24 * 60 * 60 * 1_000;

interface Memory {
  /** Milliseconds since 1970. */
  at: number;
  isReachable: boolean;
}

/**
 * A real `mongod` in the user's cache folder, downloaded on first use where MongoDB's server answers within 5 s. That it
 * did not is remembered for a day, so that later starts do not wait.
 *
 * @returns the program, or undefined when it cannot be had
 */
export async function downloadedMongod(log: ServiceLog): Promise<string | undefined> {
  const cache = await cacheFolder();
  const memoryFile = join(cache, 'mongod-download.json');
  const memory = await readMemory(memoryFile);
  if (memory && !memory.isReachable && Date.now() - memory.at < REMEMBER_MS) return undefined;
  const downloadDir = join(cache, 'mongod');
  try {
    const { MongoBinary } = await import('mongodb-memory-server-core/lib/util/MongoBinary.js');
    const { MongoBinaryDownloadUrl } = await import('mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl.js');
    await mkdir(downloadDir, { recursive: true });
    if (!memory?.isReachable) {
      const { platform, arch } = process;
      const url = await new MongoBinaryDownloadUrl({ platform, arch, version: VERSION }).getDownloadUrl();
      const answer = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      if (!answer.ok) throw new Error(`the download answers ${answer.status}`);
      log.info(`downloading MongoDB ${VERSION} into the cache folder (once)`);
    }
    const file = await MongoBinary.getPath({ version: VERSION, downloadDir });
    await writeMemory(memoryFile, { at: Date.now(), isReachable: true });
    return file;
  } catch {
    await writeMemory(memoryFile, { at: Date.now(), isReachable: false });
    return undefined;
  }
}

async function readMemory(file: string): Promise<Memory | undefined> {
  try {
    const value = JSON.parse(await readFile(file, 'utf8')) as Partial<Memory>;
    return typeof value.at === 'number' && typeof value.isReachable === 'boolean' ? (value as Memory) : undefined;
  } catch {
    return undefined;
  }
}

async function writeMemory(file: string, memory: Memory): Promise<void> {
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, JSON.stringify(memory));
  await rename(temporary, file);
}
