import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'bullmq';
import { Cluster, Redis } from 'ioredis';
import type { Knex } from 'knex';
import { afterAll, beforeAll, expect } from 'vitest';
import { requestSync } from '../../queues/request-sync.ts';
import type { SyncRun } from '../../queues/sync-runs.ts';
import type { BatchResult } from '../../src/buffer/batch-writer.ts';
import { createEngine, type Engine, type EngineDeps, type EngineSettings, startEngine } from '../../src/engine.ts';
import type { Document, EntityDefinition, Lane } from '../../src/lib/entity.ts';
import type { Receipt, WriteReceipt } from '../../src/lib/write-receipt.ts';
import { createMongo, type Mongo } from '../../src/stores/mongo/connect.ts';
import { createPostgres } from '../../src/stores/postgres/connect.ts';
import { startEngineWorkers } from '../../src/sync-workers.ts';
import type { ChildSettings } from './engine-child.ts';
import { EngineChild } from './engine-process.ts';
import type { Acknowledged } from './oracle.ts';
import { createOwnDatabase, type OwnDatabase } from './own-database.ts';
import { auditRedis, deleteKeys, prefixKeys } from './redis-audit.ts';
import { createTestTables, testEntities } from './test-entities.ts';
import { createTestLog, type TestLog } from './test-log.ts';
import { until } from './until.ts';

export interface TestServers {
  databaseUrl: string;
  redisUrl: string;
  mongoUrl: string;
}

export interface HarnessOptions {
  entities?: readonly EntityDefinition[];
  settings?: Partial<EngineSettings>;
  /** Servers of the test's own instead of those of the run. */
  servers?: Partial<TestServers>;
  /** Keys of a batch at least. */
  batchSize?: number;
}

/** One process's engine on the harness's databases; a test makes more of them to play several processes. */
export interface EngineProcess {
  engine: Engine;
  knex: Knex;
  close(): Promise<void>;
}

/** A row of `outbox_events`. */
export interface StoredEventRow {
  id: string;
  name: string;
  aggregate_id: string;
  payload: Document;
  envelope: Document;
}

/** A dead worker's run is taken over within 20 s, which a busy machine doubles. */
const SYNC_WITHIN_MS = 90_000;
const BETWEEN_RUNS_MS = 20;

/** Servers of the run: the global set-up leaves their addresses in the environment. */
function runServers(): TestServers {
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, MONGO_URL: mongoUrl } = process.env;
  if (!databaseUrl || !redisUrl || !mongoUrl)
    throw new Error('no servers: tests run through npm test, which provides them');
  return { databaseUrl, redisUrl, mongoUrl };
}

/** The engine on real servers with a Redis prefix, a PostgreSQL database and a MongoDB database of its own. */
export class EngineHarness {
  readonly log: TestLog = createTestLog();
  readonly prefix = `t${randomBytes(5).toString('hex')}`;
  readonly servers: TestServers;
  engine!: Engine;
  knex!: Knex;
  /** Results of all batches that workers of this harness wrote, in order. */
  readonly batches: BatchResult[] = [];
  readonly #options: HarnessOptions;
  readonly #processes: EngineProcess[] = [];
  readonly #workers = new Set<Worker>();
  readonly #children: EngineChild[] = [];
  #database!: OwnDatabase;
  /** Looks at keys beside the engine. */
  redis!: Redis | Cluster;

  constructor(options: HarnessOptions = {}) {
    this.#options = options;
    this.servers = { ...runServers(), ...options.servers };
  }

  get databaseUrl(): string {
    return this.#database.url;
  }

  get buffer() {
    return this.engine.buffer;
  }

  get reader() {
    return this.engine.reader;
  }

