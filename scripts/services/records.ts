import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commandLine, isAlive } from './processes.ts';
import type { ServerBinary, ServiceName } from './types.ts';

/** What a later start needs to find a server again, and to give it the same address if it has gone. */
export interface ServerRecord {
  pid: number;
  port: number;
  source: ServerBinary['source'];
  origin: string;
}

export type Records = Partial<Record<ServiceName, ServerRecord>>;

const fileIn = (dataDir: string): string => join(dataDir, 'services.json');

export async function readRecords(dataDir: string): Promise<Records> {
  try {
    return JSON.parse(await readFile(fileIn(dataDir), 'utf8')) as Records;
  } catch {
    // none yet, or cut off by a crash: servers are then started anew, and each guards its own folder
    return {};
  }
}

export async function writeRecords(dataDir: string, records: Records): Promise<void> {
  const temporary = `${fileIn(dataDir)}.new`;
  await writeFile(temporary, JSON.stringify(records, null, 2));
  await rename(temporary, fileIn(dataDir));
}

/** True when the recorded process lives and serves this folder: numbers are used again, and then belong to anything. */
export async function isOurs({ pid }: ServerRecord, folder: string): Promise<boolean> {
  return (await isAlive(pid)) && (await commandLine(pid)).includes(folder);
}
