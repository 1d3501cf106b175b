import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestSync } from '../../queues/request-sync.ts';
import { WRITE_BATCHES } from '../../queues/write-batches.queue.ts';
import { classifyPostgresError } from '../../src/errors/driver-errors.ts';
import { createPostgres } from '../../src/stores/postgres/connect.ts';
import { Rows } from '../../src/stores/postgres/rows.ts';
import { PostgresSink } from '../../src/stores/sinks/postgres-sink.ts';
import { sourceOf } from '../../src/stores/sinks/sink.ts';
import { useHarness } from '../support/engine-harness.ts';
import { Load, random } from '../support/load.ts';
import { Oracle } from '../support/oracle.ts';
import { startOwnServer } from '../support/own-server.ts';
import { chaosSeed } from '../support/seed.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { buildClub, buildEvent, clubEntity, eventLogEntity } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

const postgres = await startOwnServer('postgres');
afterAll(() => postgres.close());

describe('FAILURES 5: PostgreSQL is killed, and down for longer than any TTL', () => {
  const h = useHarness({ servers: { databaseUrl: postgres.url }, settings: { warmSeconds: 1 } });

  it('writes are taken, nothing unsynced has a TTL, nothing fails for good, all is stored afterwards', {
    timeout: 60_000,
  }, async () => {
    const seed = chaosSeed();
    const oracle = new Oracle();
    const worker = h.startChild({ role: 'worker' });
    await worker.ready();
    const load = new Load(h.buffer, { seed, onAcknowledged: (write) => oracle.note(write) }).start();
    await delay(150);
    await requestSync(h.engine.queues, 'admin');
    await postgres.kill();
    const before = oracle.count;
    // Three runs find the database down.
    for (let round = 0; round < 3; round++) {
      const run = await h.sync();
      expect(run.failed).toBe(0);
      expect(
        run.entities.filter(({ entity }) => entity !== 'event_log').every(({ stored }) => stored === 0 || round === 0),
      ).toBe(true);
    }
    expect(oracle.count).toBeGreaterThan(before);
    await load.stop();
    // Warm copies of one second are gone by now; what is not stored has none to lose.
    await until('copies to expire', async () =>
      (await h.redis.keys(`${h.prefix}*:w:*`)).length === 0 ? true : undefined,
    );
    expect(await h.audit()).toEqual([]);
    expect(await h.engine.queues[WRITE_BATCHES].getFailedCount()).toBe(0);
    await postgres.start();
    await h.syncAll();
    await worker.kill();
    expect(await oracle.losses(h), `seed ${seed}`).toEqual([]);
  });
});

