import pg from 'pg';
import type { SchoolHarness } from './harness.ts';

/** Runs something while a school's PostgreSQL database takes no connections; others on the server are not disturbed. */
export async function whileDatabaseIsDown<T>(school: SchoolHarness, run: () => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await admin.connect();
  try {
    await admin.query(`ALTER DATABASE ${school.prefix} ALLOW_CONNECTIONS false`);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [school.prefix]);
    return await run();
  } finally {
    await admin.query(`ALTER DATABASE ${school.prefix} ALLOW_CONNECTIONS true`);
    await admin.end();
  }
}
