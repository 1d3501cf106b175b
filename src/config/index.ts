import { join } from 'node:path';
import { type Environment, readEnvironment } from './environment.ts';

export { ConfigError, type SigningKey } from './environment.ts';

/** The settings of this process: validated, grouped by who uses them, frozen. */
export type Config = ReturnType<typeof group>;

const MS = 1_000;

function group(env: Environment) {
  return {
    env: env.NODE_ENV,
    isProduction: env.NODE_ENV === 'production',
    /** Folder for what a development process keeps, such as its signing key. */
    dataDir: env.DATA_DIR,
    log: { level: env.LOG_LEVEL },
    sentry: { dsn: env.SENTRY_DSN },
    metrics: { isEnabled: env.ENABLE_PROMETHEUS, port: env.PROMETHEUS_PORT },
    http: {
      host: env.HOST,
      port: env.PORT,
      /** API processes on this host. */
      processes: env.WEB_CONCURRENCY,
      /** Reverse proxies in front whose X-Forwarded-For is believed. */
      trustedProxies: env.TRUST_PROXY,
      /** Names of the services this process answers for; empty means all. */
      services: env.SERVICES,
      rateLimitFactor: env.RATE_LIMIT_FACTOR,
    },
    /** Server-sent events. */
    streams: {
      heartbeatMs: env.STREAM_HEARTBEAT_SECONDS * MS,
      mostPerUser: env.STREAMS_PER_USER,
      mostOpen: env.STREAMS_PER_PROCESS,
    },
    /** The first key signs, all verify; empty outside production until a key is kept in `dataDir`. */
    auth: { keys: env.JWT_KEYS, demoPassword: env.DEMO_PASSWORD },
    /** Address of the web application, for links in mails. */
    appUrl: env.APP_URL,
    /** Without an address of a server, mail becomes files in `dataDir`. */
    mail: { url: env.MAIL_URL, from: env.MAIL_FROM },
    bullBoard: { isWritable: env.BULL_BOARD_WRITABLE },
    postgres: {
      url: env.DATABASE_URL,
      readUrl: env.DATABASE_READ_URL,
      maxConnections: env.POSTGRES_MAX_CONNECTIONS,
      idleConnections: env.POSTGRES_IDLE_CONNECTIONS,
      statementTimeoutMs: env.POSTGRES_STATEMENT_TIMEOUT_MS,
    },
    objects: {
      /** Where files lie unless a bucket is named. */
      folder: join(env.DATA_DIR, 'objects'),
      s3: env.S3_BUCKET
        ? {
            bucket: env.S3_BUCKET,
            endpoint: env.S3_ENDPOINT,
            region: env.S3_REGION,
            credentials:
              env.S3_ACCESS_KEY_ID && env.S3_SECRET_ACCESS_KEY
                ? { accessKeyId: env.S3_ACCESS_KEY_ID, secretAccessKey: env.S3_SECRET_ACCESS_KEY }
                : undefined,
            isPathStyle: env.S3_PATH_STYLE,
          }
        : undefined,
    },
    mongo: { url: env.MONGO_URL, maxPoolSize: env.MONGO_MAX_POOL_SIZE },
    redis: {
      /** One server, or some nodes of a cluster. */
      urls: env.REDIS_URL,
      isCluster: env.REDIS_CLUSTER,
      /** Where cached answers may live apart from the buffer. */
      cacheUrl: env.REDIS_CACHE_URL,
      prefix: env.REDIS_PREFIX,
      poolSize: env.REDIS_POOL_SIZE,
    },
    cache: { ttlSeconds: env.REDIS_DEFAULT_TTL },
    buffer: {
      shards: env.BUFFER_SHARDS,
      compression: { isEnabled: env.REDIS_COMPRESSION_ENABLED, algorithm: env.REDIS_COMPRESSION_ALGORITHM },
      /** TTL of stored documents kept for reads; unsynced ones have none (I2). */
      warmSeconds: env.REDIS_WRITE_BUFFER_TTL,
      onOverload: env.BUFFER_OVERLOAD,
      guard: {
        allowVolatile: env.ALLOW_VOLATILE_BUFFER,
        requiredFsync: env.REDIS_APPENDFSYNC_REQUIRED,
        softShare: env.BUFFER_SOFT_LIMIT_PERCENT / 100,
        hardShare: env.BUFFER_HARD_LIMIT_PERCENT / 100,
        fallbackBytes: env.BUFFER_LIMIT_BYTES,
      },
    },
    sync: {
      isEnabled: env.BATCH_PROCESSOR_ENABLED,
      intervalMs: env.BATCH_PROCESSOR_INTERVAL * MS,
      parallelBatches: env.BATCH_PROCESSOR_PARALLEL_WORKERS,
      batchRows: env.BATCH_PROCESSOR_BATCH_SIZE,
      isOnShutdown: env.SYNC_ON_SHUTDOWN,
    },
  };
}

function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    // Typed arrays (secrets) cannot be frozen.
    if (typeof part === 'object' && part !== null && !ArrayBuffer.isView(part)) freeze(part);
  }
  return Object.freeze(value);
}

/**
 * Reads and validates all variables together; the only reader of the environment.
 *
 * @throws ConfigError naming every bad variable and its rule, never a value
 */
export const loadConfig = (env: Readonly<Record<string, string | undefined>> = process.env): Config =>
  freeze(group(readEnvironment(env)));