  async open(): Promise<void> {
    this.#database = await createOwnDatabase(this.servers.databaseUrl);
    const urls = this.servers.redisUrl.split(',');
    this.redis = urls.length === 1 ? new Redis(urls[0]!) : new Cluster(urls);
    this.redis.on('error', () => {}); // a test that kills its server knows
    const { engine, knex } = await this.startProcess();
    this.engine = engine;
    this.knex = knex;
    if (!this.#options.entities) await createTestTables(knex);
  }

  /** A further engine on the same data, as another process would have. */
  async startProcess(
    settings: Partial<EngineSettings> = {},
    deps: Partial<EngineDeps> & { databaseUrl?: string; redisUrl?: string; mongoUrl?: string } = {},
  ): Promise<EngineProcess> {
    const knex = createPostgres({
      url: deps.databaseUrl ?? this.#database.url,
      maxConnections: 12,
      acquireTimeoutMs: 3_000,
    });
    const mongo = this.#mongo(deps.mongoUrl);
    const engine = createEngine(
      {
        redis: {
          urls: (deps.redisUrl ?? this.servers.redisUrl).split(','),
          isCluster: this.servers.redisUrl.includes(','),
          prefix: this.prefix,
        },
        shards: 1,
        compression: { isEnabled: true, algorithm: 'auto' },
        cacheSeconds: 600,
        warmSeconds: 600,
        guard: {
          allowVolatile: false,
          requiredFsync: 'everysec',
          softShare: 0.7,
          hardShare: 0.9,
          fallbackBytes: 2 ** 30,
        },
        writesThrough: false,
        intervalMs: 3_600_000,
        isPatient: false,
        ...this.#options.settings,
        ...settings,
      },
      { entities: this.#options.entities ?? testEntities, knex, db: mongo.db, log: this.log, ...deps },
    );
    const started: EngineProcess = {
      engine,
      knex,
      close: async () => {
        const at = this.#processes.indexOf(started);
        if (at < 0) return;
        this.#processes.splice(at, 1);
        await engine.close();
        await Promise.all([knex.destroy(), mongo.client.close()]);
      },
    };
    this.#processes.push(started);
    await startEngine(engine, this.log);
    return started;
  }

  /** Workers of a process, its own unless told; they end with `stopWorkers`, or at the file's end. */
  async startWorker(engine: Engine = this.engine, parallelBatches = 10): Promise<Worker[]> {
    const workers = await startEngineWorkers(engine, {
      log: this.log,
      parallelBatches,
      batchSize: this.#options.batchSize ?? 100,
      needsSync: async () => undefined,
      observeBatch: (result) => void this.batches.push(result),
      observeRun: () => {},
    });
    for (const worker of workers) this.#workers.add(worker);
    return workers;
  }

  /** @param isForced leaves jobs as a killed process would: active, with a lock that runs out */
  async stopWorkers(isForced = false): Promise<void> {
    const workers = [...this.#workers];
    this.#workers.clear();
    await Promise.all(workers.map((worker) => worker.close(isForced)));
  }

  /** A process of its own on the same data; ended with the harness if the test does not. */
  startChild(
    settings: Partial<ChildSettings> & Pick<ChildSettings, 'role'>,
    onAcknowledged?: (write: Acknowledged) => void,
  ): EngineChild {
    const child = new EngineChild(
      {
        prefix: this.prefix,
        databaseUrl: this.#database.url,
        redisUrl: this.servers.redisUrl,
        mongoUrl: this.mongoUrl,
        shards: this.engine.keys.shards,
        warmSeconds: this.#options.settings?.warmSeconds ?? 600,
        takeover: { lockMs: 1_000, checkMs: 500 },
        ...settings,
      },
      onAcknowledged,
    );
    this.#children.push(child);
    return child;
  }

  put(entity: string, document: Document, options = {}): Promise<Receipt> {
    return this.buffer.put(entity, document, options);
  }

  /** As a service writes, unique values and all. */
  putUnique(entity: string, document: Document, { engine }: { engine: Engine } = this): Promise<WriteReceipt> {
    return engine.writer.put(entity, document);
  }

  remove(entity: string, document: Document): Promise<Receipt> {
    return this.buffer.put(entity, document, { isTombstone: true });
  }

  /** Writes one batch here and now, without a queue. */
  flush(entity: string, keys: readonly string[]): Promise<BatchResult> {
    return this.engine.batchWriter.write(entity, keys);
  }

  /** Requests a run and waits for its summary; needs a worker. */
  async sync(lanes?: Lane[]): Promise<SyncRun> {
    const id = await requestSync(this.engine.queues, 'admin', lanes);
    return until(
      `run ${id}`,
      async () => {
        const run = await this.engine.runs.get(id);
        return run?.state === 'completed' ? run : undefined;
      },
      SYNC_WITHIN_MS,
    );
  }

  /** Syncs until nothing is dirty any more, as hourly runs would; a breaker may need some seconds to close. */
  async syncAll(mostMs = SYNC_WITHIN_MS): Promise<SyncRun[]> {
    const runs: SyncRun[] = [];
    const deadline = Date.now() + mostMs;
    for (;;) {
      runs.push(await this.sync());
      if ((await this.dirty()).length === 0) return runs;
      if (Date.now() > deadline)
        throw new Error(`still dirty after ${runs.length} runs: ${JSON.stringify(runs.at(-1))}`);
      await delay(BETWEEN_RUNS_MS);
    }
  }

  /** Dirty keys of all entities as `entity key`. */
  async dirty(): Promise<string[]> {
    const found: string[] = [];
    for (const { name } of this.engine.registry.all()) {
      for (let shard = 0; shard < this.engine.keys.shards; shard++) {
        for await (const keys of this.buffer.dirtyKeys(name, shard)) found.push(...keys.map((key) => `${name} ${key}`));
      }
    }
    return found;
  }

  async rows(sql: string, bindings: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return (await this.knex.raw(sql, bindings as Knex.Value[])).rows;
  }

  /** Events that stored rows have made, of one aggregate or of all, in their order. */
  async storedEvents(aggregateId?: string): Promise<StoredEventRow[]> {
    const { rows } = await this.knex.raw(
      `SELECT id, name, aggregate_id, payload->'payload' AS payload, payload - 'payload' AS envelope FROM outbox_events
       WHERE aggregate_id = coalesce(?, aggregate_id) ORDER BY seq`,
      [aggregateId ?? null],
    );
    return rows;
  }

  /** Number of rows of a table, deleted ones included. */
  async countRows(table: string): Promise<number> {
    return Number((await this.rows(`SELECT count(*) AS count FROM ${table}`))[0]!.count);
  }

  async mongoDocuments(collection: string): Promise<Record<string, unknown>[]> {
    const mongo = this.#mongo();
    try {
      return await mongo.db.collection(collection).find().toArray();
    } finally {
      await mongo.client.close();
    }
  }

  /** Forgets everything between two examples of a property; processes stay. */
  async clear(): Promise<void> {
    await Promise.all(Object.values(this.engine.queues).map((queue) => queue.obliterate({ force: true })));
    const keep = new Set(
      Array.from({ length: this.engine.keys.shards }, (_, shard) => this.engine.keys.formats(shard)),
    );
    const keys = (await prefixKeys(this.redis, this.prefix)).filter((key) => !keep.has(key.toString()));
    await deleteKeys(this.redis, keys);
    await this.knex.raw('TRUNCATE clubs, club_members, rolls, roll_marks, permits, scans, outbox_events');
    const mongo = this.#mongo();
    await mongo.db.collection('event_logs').deleteMany({});
    await mongo.client.close();
    this.batches.length = 0;
    // Obliterating a queue forgets how many batches may run at once.
    await this.engine.queues.sync.setGlobalConcurrency(1);
    await this.engine.queues['write-batches'].setGlobalConcurrency(10);
  }

  /** Keys of this harness that break a rule of the buffer; empty when all is well. */
  audit(): Promise<string[]> {
    return auditRedis(this.engine, this.redis);
  }

  /** Closes everything; fails when a rule is broken, or a connection or timer outlives its owner. */
  async close(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill()));
    await this.stopWorkers();
    const problems = await this.audit();
    await deleteKeys(this.redis, await prefixKeys(this.redis, this.prefix));
    this.redis.disconnect();
    // The MongoDB database stays: servers of tests are thrown away whole, and dropping it takes the stand-in seconds.
    for (const { close } of [...this.#processes]) await close();
    const sessions = await openSessions(this.servers.databaseUrl, this.#database.url);
    await this.#database.drop();
    expect(problems, 'Redis keys break a rule').toEqual([]);
    expect(sessions, 'sessions of PostgreSQL left open').toBe(0);
    await until(
      'sockets to close',
      async () => (openSockets(this.servers.redisUrl) <= socketsOfOthers() ? true : undefined),
      5_000,
    );
  }

  get mongoUrl(): string {
    return Object.assign(new URL(this.servers.mongoUrl), { pathname: `/${this.prefix}` }).href;
  }

  #mongo(url = this.mongoUrl): Mongo {
    return createMongo({
      url,
      serverSelectionTimeoutMs: 2_000,
    });
  }
}

let openHarnesses = 0;
/** With another harness open in this process, its sockets cannot be told apart. */
const socketsOfOthers = (): number => (openHarnesses > 1 ? Number.POSITIVE_INFINITY : 0);

/** Sockets of this process to a server. */
function openSockets(redisUrl: string): number {
  const ports = new Set(redisUrl.split(',').map((url) => Number(new URL(url).port)));
  // Not in the types: it is for debugging, and here the only way to see what a library has left behind.
  const handles = (
    process as unknown as { _getActiveHandles(): { remotePort?: number; destroyed?: boolean }[] }
  )._getActiveHandles();
  return handles.filter(({ remotePort, destroyed }) => remotePort !== undefined && !destroyed && ports.has(remotePort))
    .length;
}

async function openSessions(serverUrl: string, databaseUrl: string): Promise<number> {
  const knex = createPostgres({ url: serverUrl, maxConnections: 1 });
  const name = new URL(databaseUrl).pathname.slice(1);
  try {
    return await until(
      'sessions to end',
      async () => {
        const { rows } = await knex.raw(
          "SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = ? AND backend_type = 'client backend'",
          [name],
        );
        return rows[0].count === 0 ? 0 : undefined;
      },
      5_000,
    );
  } finally {
    await knex.destroy();
  }
}

/** Opens an engine for a test file and closes it afterwards. */
export function useHarness(options: HarnessOptions = {}): EngineHarness {
  const harness = new EngineHarness(options);
  beforeAll(async () => {
    openHarnesses++;
    await harness.open();
  });
  afterAll(async () => {
    await harness.close();
    openHarnesses--;
  });
  return harness;
}