describe('FAILURES 10: connections are cut or go dead', () => {
  const h = useHarness({ servers: { databaseUrl: postgres.url } });
  let toPostgres: TcpProxy;
  let toMongo: TcpProxy;
  beforeAll(async () => {
    toPostgres = await TcpProxy.open(h.databaseUrl);
    toMongo = await TcpProxy.open(h.mongoUrl);
  });
  afterAll(() => Promise.all([toPostgres.close(), toMongo.close()]));

  it('cut after the database has committed and before it could say so: the retry changes nothing', async () => {
    const { engine } = await h.startProcess({}, { databaseUrl: toPostgres.url, mongoUrl: toMongo.url });
    const clubs = Array.from({ length: 20 }, () => buildClub());
    const versions = new Map<unknown, number>();
    for (const club of clubs) versions.set(club.id, (await h.put('club', club)).version);
    const cut = toPostgres.cutBeforeAnswerTo((data) => data.includes('INSERT INTO "clubs"'));
    const result = await engine.batchWriter.write(
      'club',
      clubs.map(({ id }) => String(id)),
    );
    await cut;
    expect(result).toMatchObject({ stored: 0, left: 20, failed: 0 });
    const rows = () => h.rows('SELECT id, version, xmin::text FROM clubs ORDER BY id');
    const before = await until('the commit', async () => ((await h.countRows('clubs')) === 20 ? rows() : undefined));
    await until('the breaker to close', async () => (engine.stores.postgres.breaker.isOpen ? undefined : true));
    expect(
      await engine.batchWriter.write(
        'club',
        clubs.map(({ id }) => String(id)),
      ),
    ).toMatchObject({ stored: 20, failed: 0 });
    // The very same rows: not even written again.
    expect(await rows()).toEqual(before);
    for (const { id, version } of before) expect(version).toBe(versions.get(id));
    expect(await h.dirty()).toEqual([]);
  });

  it.each(['cutBeforeAnswerTo', 'cutInsteadOf'] as const)(
    'the same with MongoDB, and before it has heard of the batch (%s)',
    async (how) => {
      const { engine } = await h.startProcess({}, { databaseUrl: toPostgres.url, mongoUrl: toMongo.url });
      const events = Array.from({ length: 10 }, () => buildEvent());
      const oracle = new Oracle();
      for (const event of events) oracle.noteReceipt(eventLogEntity, event, (await h.put('event_log', event)).version);
      const keys = events.map(({ id }) => String(id));
      const cut = toMongo[how]((data) => data.includes('event_logs'));
      await engine.batchWriter.write('event_log', keys).catch(() => {});
      await cut;
      await until('MongoDB to be written', async () => {
        await engine.batchWriter.write('event_log', keys);
        return (await h.dirty()).length === 0 ? true : undefined;
      });
      expect(await oracle.losses(h)).toEqual([]);
      expect((await h.mongoDocuments('event_logs')).filter(({ _id }) => keys.includes(String(_id)))).toHaveLength(10);
    },
  );

  it('a connection to MongoDB breaks with a batch on its way: only what is there counts as stored', {
    timeout: 60_000,
  }, async () => {
    const { engine } = await h.startProcess({}, { databaseUrl: toPostgres.url, mongoUrl: toMongo.url });
    const entity = engine.registry.get('event_log');
    const counted: string[] = [];
    // Where exactly it breaks decides what the driver's error looks like; one kind names no write at all.
    for (let round = 0; round < 72; round++) {
      const writes = Array.from({ length: 40 }, () => buildEvent()).map((event) => ({
        key: String(event.id),
        version: 1,
        isDeleted: false,
        source: sourceOf(event),
        fields: [],
      }));
      const written = engine.stores.mongo.sink.write(entity, writes).catch(() => undefined);
      await delay((round % 12) * 2);
      toMongo.cut();
      counted.push(...((await written)?.stored ?? []));
    }
    const stored = new Set((await h.mongoDocuments('event_logs')).map(({ _id }) => String(_id)));
    expect(counted.length).toBeGreaterThan(0);
    expect(counted.filter((key) => !stored.has(key))).toEqual([]);
  });

  it('a dead connection to PostgreSQL holds a batch for bounded time only, and is not used again', async () => {
    const knex = createPostgres({ url: toPostgres.url, maxConnections: 1, acquireTimeoutMs: 1_000 });
    const sink = new PostgresSink(knex, { timeoutMs: 300 });
    const rows = new Rows(knex, { timeoutMs: 300 });
    const club = buildClub();
    const write = { key: String(club.id), version: 1, isDeleted: false, source: sourceOf(club), fields: [] };
    await sink.ping();
    toPostgres.hold();
    const failure = await sink.write(clubEntity, [write]).catch((error) => error);
    expect(classifyPostgresError(failure)).toBe('unavailable');
    expect(classifyPostgresError(await rows.get(clubEntity, String(club.id)).catch((error) => error))).toBe(
      'unavailable',
    );
    toPostgres.resume();
    // The pool has one place: the dead connection has left it.
    expect(await sink.write(clubEntity, [write])).toMatchObject({ stored: [club.id] });
    expect((await rows.get(clubEntity, String(club.id)))?.version).toBe(1);
    await knex.destroy();
  });

  it('cuts at random while runs go on', { timeout: 60_000 }, async () => {
    const seed = chaosSeed();
    const next = random(seed);
    const oracle = new Oracle();
    const worker = h.startChild({ role: 'worker', databaseUrl: toPostgres.url, mongoUrl: toMongo.url });
    await worker.ready();
    const load = new Load(h.buffer, { seed, onAcknowledged: (write) => oracle.note(write) }).start();
    for (let round = 0; round < 15; round++) {
      await requestSync(h.engine.queues, 'admin');
      await delay(next() * 80);
      (next() < 0.7 ? toPostgres : toMongo).cut();
    }
    await load.stop();
    await h.syncAll();
    await worker.kill();
    expect(await oracle.losses(h), `seed ${seed}`).toEqual([]);
  });
});
