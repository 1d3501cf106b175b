import { createEngine, startEngine } from '../../src/engine.ts';
import { createMongo } from '../../src/stores/mongo/connect.ts';
import { createPostgres } from '../../src/stores/postgres/connect.ts';
import { startEngineWorkers } from '../../src/sync-workers.ts';
import { Load } from './load.ts';
import { testEntities } from './test-entities.ts';

/** What a test tells a process of the engine; see engine-process.ts. */
export interface ChildSettings {
  role: 'worker' | 'writer';
  prefix: string;
  databaseUrl: string;
  redisUrl: string;
  mongoUrl: string;
  shards: number;
  warmSeconds?: number;
  takeover?: { lockMs: number; checkMs: number };
  seed?: number;
  /** Clubs that a writer writes. */
  clubs?: number;
  name?: string;
  /** Where a worker's first batch of clubs meets its end, or (stop) stands still until SIGCONT. */
  fate?: { at: 'before write' | 'after write' | 'while clearing'; signal: 'SIGKILL' | 'SIGSTOP' };
}

/** Sends this process a signal at one moment of its first batch of clubs. */
function meet({ at, signal }: NonNullable<ChildSettings['fate']>): void {
  let isMet = false;
  const strike = (): void => {
    if (isMet) return;
    isMet = true;
    say({ struck: at });
    process.kill(process.pid, signal);
  };
  const { sink } = engine.stores.postgres;
  const write = sink.write.bind(sink);
  sink.write = async (entity, writes) => {
    if (entity.name !== 'club') return write(entity, writes);
    if (at === 'before write') strike();
    const outcome = await write(entity, writes);
    if (at === 'after write') strike();
    return outcome;
  };
  const acknowledge = engine.buffer.acknowledge.bind(engine.buffer);
  engine.buffer.acknowledge = (entity, writes, resolution) => {
    const answer = acknowledge(entity, writes, resolution);
    // Sent at the end of this turn of the event loop, killed in the next: Redis may have it or not.
    if (at === 'while clearing' && entity === 'club') setImmediate(strike);
    return answer;
  };
}

const settings = JSON.parse(process.env.ENGINE_CHILD!) as ChildSettings;
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const log = {
  debug: () => {},
  info: () => {},
  warn: (message: string, fields?: object) => say({ log: 'warn', message, fields }),
  error: (message: string, fields?: object) => say({ log: 'error', message, fields }),
};
const isWorker = settings.role === 'worker';
const urls = settings.redisUrl.split(',');
const knex = createPostgres({ url: settings.databaseUrl, maxConnections: 12, acquireTimeoutMs: 3_000 });
const mongo = createMongo({ url: settings.mongoUrl, serverSelectionTimeoutMs: 2_000 });
const engine = createEngine(
  {
    redis: { urls, isCluster: urls.length > 1, prefix: settings.prefix },
    shards: settings.shards,
    compression: { isEnabled: true, algorithm: 'auto' },
    cacheSeconds: 600,
    warmSeconds: settings.warmSeconds ?? 600,
    guard: { allowVolatile: false, requiredFsync: 'everysec', softShare: 0.7, hardShare: 0.9, fallbackBytes: 2 ** 30 },
    writesThrough: false,
    intervalMs: 3_600_000,
    isPatient: isWorker,
  },
  { entities: testEntities, knex, db: mongo.db, log },
);
await startEngine(engine, log);
if (settings.fate) meet(settings.fate);
if (isWorker) {
  const workers = await startEngineWorkers(engine, {
    log,
    parallelBatches: 10,
    batchSize: 20,
    usedMemory: async () => 0,
    needsSync: async () => undefined,
    observeBatch: (result) => say({ batch: result }),
    observeRun: () => {},
    ...(settings.takeover ? { takeover: settings.takeover } : {}),
  });
  process.once('SIGTERM', async () => {
    await Promise.all(workers.map((worker) => worker.close()));
    await engine.close();
    await knex.destroy();
    await mongo.client.close();
    process.exit(0);
  });
} else {
  const load = new Load(engine.buffer, {
    seed: settings.seed ?? 1,
    clubs: settings.clubs ?? 40,
    ...(settings.name ? { name: settings.name } : {}),
    onAcknowledged: (write) => say({ acknowledged: write }),
    onRefused: (error) => say({ refused: error.message }),
  }).start();
  process.once('SIGTERM', async () => {
    await load.stop();
    await engine.close();
    await knex.destroy();
    await mongo.client.close();
    process.exit(0);
  });
}
say({ ready: true });
