import { Cluster, type ClusterNode, Redis, type RedisOptions } from 'ioredis';
import type { Knex } from 'knex';
import type { Db } from 'mongodb';
import { addFailedJob } from '../queues/failed-jobs.ts';
import { closeQueues, createQueues, type Queues } from '../queues/index.ts';
import { Pointers } from '../queues/pointers.ts';
import { requestSync } from '../queues/request-sync.ts';
import { SyncRuns } from '../queues/sync-runs.ts';
import { UrgentBatches } from '../queues/urgent-batches.ts';
import { failedWriteJobId } from '../queues/write-batches.queue.ts';
import { Barrier } from './buffer/barrier.ts';
import { BatchWriter, type StoreDirectory } from './buffer/batch-writer.ts';
import { chooseCodec } from './buffer/codec/codecs.ts';
import { DocumentCodec } from './buffer/document-codec.ts';
import { FailedWrites } from './buffer/failed-writes.ts';
import { Formats } from './buffer/format.ts';
import { BufferGuard, type GuardOptions, type Pressure } from './buffer/guard.ts';
import { BufferKeys } from './buffer/keys.ts';
import { Reader } from './buffer/reader.ts';
import { Reservations } from './buffer/reservations.ts';
import { COMMIT_COMMAND } from './buffer/scripts.ts';
import { WriteBuffer } from './buffer/write-buffer.ts';
import { WriteStates } from './buffer/write-states.ts';
import { Writer } from './buffer/writer.ts';
import { Cache } from './cache/cache.ts';
import { classifyMongoError, classifyPostgresError } from './errors/driver-errors.ts';
import type { EntityDefinition } from './lib/entity.ts';
import { EntityRegistry } from './lib/entity-registry.ts';
import type { Log } from './lib/log.ts';
import { AudienceNews } from './live/audience-news.ts';
import { Channels } from './live/channels.ts';
import { EventLog } from './live/event-log.ts';
import { PlatformAlerts } from './live/platform-alerts.ts';
import { UserStreams } from './live/user-streams.ts';
import { WriteNews } from './live/write-news.ts';
import { CircuitBreaker } from './stores/circuit-breaker.ts';
import { Rows } from './stores/postgres/rows.ts';
import { MongoSink } from './stores/sinks/mongo-sink.ts';
import { PostgresSink } from './stores/sinks/postgres-sink.ts';

export interface EngineSettings {
  redis: {
    /** One URL of a server, or those of some nodes of a cluster. */
    urls: readonly string[];
    isCluster: boolean;
    /** Namespace of all keys; tests have their own. */
    prefix: string;
  };
  /** Another Redis for cached answers; it may evict, and be away. */
  cacheUrl?: string | undefined;
  /** TTL of cached answers whose kind has none of its own. */
  cacheSeconds: number;
  shards: number;
  /** Connections that the shards' commits are spread over; one unless told. */
  poolSize?: number;
  compression: { isEnabled: boolean; algorithm: string };
  /** TTL of stored documents kept for reads. */
  warmSeconds: number;
  guard: GuardOptions;
  /** While the buffer takes no writes they go through it to their database, instead of being refused. */
  writesThrough: boolean;
  /** Time between sync runs. */
  intervalMs: number;
  /** Commands of the buffer wait for Redis when it is away, instead of failing at once: workers. */
  isPatient: boolean;
}

export interface EngineDeps {
  entities: readonly EntityDefinition[];
  knex: Knex;
  /** Where lists are read, when there is a replica. */
  readKnex?: Knex;
  db: Db;
  log: Log;
  onPressure?: (pressure: Pressure) => void;
  observeCache?: (name: string, isHit: boolean) => void;
}

