import knex, { type Knex } from 'knex';
import type pg from 'pg';
import type { Log } from '../../lib/log.ts';
import { columnTypes } from './types.ts';

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database` */
  url: string;
  /** A read replica for lists (`createPostgresReader`); unset, the primary serves them. */
  readUrl?: string;
  /** Connections at most; 20 unless told. */
  maxConnections?: number;
  /** Connections kept open while idle; 0 unless told. */
  idleConnections?: number;
  /** A statement that runs longer is cancelled by the server; 0 lets it run. */
  statementTimeoutMs?: number;
  /** How long a caller waits for a free connection before KnexTimeoutError; 10 s unless told. */
  acquireTimeoutMs?: number;
  /** Takes knex's warnings; its errors are thrown to the caller, who logs them once. */
  log?: Pick<Log, 'warn'>;
}

const nothing = (): void => {};

/**
 * The PostgreSQL pool. It connects at the first query, so a database that is down does not keep the process from starting.
 * Values arrive as documents have them: `bigint` as a safe number, `date` as `YYYY-MM-DD`, `timestamptz` as ISO 8601 with `Z`.
 */
export function createPostgres(options: PostgresOptions): Knex {
  const {
    url,
    maxConnections = 20,
    idleConnections = 0,
    statementTimeoutMs = 0,
    acquireTimeoutMs = 10_000,
    log,
  } = options;
  return knex({
    client: 'pg',
    log: { error: nothing, debug: nothing, deprecate: nothing, warn: (message: unknown) => log?.warn(String(message)) },
    connection: {
      connectionString: url,
      application_name: 'schools24',
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      types: columnTypes,
    } as Knex.PgConnectionConfig,
    acquireConnectionTimeout: acquireTimeoutMs,
    pool: {
      min: Math.min(idleConnections, maxConnections),
      max: maxConnections,
      afterCreate: (connection: pg.Client, done: (error: Error | null, connection: pg.Client) => void) => {
        // Statements, not start-up parameters: connection poolers refuse most of those.
        connection.query(
          `SET TIME ZONE 'UTC'; SET datestyle = 'ISO, YMD'; SET statement_timeout = ${Math.trunc(statementTimeoutMs)}`,
          (error: Error | null) => done(error, connection),
        );
      },
    },
  });
}

/** The pool for reads that may lag behind: the replica's where there is one, else the primary's own. */
export const createPostgresReader = (options: PostgresOptions, primary: Knex): Knex =>
  options.readUrl ? createPostgres({ ...options, url: options.readUrl }) : primary;
