import type { Knex } from 'knex';
import { migrationSource } from './src/stores/postgres/migrate.ts';
import { columnTypes } from './src/stores/postgres/types.ts';

/** For knex's own command line (`knex migrate:status`); `npm run migrate` does the same under a lock that several starts share. */
function databaseUrl(): string {
  const url = process.env.DATABASE_URL;
  if (!url) throw new Error('DATABASE_URL is not set: npm run services -- --json prints the one in use');
  return url;
}

const config: Knex.Config = {
  client: 'pg',
  connection: { connectionString: databaseUrl(), types: columnTypes } as Knex.PgConnectionConfig,
  migrations: { migrationSource },
};

export default config;
