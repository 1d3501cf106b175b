import Joi from 'joi';

/** Every variable the application reads, as parsed; names are the environment's own. */
export interface Environment {
  NODE_ENV: 'development' | 'production' | 'test';
  LOG_LEVEL: 'error' | 'warn' | 'info' | 'debug';
  DATA_DIR: string;
  SENTRY_DSN?: string;
  ENABLE_PROMETHEUS: boolean;
  PROMETHEUS_PORT: number;

  HOST: string;
  PORT: number;
  WEB_CONCURRENCY: number;
  TRUST_PROXY: number;
  SERVICES: string[];
  RATE_LIMIT_FACTOR: number;
  STREAM_HEARTBEAT_SECONDS: number;
  STREAMS_PER_USER: number;
  STREAMS_PER_PROCESS: number;
  BULL_BOARD_WRITABLE: boolean;
  JWT_KEYS: SigningKey[];
  DEMO_PASSWORD?: string;
  APP_URL: string;
  MAIL_URL?: string;
  MAIL_FROM: string;

  DATABASE_URL: string;
  DATABASE_READ_URL?: string;
  POSTGRES_MAX_CONNECTIONS: number;
  POSTGRES_IDLE_CONNECTIONS: number;
  POSTGRES_STATEMENT_TIMEOUT_MS: number;
  MONGO_URL: string;
  MONGO_MAX_POOL_SIZE: number;

  S3_BUCKET?: string;
  S3_ENDPOINT?: string;
  S3_REGION: string;
  S3_ACCESS_KEY_ID?: string;
  S3_SECRET_ACCESS_KEY?: string;
  S3_PATH_STYLE: boolean;

  REDIS_URL: string[];
  REDIS_CLUSTER: boolean;
  REDIS_CACHE_URL?: string;
  REDIS_PREFIX: string;
  REDIS_POOL_SIZE: number;
  REDIS_APPENDFSYNC_REQUIRED: 'always' | 'everysec' | 'any';
  ALLOW_VOLATILE_BUFFER: boolean;
  REDIS_COMPRESSION_ENABLED: boolean;
  REDIS_COMPRESSION_ALGORITHM: 'auto' | 'zstd' | 'zstd-dict' | 'deflate-dict' | 'snappy' | 'lz4' | 'none';
  REDIS_DEFAULT_TTL: number;
  REDIS_WRITE_BUFFER_TTL: number;
  BUFFER_SHARDS: number;
  BUFFER_LIMIT_BYTES: number;
  BUFFER_SOFT_LIMIT_PERCENT: number;
  BUFFER_HARD_LIMIT_PERCENT: number;
  BUFFER_OVERLOAD: 'reject' | 'write-through';

  BATCH_PROCESSOR_ENABLED: boolean;
  BATCH_PROCESSOR_INTERVAL: number;
  BATCH_PROCESSOR_PARALLEL_WORKERS: number;
  BATCH_PROCESSOR_BATCH_SIZE: number;
  SYNC_ON_SHUTDOWN: boolean;
}

/** A named secret that signs or verifies access tokens (HS256). */
export interface SigningKey {
  /** The `kid` of a token's header. */
  id: string;
  secret: Uint8Array;
}

/** RFC 7518 §3.2: a key of the hash's size or larger. */
const SIGNING_KEY_BYTES = 32;
const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** A comma separated list; blanks around and empty parts are dropped. */
const list = (item: Joi.Schema, what: string): Joi.AnySchema =>
  Joi.any().custom((value: unknown, helpers) => {
    const parts = String(value)
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean);
    if (parts.some((part) => item.validate(part).error))
      return helpers.message({ custom: `{{#label}} must be a list of ${what}` });
    return parts;
  });

const signingKeys = Joi.any().custom((value: unknown, helpers) => {
  const refuse = (rule: string) => helpers.message({ custom: `{{#label}} ${rule}` });
  const keys: SigningKey[] = [];
  for (const part of String(value).split(',')) {
    const [id, encoded, ...rest] = part.trim().split(':');
    if (!id || !encoded || rest.length > 0 || !KEY_ID.test(id) || !BASE64.test(encoded)) {
      return refuse('must be a list of kid:base64secret, separated by commas');
    }
    const secret = Buffer.from(encoded, 'base64');
    if (secret.length < SIGNING_KEY_BYTES) return refuse(`needs secrets of at least ${SIGNING_KEY_BYTES} bytes`);
    if (keys.some((key) => key.id === id)) return refuse('names a kid twice');
    keys.push({ id, secret });
  }
  return keys;
});

