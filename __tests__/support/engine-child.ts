import { startWorkers } from '../../processors/index.ts';
import { createEngine, startEngine } from '../../src/engine.ts';
import { createMongo } from '../../src/stores/mongo/connect.ts';
import { createPostgres } from '../../src/stores/postgres/connect.ts';
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
  takeover?: { lockMs: number; checkMs: number };
  seed?: number;
  name?: string;
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
    warmSeconds: 600,
    guard: { allowVolatile: false, requiredFsync: 'everysec', softShare: 0.7, hardShare: 0.9, fallbackBytes: 2 ** 30 },
    isPatient: isWorker,
  },
  { entities: testEntities, knex, db: mongo.db, log },
);
await startEngine(engine, log);
if (isWorker) {
  const workers = await startWorkers(
    {
      connect: () => engine.connect({ maxRetriesPerRequest: null }),
      prefixOf: (queue) => engine.keys.queue(queue),
      queues: engine.queues,
      parallelBatches: 10,
      log,
      ...(settings.takeover ? { takeover: settings.takeover } : {}),
    },
    {
      buffer: engine.buffer,
      batchWriter: engine.batchWriter,
      failedWrites: engine.failedWrites,
      registry: engine.registry,
      queues: engine.queues,
      runs: engine.runs,
      log,
      batchSize: 20,
      usedMemory: async () => 0,
      needsSync: async () => undefined,
      observeBatch: (result) => say({ batch: result }),
      observeRun: () => {},
    },
  );
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
