import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface OwnDatabase {
  url: string;
  drop(): Promise<void>;
}

/**
 * A new empty database on the test server, for one test file.
 *
 * @param serverUrl any database of the server, by a role that may create databases; `DATABASE_URL` unless told
 */
export async function createOwnDatabase(serverUrl = process.env.DATABASE_URL): Promise<OwnDatabase> {
  if (!serverUrl) throw new Error('DATABASE_URL is not set: tests run through npm test, which provides the servers');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await execute(serverUrl, `CREATE DATABASE ${name}`);
  return { url: url.href, drop: () => execute(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`) };
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