/** Everything between a service and the databases, built once a process. */
export interface Engine {
  redis: Redis;
  /** Connections of the shards' commits in turn; the first is `redis`. */
  pool: readonly Redis[];
  registry: EntityRegistry;
  keys: BufferKeys;
  formats: Formats;
  buffer: WriteBuffer;
  reader: Reader;
  /** How services write. */
  writer: Writer;
  barrier: Barrier;
  writeStates: WriteStates;
  /** What processes tell each other at once. */
  channels: Channels;
  /** What becomes of clients' writes. */
  writeNews: WriteNews;
  /** Events on their way to their consumers. */
  eventLog: EventLog;
  /** What admins should look at. */
  alerts: PlatformAlerts;
  /** What users' clients are told. */
  userStreams: UserStreams;
  audienceNews: AudienceNews;
  /** Answers that may be lost at any time. */
  cache: Cache;
  /** Answers that are wanted while PostgreSQL is away: with the buffer, where nothing is evicted. */
  keptCache: Cache;
  /** The cache's own server, where it has one. */
  cacheRedis: Redis | undefined;
  guard: BufferGuard;
  queues: Queues;
  pointers: Pointers;
  runs: SyncRuns;
  failedWrites: FailedWrites;
  reservations: Reservations;
  batchWriter: BatchWriter;
  stores: StoreDirectory;
  /** Time between sync runs. */
  intervalMs: number;
  /** A further connection of the same kind, for workers and subscribers. */
  connect(options?: RedisOptions): Redis;
  /** Waits for commits and pointers under way, then closes queues and connections. */
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A connection that owes an answer for this long is given up: its peer may have gone without a word. */
const SILENCE_MS = 5_000;
/** The same where workers block, for 10 s at most. */
const BLOCKED_SILENCE_MS = 12_000;
/** A dead Redis must fail a request, not hold it. */
const COMMAND_TIMEOUT_MS = 5_000;
/** What the cache does not say by then, the database is asked for. */
const CACHE_TIMEOUT_MS = 250;
const CACHE_SILENCE_MS = 1_000;
const RECONNECT_MOST_MS = 1_000;

type RedisServer = Pick<EngineSettings['redis'], 'urls' | 'isCluster'>;

function connect({ urls, isCluster }: RedisServer, options: RedisOptions): Redis {
  const shared: RedisOptions = {
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: BLOCKED_SILENCE_MS,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 6), RECONNECT_MOST_MS),
    ...options,
  };
  if (!isCluster) return new Redis(urls[0]!, shared);
  const nodes: ClusterNode[] = urls.map((url) => {
    const { hostname, port } = new URL(url);
    return { host: hostname, port: Number(port) };
  });
  // A cluster has the commands of a server that the engine uses; its type says so only in part.
  // No automatic pipelines here: they would be grouped by a script's number of keys instead of by its slot.
  const { enableAutoPipelining: _, ...redisOptions } = shared;
  return new Cluster(nodes, { redisOptions }) as unknown as Redis;
}

