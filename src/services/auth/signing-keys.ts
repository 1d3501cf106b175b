import { randomBytes, randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SigningKey } from '../../config/index.ts';
import type { Log } from '../../lib/log.ts';

const KEY_BYTES = 32;
const FILE_NAME = 'signing-key';

/**
 * The configured keys; without any (the configuration allows that outside production only) one that is made once and kept
 * in the data folder, so that all processes of this machine share it and logins outlive a restart.
 */
export function loadSigningKeys(
  configured: readonly SigningKey[],
  { dataDir, log }: { dataDir: string; log: Log },
): readonly SigningKey[] {
  if (configured.length > 0) return configured;
  const file = join(dataDir, FILE_NAME);
  const secret = read(file) ?? make(dataDir, file);
  log.warn('JWT_KEYS is not set: tokens are signed with a key kept in DATA_DIR, good for development only');
  return [{ id: 'development', secret }];
}

function read(file: string): Buffer | undefined {
  try {
    return Buffer.from(readFileSync(file, 'utf8'), 'base64');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Several processes may start at once: a link appears whole, and only the first one's does. */
function make(dataDir: string, file: string): Buffer {
  mkdirSync(dataDir, { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  writeFileSync(draft, randomBytes(KEY_BYTES).toString('base64'), { mode: 0o600 });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
  return read(file)!;
}
