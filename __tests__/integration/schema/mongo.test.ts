import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Collection } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMongo, type Mongo } from '../../../src/stores/mongo/connect.ts';
import { ensureIndexes, type IndexReport } from '../../../src/stores/mongo/indexes.ts';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { describeServers } from '../../../src/stores/server-info.ts';

/** `mongodb://host/` with another database name, options kept. */
const withDatabase = (url: string, name: string): string =>
  url.replace(/^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?/, `$1/${name}`);

describe('MongoDB', () => {
  let mongo: Mongo;
  let report: IndexReport[];

  beforeAll(async () => {
    mongo = createMongo({ url: withDatabase(process.env.MONGO_URL!, `test_${randomBytes(6).toString('hex')}`) });
    report = await ensureIndexes(mongo.db);
  });
  afterAll(async () => {
    await mongo.db.dropDatabase();
    await mongo.client.close();
  });

  const collection = (name: string): Collection<{ _id: string } & Record<string, unknown>> => mongo.db.collection(name);

  it('uses the database of the URL, schools24 when it names none', async () => {
    expect(mongo.db.databaseName).toMatch(/^test_/);
    const unnamed = createMongo({ url: 'mongodb://127.0.0.1:1' });
    expect(unnamed.db.databaseName).toBe('schools24');
    await unnamed.client.close();
  });

  it('has every index that it reports as present, and no other', async () => {
    for (const name of new Set(report.map((entry) => entry.collection))) {
      const present = (await mongo.db.collection(name).indexes())
        .map((index) => index.name)
        .filter((index) => index !== '_id_');
      const reported = report
        .filter((entry) => entry.collection === name && entry.state === 'present')
        .map((entry) => entry.name);
      expect(present.sort()).toEqual(reported.sort());
    }
  });

  it('refuses nothing but text indexes, and says why', () => {
    for (const { name, reason } of report.filter(({ state }) => state === 'refused')) {
      expect(name).toMatch(/_text_idx$/);
      expect(reason).toMatch(/text/);
    }
    expect(report.filter(({ state }) => state === 'present').length).toBeGreaterThanOrEqual(15);
  });

  it('may be asked again, by several at once', async () => {
    expect(await Promise.all([ensureIndexes(mongo.db), ensureIndexes(mongo.db)])).toEqual([report, report]);
  });

  it.each([
    ['notification_archive', { user_id: 'u', dedupe_key: 'homework:1:2025-09-10' }],
    ['questions', { question_id: 'q', rev: 1 }],
    ['report_templates', { kind: 'fee_receipt', name: 'plain', rev: 1 }],
  ])('keeps %s unique', async (name, document) => {
    await collection(name).insertOne({ _id: 'first', ...document });
    await expect(collection(name).insertOne({ _id: 'second', ...document })).rejects.toMatchObject({ code: 11_000 });
  });

  it('fails within the selection timeout when the server is down', async () => {
    const down = createMongo({ url: 'mongodb://127.0.0.1:1', serverSelectionTimeoutMs: 100 });
    await expect(ensureIndexes(down.db)).rejects.toThrow('ECONNREFUSED');
    await down.client.close();
  });

  it('is told apart from its stand-ins, like the other servers', async () => {
    const knex = createPostgres({ url: process.env.DATABASE_URL! });
    const redis = new Redis(process.env.REDIS_URL!);
    const [postgres, mongod, cache] = await describeServers({ knex, db: mongo.db, redis });
    expect(postgres).toMatchObject({
      name: 'postgres',
      kind: 'PostgreSQL',
      version: expect.stringMatching(/^\d+\.\d+/),
    });
    const { secantusVersion, version } = await mongo.db.command({ buildInfo: 1 });
    expect(mongod).toEqual({
      name: 'mongo',
      kind: secantusVersion ? 'SecantusDB' : 'MongoDB',
      version: secantusVersion ?? version,
    });
    expect(cache).toMatchObject({ name: 'redis', version: expect.stringMatching(/^\d+\.\d+/) });
    await knex.destroy();
    redis.disconnect();
  });

  it('reports a server that does not answer instead of failing', async () => {
    const knex = createPostgres({ url: 'postgres://127.0.0.1:1/x' });
    const redis = new Redis(process.env.REDIS_URL!);
    const [postgres, mongod] = await describeServers({ knex, db: mongo.db, redis });
    expect(postgres).toEqual({
      name: 'postgres',
      kind: 'unknown',
      version: null,
      error: expect.stringContaining('ECONNREFUSED'),
    });
    expect(mongod!.error).toBeUndefined();
    await knex.destroy();
    redis.disconnect();
  });
});
