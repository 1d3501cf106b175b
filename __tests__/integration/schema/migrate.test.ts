import type { Knex } from 'knex';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { migrate, migrationNames, migrationStatus, rollback } from '../../../src/stores/postgres/migrate.ts';
import { createOwnDatabase, type OwnDatabase } from '../../support/own-database.ts';
import { readTable, tableNames } from './catalogue.ts';

describe('migrations', () => {
  let database: OwnDatabase;
  let knex: Knex;

  beforeEach(async () => {
    database = await createOwnDatabase();
    knex = createPostgres({ url: database.url, maxConnections: 2 });
  });
  afterEach(async () => {
    await knex.destroy();
    await database.drop();
  });

  const readSchema = async () => {
    const names = await tableNames(knex);
    return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readTable(knex, name)])));
  };

  it('go up, down to nothing, and up to the same', async () => {
    const names = await migrationNames();
    expect(await migrate(database.url)).toEqual(names);
    const first = await readSchema();
    expect(Object.keys(first)).toContain('attendance_entries');

    expect(await rollback(database.url, { all: true })).toEqual([...names].reverse());
    expect(await tableNames(knex)).toEqual([]);
    const { rows } = await knex.raw("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'");
    expect(rows).toEqual([]);

    await migrate(database.url);
    expect(await readSchema()).toEqual(first);
  });

  it('run once when several processes start together', async () => {
    const names = await migrationNames();
    const ran = await Promise.all(Array.from({ length: 4 }, () => migrate(database.url)));
    expect(ran.flat()).toEqual(names);
  });

  it('run although a process died while it held the lock row', async () => {
    await migrate(database.url);
    const last = (await migrationNames()).at(-1)!;
    const { down } = (await import(`../../../migrations/${last}`)) as Knex.Migration;
    await down!(knex);
    await knex.raw('DELETE FROM knex_migrations WHERE name = ?', [last]);
    await knex('knex_migrations_lock').update({ is_locked: 1 });
    const [missing] = (await migrationStatus(database.url)).pending;
    expect(await migrate(database.url)).toEqual([missing]);
  });

  it('say what ran and what is pending', async () => {
    const names = await migrationNames();
    expect(await migrationStatus(database.url)).toEqual({ completed: [], pending: names });
    await migrate(database.url);
    expect(await migrationStatus(database.url)).toEqual({ completed: names, pending: [] });
  });

  it('pass the database’s reason on when it is not there', async () => {
    const gone = new URL(database.url);
    gone.port = '1';
    await expect(migrate(gone.href)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
