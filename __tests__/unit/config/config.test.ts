import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { environmentNames, readEnvironment } from '../../../src/config/environment.ts';
import { ConfigError, loadConfig } from '../../../src/config/index.ts';

const needed = {
  DATABASE_URL: 'postgres://u:p@127.0.0.1:5432/s',
  REDIS_URL: 'redis://127.0.0.1:6379',
  MONGO_URL: 'mongodb://127.0.0.1:27017/s',
};
const secret = (byte: number, length = 32): string => Buffer.alloc(length, byte).toString('base64');

function problemsOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems;
  }
  return [];
}

describe('configuration', () => {
  it('needs only the three servers', () => {
    expect(problemsOf({})).toEqual(['DATABASE_URL is required', 'MONGO_URL is required', 'REDIS_URL is required']);
    expect(problemsOf(needed)).toEqual([]);
  });

  it('tells all problems at once, each with its variable and rule', () => {
    const problems = problemsOf({
      ...needed,
      PORT: '70000',
      LOG_LEVEL: 'loud',
      BUFFER_SHARDS: '1.5',
      ENABLE_PROMETHEUS: 'maybe',
      MONGO_URL: 'http://x',
    });
    expect(problems).toEqual([
      expect.stringMatching(/^LOG_LEVEL must be one of/),
      expect.stringMatching(/^ENABLE_PROMETHEUS must be a boolean/),
      expect.stringMatching(/^PORT must be a valid port/),
      expect.stringMatching(/^MONGO_URL must be a valid uri/),
      expect.stringMatching(/^BUFFER_SHARDS must be an integer/),
    ]);
  });

  it.each(environmentNames)('never repeats the value of %s', (name) => {
    const value = `Value,of it:0${'x'.repeat(200)}`;
    expect(problemsOf({ ...needed, [name]: value }).join()).not.toContain('Value,of');
  });

  it('takes an empty variable for an unset one', () => {
    expect(loadConfig({ ...needed, PORT: '', SENTRY_DSN: '  ' })).toEqual(loadConfig(needed));
  });

  it('leaves variables of others alone', () => {
    expect(problemsOf({ ...needed, PATH: '/bin', REDIS_URLL: 'x' })).toEqual([]);
  });

  it('cannot be changed afterwards', () => {
    const config = loadConfig({ ...needed, SERVICES: 'quiz, homework' });
    expect(config.http.services).toEqual(['quiz', 'homework']);
    expect(() => Object.assign(config, { env: 'production' })).toThrow(TypeError);
    expect(() => Object.assign(config.buffer.guard, { allowVolatile: true })).toThrow(TypeError);
    expect(() => (config.http.services as string[]).push('fee')).toThrow(TypeError);
  });

  it('reads flags the ways people write them', () => {
    const flag = (value: string) => loadConfig({ ...needed, SYNC_ON_SHUTDOWN: value }).sync.isOnShutdown;
    expect(['true', '1', 'yes', 'on', 'TRUE'].map(flag)).toEqual(Array(5).fill(true));
    expect(['false', '0', 'no', 'off'].map(flag)).toEqual(Array(4).fill(false));
  });

  it.each([
    [{ BUFFER_SOFT_LIMIT_PERCENT: '85' }, 'BUFFER_SOFT_LIMIT_PERCENT must be below BUFFER_HARD_LIMIT_PERCENT'],
    [{ POSTGRES_IDLE_CONNECTIONS: '30' }, 'POSTGRES_IDLE_CONNECTIONS must not exceed POSTGRES_MAX_CONNECTIONS'],
    [{ ENABLE_PROMETHEUS: 'true', PROMETHEUS_PORT: '3000' }, 'PROMETHEUS_PORT must differ from PORT'],
    [{ REDIS_URL: 'redis://a:1,redis://b:1' }, 'REDIS_URL names several servers: set REDIS_CLUSTER=true'],
    [{ REDIS_URL: ' , ' }, 'REDIS_URL names no server'],
    [{ REDIS_POOL_SIZE: '3', BUFFER_SHARDS: '2' }, 'REDIS_POOL_SIZE must not exceed BUFFER_SHARDS'],
    [{ S3_ENDPOINT: 'http://localhost:9000' }, 'S3_BUCKET is needed with the other S3 settings'],
    [{ S3_BUCKET: 'school', S3_ACCESS_KEY_ID: 'k' }, 'S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY go together'],
  ])('refuses settings that contradict each other: %o', (env, problem) => {
    expect(problemsOf({ ...needed, ...env })).toEqual([problem]);
  });

  it('keeps files in a bucket where one is named, else in DATA_DIR', () => {
    expect(loadConfig({ ...needed, DATA_DIR: '/data' }).objects).toEqual({ folder: '/data/objects', s3: undefined });
    expect(loadConfig({ ...needed, S3_BUCKET: 'school', S3_PATH_STYLE: 'true' }).objects.s3).toEqual({
      bucket: 'school',
      endpoint: undefined,
      region: 'us-east-1',
      credentials: undefined,
      isPathStyle: true,
    });
  });

  it('takes several nodes of a cluster', () => {
    const { redis } = loadConfig({ ...needed, REDIS_URL: 'redis://a:1, rediss://b:2', REDIS_CLUSTER: 'true' });
    expect(redis).toMatchObject({ urls: ['redis://a:1', 'rediss://b:2'], isCluster: true });
  });

  describe('JWT_KEYS', () => {
    it('names keys in order; the first signs', () => {
      const { keys } = loadConfig({ ...needed, JWT_KEYS: `k2:${secret(2)},k1:${secret(1, 64)}` }).auth;
      expect(keys.map(({ id, secret: bytes }) => [id, bytes.length])).toEqual([
        ['k2', 32],
        ['k1', 64],
      ]);
    });

    it.each([
      ['no kid', secret(1)],
      ['a short secret', `k1:${secret(1, 16)}`],
      ['a kid twice', `k1:${secret(1)},k1:${secret(2)}`],
      ['something that is not base64', 'k1:!!!!'],
      ['a part too many', `k1:${secret(1)}:x`],
    ])('refuses %s', (_what, value) => {
      expect(problemsOf({ ...needed, JWT_KEYS: value })).toEqual([expect.stringMatching(/^JWT_KEYS /)]);
    });

    it('are required in production, told together with what else is missing there', () => {
      expect(problemsOf({ NODE_ENV: 'production' })).toEqual(
        expect.arrayContaining(['JWT_KEYS is required', 'DATABASE_URL is required']),
      );
    });
  });

  it('has a demo password outside production only', () => {
    expect(loadConfig(needed).auth.demoPassword).toBe('schools24-demo');
    expect(
      loadConfig({ ...needed, NODE_ENV: 'production', JWT_KEYS: `k:${secret(1)}` }).auth.demoPassword,
    ).toBeUndefined();
  });
});

describe('.env.example', () => {
  const lines = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8').split('\n');
  const example = Object.fromEntries(
    lines
      .filter((line) => /^[A-Z]/.test(line))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );

  it('names every variable and no other', () => {
    expect(Object.keys(example).sort()).toEqual([...environmentNames].sort());
  });

  it('shows the defaults', () => {
    const { DATABASE_URL, REDIS_URL, MONGO_URL, ...defaults } = example;
    expect([DATABASE_URL, REDIS_URL, MONGO_URL]).toEqual(['', '', '']);
    expect(readEnvironment({ ...defaults, ...needed })).toEqual(readEnvironment(needed));
    // A default that the example leaves out would pass above.
    const unset = environmentNames.filter((name) => defaults[name] === '');
    const { NODE_ENV: _env, ...bare } = readEnvironment(needed) as unknown as Record<string, unknown>;
    expect(unset.filter((name) => bare[name] !== undefined && !Array.isArray(bare[name]))).toEqual([]);
  });

  it('explains each of them', () => {
    for (const [index, line] of lines.entries()) {
      if (/^[A-Z]/.test(line)) expect(lines[index - 1], line).toMatch(/^(#|[A-Z])/);
    }
  });
});
