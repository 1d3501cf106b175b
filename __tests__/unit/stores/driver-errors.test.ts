import type { Knex } from 'knex';
import { MongoServerError } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classifyMongoError, classifyPostgresError, reasonOf } from '../../../src/errors/driver-errors.ts';
import { createMongo } from '../../../src/stores/mongo/connect.ts';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { createOwnDatabase, type OwnDatabase } from '../../support/own-database.ts';

const NOBODY = '127.0.0.1:1';

describe('errors of PostgreSQL', () => {
  let database: OwnDatabase;
  let knex: Knex;
  beforeAll(async () => {
    database = await createOwnDatabase();
    knex = createPostgres({ url: database.url, maxConnections: 4, acquireTimeoutMs: 300 });
    await knex.raw(`CREATE TABLE parents (id int PRIMARY KEY);
      CREATE TABLE rows (id int PRIMARY KEY CHECK (id < 100), parent_id int REFERENCES parents, name varchar(3), data jsonb)`);
    await knex.raw('INSERT INTO rows (id) VALUES (1)');
  });
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });
  const errorOf = (sql: string, bindings: unknown[] = []): Promise<unknown> =>
    knex.raw(sql, bindings as Knex.Value[]).then(
      () => undefined,
      (error) => error,
    );

  it.each([
    ['23505', 'INSERT INTO rows (id) VALUES (1)', []],
    ['23503', 'INSERT INTO rows (id, parent_id) VALUES (2, 7)', []],
    ['23514', 'INSERT INTO rows (id) VALUES (100)', []],
    ['23502', 'INSERT INTO rows (id) VALUES (NULL)', []],
    ['22001', "INSERT INTO rows (id, name) VALUES (2, 'long')", []],
    ['22003', 'INSERT INTO rows (id) VALUES (3000000000)', []],
    ['22021', 'SELECT ?::text', ['a\0b']],
    ['22P05', `INSERT INTO rows (id, data) VALUES (2, '"\\u0000"')`, []],
    ['22P02', "SELECT 'x'::uuid", []],
    ['21000', 'INSERT INTO parents VALUES (5), (5) ON CONFLICT (id) DO UPDATE SET id = 5', []],
  ])('%s blames a row', async (code, sql, bindings) => {
    const error = await errorOf(sql, bindings);
    expect(error).toMatchObject({ code });
    expect(classifyPostgresError(error)).toBe('permanent');
    expect(reasonOf(error).message).not.toMatch(/INSERT|SELECT/);
  });

  it.each([
    ['42P01', 'SELECT * FROM missing'],
    ['42703', 'SELECT missing FROM rows'],
    ['25006', 'SET TRANSACTION READ ONLY; INSERT INTO rows (id) VALUES (2)'],
  ])('%s blames no row: everything waits', async (code, sql) => {
    const error = await errorOf(sql);
    expect(error).toMatchObject({ code });
    expect(classifyPostgresError(error)).toBe('unavailable');
  });

  it('a lost race is worth another attempt', async () => {
    const failing = async (setting: string, sql: string): Promise<unknown> => {
      const transaction = await knex.transaction();
      const error = await transaction.raw(`SET LOCAL ${setting} = 1; ${sql}`).catch((reason) => reason);
      await transaction.rollback();
      return error;
    };
    expect(classifyPostgresError(await failing('statement_timeout', 'SELECT pg_sleep(1)'))).toBe('transient');
    const holder = await knex.transaction();
    await holder.raw('UPDATE rows SET name = name WHERE id = 1');
    expect(classifyPostgresError(await failing('lock_timeout', 'UPDATE rows SET name = name WHERE id = 1'))).toBe(
      'transient',
    );
    await holder.rollback();
    for (const code of ['40001', '40P01']) expect(classifyPostgresError({ code, message: '' })).toBe('transient');
  });

  it('a connection cut by the server blames no row', async () => {
    const own = createPostgres({ url: database.url, maxConnections: 1 });
    const error = await own.raw('SELECT pg_terminate_backend(pg_backend_pid())').catch((reason) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(classifyPostgresError(error)).toBe('unavailable');
    await own.destroy();
  });

  it('a full pool or nobody at home means that nothing can be written now', async () => {
    const holders = await Promise.all(Array.from({ length: 4 }, () => knex.transaction()));
    expect(classifyPostgresError(await errorOf('SELECT 1'))).toBe('unavailable');
    await Promise.all(holders.map((holder) => holder.rollback()));
    const away = createPostgres({ url: `postgres://postgres@${NOBODY}/x`, acquireTimeoutMs: 1_000 });
    const error = await away.raw('SELECT 1').catch((reason) => reason);
    expect(classifyPostgresError(error)).toBe('unavailable');
    await away.destroy();
  });
});

describe('errors of MongoDB', () => {
  it('tells refused documents from lost races and from a server that is away', async () => {
    expect(classifyMongoError(new MongoServerError({ code: 11000, message: 'E11000 duplicate key' }))).toBe(
      'permanent',
    );
    expect(classifyMongoError(new MongoServerError({ code: 121, message: 'Document failed validation' }))).toBe(
      'permanent',
    );
    expect(classifyMongoError(new MongoServerError({ code: 112, message: 'WriteConflict' }))).toBe('transient');
    expect(classifyMongoError(new MongoServerError({ code: 10107, message: 'NotWritablePrimary' }))).toBe(
      'unavailable',
    );
    const { client, db } = createMongo({ url: `mongodb://${NOBODY}/x`, serverSelectionTimeoutMs: 200 });
    const error = await db.command({ ping: 1 }).catch((reason) => reason);
    expect(classifyMongoError(error)).toBe('unavailable');
    await client.close();
  });

  it('a real duplicate is permanent', async () => {
    const { client, db } = createMongo({ url: process.env.MONGO_URL! });
    const collection = db.collection(`errors_${process.pid}`);
    await collection.createIndex({ name: 1 }, { unique: true });
    await collection.insertOne({ name: 'a' });
    const error = await collection.insertOne({ name: 'a' }).catch((reason) => reason);
    expect(classifyMongoError(error)).toBe('permanent');
    expect(reasonOf(error).code).toBe('11000');
    await collection.drop();
    await client.close();
  });
});