const url = (...schemes: string[]): Joi.StringSchema => Joi.string().uri({ scheme: schemes });
const flag = (fallback: boolean): Joi.BooleanSchema =>
  Joi.boolean().truthy('1', 'yes', 'on').falsy('0', 'no', 'off').default(fallback);
const count = (least: number, most: number, fallback: number): Joi.NumberSchema =>
  Joi.number().integer().min(least).max(most).default(fallback);
const choice = <T extends string>(fallback: T, ...others: T[]): Joi.StringSchema =>
  Joi.string()
    .valid(fallback, ...others)
    .default(fallback);

/** One rule a variable. What each means is explained in `.env.example`, which a test holds to this list. */
export const environmentRules = {
  NODE_ENV: choice('development', 'production', 'test'),
  LOG_LEVEL: choice('info', 'error', 'warn', 'debug'),
  DATA_DIR: Joi.string().default('.data'),
  SENTRY_DSN: url('http', 'https'),
  ENABLE_PROMETHEUS: flag(false),
  PROMETHEUS_PORT: Joi.number().port().default(9090),

  HOST: Joi.string().hostname().default('127.0.0.1'),
  PORT: Joi.number().port().default(3000),
  WEB_CONCURRENCY: count(1, 256, 1),
  TRUST_PROXY: count(0, 16, 0),
  SERVICES: list(Joi.string().pattern(/^[a-z][a-z-]*$/), 'service names').default([]),
  RATE_LIMIT_FACTOR: Joi.number().positive().max(1_000_000).default(1),
  STREAM_HEARTBEAT_SECONDS: count(1, 300, 15),
  STREAMS_PER_USER: count(1, 1_000, 6),
  STREAMS_PER_PROCESS: count(1, 100_000, 2_000),
  BULL_BOARD_WRITABLE: flag(false),
  JWT_KEYS: signingKeys.required().when('NODE_ENV', { is: 'production', otherwise: Joi.optional().default([]) }),
  DEMO_PASSWORD: Joi.string()
    .min(10)
    .max(128)
    .when('NODE_ENV', { is: 'production', otherwise: Joi.string().default('schools24-demo') }),

  APP_URL: url('http', 'https').default('http://localhost:3000'),
  MAIL_URL: url('smtp', 'smtps'),
  MAIL_FROM: Joi.string()
    .max(320)
    .pattern(/^([^<>@"\r\n]+ <[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/, 'address of a sender')
    .default('Schools24 <no-reply@localhost>'),

  DATABASE_URL: url('postgres', 'postgresql').required(),
  DATABASE_READ_URL: url('postgres', 'postgresql'),
  POSTGRES_MAX_CONNECTIONS: count(1, 1_000, 20),
  POSTGRES_IDLE_CONNECTIONS: count(0, 1_000, 5),
  POSTGRES_STATEMENT_TIMEOUT_MS: count(0, 3_600_000, 30_000),
  MONGO_URL: url('mongodb', 'mongodb+srv').required(),
  MONGO_MAX_POOL_SIZE: count(1, 1_000, 20),

  S3_BUCKET: Joi.string()
    .pattern(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'bucket name')
    .max(63),
  S3_ENDPOINT: url('http', 'https'),
  S3_REGION: Joi.string().max(64).default('us-east-1'),
  S3_ACCESS_KEY_ID: Joi.string().max(256),
  S3_SECRET_ACCESS_KEY: Joi.string().max(256),
  S3_PATH_STYLE: flag(false),

  REDIS_URL: list(url('redis', 'rediss'), 'redis:// or rediss:// addresses').required(),
  REDIS_CLUSTER: flag(false),
  REDIS_CACHE_URL: url('redis', 'rediss'),
  REDIS_PREFIX: Joi.string()
    .pattern(/^[a-z0-9_-]{1,32}$/, 'prefix')
    .default('s24'),
  REDIS_POOL_SIZE: count(1, 64, 1),
  REDIS_APPENDFSYNC_REQUIRED: choice('always', 'everysec', 'any'),
  ALLOW_VOLATILE_BUFFER: flag(false),
  REDIS_COMPRESSION_ENABLED: flag(true),
  REDIS_COMPRESSION_ALGORITHM: choice('auto', 'zstd', 'zstd-dict', 'deflate-dict', 'snappy', 'lz4', 'none'),
  REDIS_DEFAULT_TTL: count(1, 604_800, 3_600),
  REDIS_WRITE_BUFFER_TTL: count(0, 2_592_000, 7_200),
  BUFFER_SHARDS: count(1, 1_024, 1),
  BUFFER_LIMIT_BYTES: count(16 * 1024 * 1024, Number.MAX_SAFE_INTEGER, 1024 * 1024 * 1024),
  BUFFER_SOFT_LIMIT_PERCENT: count(1, 99, 60),
  BUFFER_HARD_LIMIT_PERCENT: count(2, 100, 85),
  BUFFER_OVERLOAD: choice('reject', 'write-through'),

  BATCH_PROCESSOR_ENABLED: flag(true),
  BATCH_PROCESSOR_INTERVAL: count(1, 86_400, 3_600),
  BATCH_PROCESSOR_PARALLEL_WORKERS: count(1, 256, 10),
  BATCH_PROCESSOR_BATCH_SIZE: count(1, 1_000, 100),
  SYNC_ON_SHUTDOWN: flag(false),
} satisfies Record<keyof Environment, Joi.AnySchema>;

export const environmentNames = Object.keys(environmentRules) as (keyof Environment)[];

/** What `when` and single rules cannot say: how variables go together. */
function contradictions(environment: Environment): string[] {
  const problems: string[] = [];
  if (environment.BUFFER_SOFT_LIMIT_PERCENT >= environment.BUFFER_HARD_LIMIT_PERCENT) {
    problems.push('BUFFER_SOFT_LIMIT_PERCENT must be below BUFFER_HARD_LIMIT_PERCENT');
  }
  if (environment.POSTGRES_IDLE_CONNECTIONS > environment.POSTGRES_MAX_CONNECTIONS) {
    problems.push('POSTGRES_IDLE_CONNECTIONS must not exceed POSTGRES_MAX_CONNECTIONS');
  }
  if (environment.ENABLE_PROMETHEUS && environment.PROMETHEUS_PORT === environment.PORT) {
    problems.push('PROMETHEUS_PORT must differ from PORT');
  }
  if (!environment.S3_BUCKET && (environment.S3_ENDPOINT || environment.S3_ACCESS_KEY_ID)) {
    problems.push('S3_BUCKET is needed with the other S3 settings');
  }
  if (!environment.S3_ACCESS_KEY_ID !== !environment.S3_SECRET_ACCESS_KEY) {
    problems.push('S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY go together');
  }
  if (environment.REDIS_URL.length === 0) problems.push('REDIS_URL names no server');
  else if (!environment.REDIS_CLUSTER && environment.REDIS_URL.length > 1) {
    problems.push('REDIS_URL names several servers: set REDIS_CLUSTER=true');
  }
  if (environment.REDIS_POOL_SIZE > environment.BUFFER_SHARDS) {
    problems.push('REDIS_POOL_SIZE must not exceed BUFFER_SHARDS');
  }
  return problems;
}

/** Everything that is wrong with the environment at once: variables and rules, never values. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the environment is not usable: ${problems.join('; ')}. All variables are explained in .env.example`);
    this.problems = problems;
  }
}

const schema = Joi.object<Environment>(environmentRules);

/**
 * Reads the known variables; an empty one counts as unset. Others are left alone: they belong to someone else.
 *
 * @throws ConfigError naming every bad variable and its rule
 */
export function readEnvironment(source: Readonly<Record<string, string | undefined>>): Environment {
  const given = Object.fromEntries(environmentNames.map((name) => [name, source[name]?.trim() || undefined]));
  const { error, value } = schema.validate(given, { abortEarly: false, errors: { wrap: { label: false } } });
  if (error) throw new ConfigError(error.details.map(withoutValue));
  const problems = contradictions(value);
  if (problems.length > 0) throw new ConfigError(problems);
  return value;
}

/** Joi's messages name the variable and the rule; those that would repeat the value are said otherwise. */
function withoutValue({ message, path, type, context }: Joi.ValidationErrorItem): string {
  if (type === 'string.pattern.name' || type === 'string.pattern.base')
    return `${path.join('.')} is not a valid ${context?.name ?? 'value'}`;
  return message;
}
