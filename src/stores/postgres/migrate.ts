import { readdir } from 'node:fs/promises';
import type { Knex } from 'knex';
import type { Log } from '../../lib/log.ts';
import { createPostgres } from './connect.ts';

/** What the messages go to. */
export type MigrationLog = Pick<Log, 'info'>;

const FOLDER = new URL('../../../migrations/', import.meta.url);
const FILE_NAME = /^\d{14}_[a-z0-9_]+\.ts$/;

/** Any number will do, as long as it is the same for every process that migrates; "schools24" in ASCII, cut to 32 bits. */
const LOCK_KEY = 0x7363_6832;

/**
 * knex's own source asks for CommonJS or reads the folder by its own rules; this one imports the files as the modules they
 * are, in the order of their names. Only file names reach the database, so the folder may lie anywhere.
 */
export const migrationSource: Knex.MigrationSource<{ file: string }> = {
  getMigrations: async () => (await migrationNames()).map((file) => ({ file })),
  getMigrationName: ({ file }) => file,
  getMigration: ({ file }) => import(new URL(file, FOLDER).href) as Promise<Knex.Migration>,
};

/** All migrations of this code in the order they run. */
export const migrationNames = async (): Promise<string[]> =>
  (await readdir(FOLDER)).filter((name) => FILE_NAME.test(name)).sort();

const config: Knex.MigratorConfig = { migrationSource };

/**
 * Brings the schema up to date. Safe when several processes start at once: one migrates, the others wait for it and find
 * nothing to do.
 *
 * @returns names of the migrations that ran
 * @throws the database's error; the failed migration leaves nothing behind, those before it stay
 */
export async function migrate(databaseUrl: string, log?: MigrationLog): Promise<string[]> {
  return locked(databaseUrl, async (knex) => {
    const [, names] = (await knex.migrate.latest(config)) as [number, string[]];
    log?.info(names.length > 0 ? `migrated: ${names.length} changes` : 'the schema is up to date', {
      migrations: names,
    });
    return names;
  });
}

/**
 * Undoes the last group of migrations, or all of them.
 *
 * @returns names of the migrations that were undone, newest first
 */
export async function rollback(
  databaseUrl: string,
  { all = false, log }: { all?: boolean; log?: MigrationLog } = {},
): Promise<string[]> {
  return locked(databaseUrl, async (knex) => {
    const [, names] = (await knex.migrate.rollback(config, all)) as [number, string[]];
    log?.info(`rolled back: ${names.length} changes`, { migrations: names });
    return names;
  });
}

export interface MigrationStatus {
  /** Names in the order they ran. */
  completed: string[];
  pending: string[];
}

/** Which migrations this code has and this database had. */
export async function migrationStatus(databaseUrl: string): Promise<MigrationStatus> {
  return withDatabase(databaseUrl, async (knex) => {
    const [completed, pending] = (await knex.migrate.list(config)) as [{ name: string }[], { file: string }[]];
    return { completed: completed.map(({ name }) => name), pending: pending.map(({ file }) => file) };
  });
}

async function withDatabase<T>(databaseUrl: string, work: (knex: Knex) => Promise<T>): Promise<T> {
  const knex = createPostgres({ url: databaseUrl, maxConnections: 2 });
  try {
    return await work(knex);
  } finally {
    await knex.destroy();
  }
}

/**
 * The session lock belongs to a connection, so it goes with a process that dies; knex's lock row stays and would block every
 * later start. Whoever holds the session lock may therefore clear the row.
 */
async function locked<T>(databaseUrl: string, work: (knex: Knex) => Promise<T>): Promise<T> {
  return withDatabase(databaseUrl, async (knex) => {
    const connection = await knex.client.acquireConnection();
    try {
      await knex.raw('SELECT pg_advisory_lock(?)', [LOCK_KEY]).connection(connection);
      await knex.migrate.forceFreeMigrationsLock(config);
      return await work(knex);
    } finally {
      await knex.raw('SELECT pg_advisory_unlock_all()').connection(connection);
      await knex.client.releaseConnection(connection);
    }
  });
}
