import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPostgres, createPostgresReader } from '../../../src/stores/postgres/connect.ts';
import { createOwnDatabase, type OwnDatabase } from '../../support/own-database.ts';

describe('PostgreSQL connection', () => {
  let database: OwnDatabase;
  let knex: Knex;

  beforeAll(async () => {
    database = await createOwnDatabase();
    knex = createPostgres({ url: database.url, maxConnections: 2, statementTimeoutMs: 200 });
  });
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });

  const value = async (expression: string): Promise<unknown> => {
    const { rows } = await knex.raw(`SELECT ${expression} AS value`);
    return rows[0].value;
  };

  it.each([
    ["'2024-02-29'::date", '2024-02-29'],
    ["ARRAY['2024-02-29', NULL]::date[]", ['2024-02-29', null]],
    ["'2025-09-10 08:30:00+05:30'::timestamptz", '2025-09-10T03:00:00.000Z'],
    ["'2025-09-10 03:00:00.1Z'::timestamptz(3)", '2025-09-10T03:00:00.100Z'],
    ["'2025-09-10 03:00:00.123456Z'::timestamptz", '2025-09-10T03:00:00.123Z'],
    ["ARRAY['2025-09-10 03:00Z']::timestamptz[]", ['2025-09-10T03:00:00.000Z']],
    ["'2025-03-30 02:30'::timestamp", '2025-03-30 02:30:00'],
    ['9007199254740991::bigint', Number.MAX_SAFE_INTEGER],
    ['ARRAY[1, NULL]::bigint[]', [1, null]],
    ["current_setting('application_name')", 'schools24'],
  ])('reads %s as a document has it', async (expression, expected) => {
    expect(await value(expression)).toEqual(expected);
  });

  it('writes an instant and reads the same text back', async () => {
    const instant = '2025-12-31T23:59:59.999Z';
    const { rows } = await knex.raw('SELECT ?::timestamptz(3) AS value', [instant]);
    expect(rows[0].value).toBe(instant);
  });

  it('refuses a bigint that a number would round', async () => {
    await expect(value('9007199254740992::bigint')).rejects.toThrow('9007199254740992 is not a safe integer');
  });

  it('cancels a statement at its timeout', async () => {
    await expect(value('pg_sleep(5)')).rejects.toMatchObject({ code: '57014' });
  });

  it('fails at once, not at the acquire timeout, when the server is down', async () => {
    const url = new URL(database.url);
    url.port = '1';
    const down = createPostgres({ url: url.href });
    await expect(down.raw('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await down.destroy();
  });

  it('reads from the replica only where there is one', async () => {
    expect(createPostgresReader({ url: database.url }, knex)).toBe(knex);
    const replica = createPostgresReader({ url: 'postgres://nowhere.invalid/x', readUrl: database.url }, knex);
    expect(replica).not.toBe(knex);
    expect((await replica.raw('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await replica.destroy();
  });
});
