import { readdir, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exclusiveAddress, listenExclusively } from '../lib/exclusive-socket.mjs';
import { SERVICE_NAMES } from './definitions.ts';
import { stopProcess } from './processes.ts';
import { isOurs, readRecords } from './records.ts';

export const THROWAWAY_PREFIX = 'schools24-throwaway-';
/** Younger folders may belong to a supervisor that is about to take its lock. */
const OLD_ENOUGH_MS = 60_000;

/**
 * Removes what throwaway supervisors left that were killed themselves: their servers and their folders. Only folders of
 * this user whose lock nobody holds.
 */
export async function sweepThrowaways(ownFolder: string): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const folder = join(tmpdir(), name);
    if (!name.startsWith(THROWAWAY_PREFIX) || folder === ownFolder) continue;
    try {
      const { uid, mtimeMs } = await stat(folder);
      if (Date.now() - mtimeMs < OLD_ENOUGH_MS || (process.getuid && uid !== process.getuid())) continue;
      await sweep(folder);
    } catch {
      // somebody else was faster
    }
  }
}

async function sweep(folder: string): Promise<void> {
  const lock = createServer();
  if (!(await listenExclusively(lock, exclusiveAddress('services', folder)))) return;
  try {
    const records = await readRecords(folder);
    for (const name of SERVICE_NAMES) {
      const record = records[name];
      if (record && (await isOurs(record, join(folder, name)))) await stopProcess(record.pid, 'SIGKILL', 0);
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  } finally {
    lock.close();
  }
}