/** Builds the engine; nothing is read or written until `startEngine`. */
export function createEngine(settings: EngineSettings, deps: EngineDeps): Engine {
  const { log } = deps;
  const connections: Redis[] = [];
  const open = (options: RedisOptions = {}, server: RedisServer = settings.redis): Redis => {
    const redis = connect(server, options);
    redis.on('error', (error) => log.warn('redis connection', { error: error.message }));
    connections.push(redis);
    return redis;
  };
  const bufferOptions: RedisOptions = {
    enableAutoPipelining: true,
    // A commit is a group already; a pipeline of one would copy it once more.
    autoPipeliningIgnoredCommands: [COMMIT_COMMAND],
    socketTimeout: SILENCE_MS,
    ...(settings.isPatient
      ? // What workers send may be sent again: a command whose answer a broken connection took must not be waited for in vain.
        { maxRetriesPerRequest: null, autoResendUnfulfilledCommands: true }
      : {
          // Writes are never sent twice behind the caller's back: an unknown outcome is the caller's to repeat.
          maxRetriesPerRequest: 1,
          autoResendUnfulfilledCommands: false,
          enableOfflineQueue: false,
          commandTimeout: COMMAND_TIMEOUT_MS,
        }),
  };
  const pool = Array.from({ length: settings.poolSize ?? 1 }, () => open(bufferOptions));
  const redis = pool[0]!;
  const registry = new EntityRegistry(deps.entities);
  const keys = new BufferKeys(settings.redis.prefix, settings.shards);
  const formats = new Formats(redis, keys, registry);
  const codec = new DocumentCodec(
    formats,
    registry,
    chooseCodec(settings.compression.algorithm, settings.compression.isEnabled),
  );
  // Copies of what a database has are worth memory only while the buffer does not need it.
  const hasRoom = (): boolean => guard.pressure === 'normal';
  const buffer = new WriteBuffer({
    redis,
    pool,
    keys,
    registry,
    codec,
    warmSeconds: settings.warmSeconds,
    mayKeep: hasRoom,
  });
  const cacheRedis =
    settings.cacheUrl === undefined
      ? undefined
      : open(
          {
            enableAutoPipelining: true,
            enableOfflineQueue: false,
            maxRetriesPerRequest: 0,
            autoResendUnfulfilledCommands: false,
            commandTimeout: CACHE_TIMEOUT_MS,
            socketTimeout: CACHE_SILENCE_MS,
          },
          { urls: [settings.cacheUrl], isCluster: false },
        );
  const answers = {
    redis,
    keyOf: (name: string) => keys.copy(name),
    ttlSeconds: settings.cacheSeconds,
    observe: deps.observeCache,
  };
  const keptCache = new Cache({ ...answers, mayStore: hasRoom });
  const cache = cacheRedis ? new Cache({ ...answers, answers: cacheRedis }) : keptCache;
  const rows = new Rows(deps.readKnex ?? deps.knex);
  const reader = new Reader({ buffer, rows, cache, registry });
  const queueConnection = open({
    socketTimeout: SILENCE_MS,
    ...(settings.isPatient ? { maxRetriesPerRequest: null } : { maxRetriesPerRequest: 1, enableOfflineQueue: false }),
  });
  const onQueueError = (error: Error) => log.warn('queue connection', { error: error.message });
  const queues = createQueues(queueConnection, (name) => keys.queue(name), onQueueError);
  const pointers = new Pointers(queues, (error) => log.debug('pointer not added', { error: error.message }));
  const guard = new BufferGuard(redis, settings.guard, ({ pressure, problems }) => {
    if (pressure) {
      log[pressure === 'normal' ? 'info' : 'warn']('buffer memory', { pressure, ...guard.memory });
      deps.onPressure?.(pressure);
    }
    if (problems && problems.length > 0) log.error('redis could lose acknowledged writes', { problems });
  });
  const urgent = new UrgentBatches(queues, (error) => log.warn('urgent batch not added', { error: error.message }));
  buffer.onCommit((entity, keysOfCommit, shard, bytes) => {
    if (registry.get(entity).lane === 'urgent') urgent.note(entity, keysOfCommit, shard);
    pointers.note(entity, shard, Date.now());
    guard.noteWritten(bytes);
  });

  const postgres = new PostgresSink(deps.knex);
  const mongo = new MongoSink(deps.db);
  const onBreaker = (store: string) => (isOpen: boolean, cause?: unknown) => {
    if (isOpen) {
      log.error('store is unavailable; its writes wait in the buffer', {
        store,
        error: (cause as Error | undefined)?.message,
      });
      return;
    }
    log.info('store is back', { store });
    void requestSync(queues, 'recovered').catch(onQueueError);
  };
  const stores: StoreDirectory = {
    postgres: {
      sink: postgres,
      breaker: new CircuitBreaker('postgres', () => postgres.ping(), classifyPostgresError, onBreaker('postgres')),
    },
    mongo: {
      sink: mongo,
      breaker: new CircuitBreaker('mongo', () => mongo.ping(), classifyMongoError, onBreaker('mongo')),
    },
  };
  const failedWrites = new FailedWrites(redis, buffer, registry);
  const reservations = new Reservations(redis, buffer);
  const batchWriter = new BatchWriter({
    buffer,
    failedWrites,
    reservations,
    registry,
    stores,
    log,
    failedJobId: failedWriteJobId,
    onFailed: async (entity, key, jobId, code) => {
      await addFailedJob(queues, entity, key, jobId);
      await alerts.writeFailed({ entity, key, error: code }, Date.now());
    },
    onReleased: async () => void (await requestSync(queues, 'released')),
    announce: (news) => writeNews.announce(news),
  });
  const writeStates = new WriteStates({ buffer, registry, stores });
  const channels = new Channels({
    publisher: redis,
    // A listener must not wait for a Redis that is away: its client is told to come back.
    connect: () =>
      open({ socketTimeout: SILENCE_MS, maxRetriesPerRequest: 1, connectionName: keys.channel('subscriber') }),
  });
  const eventLog = new EventLog({ redis, keys, channels });
  const alerts = new PlatformAlerts({ redis, keys, eventLog, log });
  const writeNews = new WriteNews({ channels, keys, states: writeStates });

  const barrier = new Barrier({ buffer, batchWriter, registry });
  const isBufferShut = (): boolean => settings.writesThrough && !guard.isAccepting;
  const { intervalMs } = settings;

  return {
    redis,
    pool,
    registry,
    keys,
    formats,
    buffer,
    reader,
    writer: new Writer({ buffer, eventLog, reservations, barrier, registry, stores, isBufferShut, intervalMs }),
    barrier,
    writeStates,
    channels,
    writeNews,
    userStreams: new UserStreams({ redis, keys, channels }),
    audienceNews: new AudienceNews({ channels, keys }),
    eventLog,
    alerts,
    cache,
    keptCache,
    cacheRedis,
    guard,
    queues,
    pointers,
    runs: new SyncRuns(redis, keys),
    failedWrites,
    reservations,
    batchWriter,
    stores,
    intervalMs,
    connect: open,
    async close() {
      guard.stop();
      channels.close();
      await buffer.drain();
      await pointers.drain();
      await urgent.drain();
      for (const { breaker } of Object.values(stores)) breaker.close();
      await closeQueues(queues);
      for (const connection of connections) connection.disconnect();
    },
  };
}

