import type { Knex } from 'knex';
import { loadConfig } from './src/config/index.ts';
import { migrationSource } from './src/stores/postgres/migrate.ts';
import { columnTypes } from './src/stores/postgres/types.ts';

/** For knex's own command line (`knex migrate:status`); `npm run migrate` does the same under a lock that several starts share. */
const config: Knex.Config = {
  client: 'pg',
  connection: { connectionString: loadConfig().postgres.url, types: columnTypes } as Knex.PgConnectionConfig,
  migrations: { migrationSource },
};

export default config;