/**
 * Checks what the engine rests on and publishes its formats; call before the first write.
 *
 * @throws VolatileBufferError when Redis could lose acknowledged writes
 * @throws MissingUpcastError when buffered payloads have a shape that nothing lifts
 */
export async function startEngine(engine: Engine, log: Log): Promise<void> {
  await Promise.all(engine.pool.map(ready));
  const durability = await engine.guard.start();
  for (const warning of durability.warnings) log.warn('redis setting', { warning });
  await engine.formats.publish();
  await checkShapes(engine);
}

export class MissingUpcastError extends Error {
  override name = 'MissingUpcastError';
}

/** A deploy must read what its predecessors buffered (FAILURES 19). */
async function checkShapes({ formats, registry, buffer }: Engine): Promise<void> {
  const counts = new Map((await buffer.stats()).map(({ entity, entries }) => [entity, entries]));
  for (const { entity: name, shape } of await formats.stored()) {
    const entity = registry.find(name);
    // An entity of another service's deployment is not this process's to read.
    if (!entity || (counts.get(name) ?? 0) === 0) continue;
    if (shape > entity.shape)
      throw new MissingUpcastError(
        `${name} is buffered in shape ${shape}; this program knows ${entity.shape}: deploy the newer one, or sync first`,
      );
    for (let from = shape; from < entity.shape; from++) {
      if (!entity.upcast?.[from])
        throw new MissingUpcastError(`${name} is buffered in shape ${shape} and has no upcast from shape ${from}`);
    }
  }
}

async function ready(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Redis did not answer within 10 s: check REDIS_URL')), 10_000);
    redis.once('ready', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
