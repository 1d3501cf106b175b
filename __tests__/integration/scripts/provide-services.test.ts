import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { freePort } from '../../../scripts/services/ports.ts';
import { isAlive } from '../../../scripts/services/processes.ts';
import {
  type ProvidedServices,
  type ProvideOptions,
  provideServices,
} from '../../../scripts/services/provide-services.ts';
import { until } from '../../support/until.ts';

const MODULE = new URL('../../../scripts/services/provide-services.ts', import.meta.url).href;

describe('provided services', () => {
  let dataDir: string;
  let lines: string[];
  const started: ProvidedServices[] = [];

  /** Nothing of the run's own environment: all three are to be provided unless told. */
  const provide = async (options: Partial<ProvideOptions> = {}): Promise<ProvidedServices> => {
    const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };
    const services = await provideServices({ dataDir, log, env: {}, ...options });
    started.push(services);
    return services;
  };
  /** Only Redis is provided; the run's own servers stand for the others. */
  const provideRedis = (options: Partial<ProvideOptions> = {}): Promise<ProvidedServices> => {
    const { DATABASE_URL, MONGO_URL } = inject('urls');
    return provide({ env: { DATABASE_URL, MONGO_URL }, ...options });
  };
  const pidsOf = ({ services, supervisorPid }: Pick<ProvidedServices, 'services' | 'supervisorPid'>): number[] => [
    ...services.flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
    supervisorPid!,
  ];
  const untilGone = (pids: number[]): Promise<true> =>
    until(`the end of ${pids}`, async () => ((await Promise.all(pids.map(isAlive))).includes(true) ? undefined : true));
  const killAll = async (pids: number[]): Promise<void> => {
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await untilGone(pids);
  };

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'schools24-data-'));
    lines = [];
  });
  afterEach(async () => {
    for (const services of started.splice(0)) await services.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('leave no process and no folder behind when they were throwaway', async () => {
    const services = await provide({ throwaway: true });
    const pids = pidsOf(services);
    expect(pids).toHaveLength(4);
    expect(lines.filter((line) => /to use another/.test(line))).toHaveLength(3);
    await services.stop();
    await untilGone(pids);
    expect(existsSync(services.dataDir!)).toBe(false);
  });

  it('leave nothing behind when whoever asked for them is killed', async () => {
    const code = `import { provideServices } from ${JSON.stringify(MODULE)};
      const { services, supervisorPid, dataDir } = await provideServices({ throwaway: true, env: {}, log: { info() {}, warn() {} } });
      console.log(JSON.stringify({ services, supervisorPid, dataDir }));`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [text] = (await once(parent.stdout!, 'data')) as [Buffer];
    const told = JSON.parse(String(text)) as ProvidedServices;
    const pids = pidsOf(told);
    expect(pids).toHaveLength(4);
    parent.kill('SIGKILL');
    await untilGone(pids);
    expect(existsSync(told.dataDir!)).toBe(false);
  });

  it('keep what was written when all of them are killed, and come back at the same addresses', async () => {
    // not the usual ports, which another clone on this machine may take in between
    const ports = { postgres: await freePort(), redis: await freePort(), mongo: await freePort() };
    const records = Object.entries(ports).map(([name, port]) => [name, { pid: 0, port, source: 'path', origin: '' }]);
    await writeFile(join(dataDir, 'services.json'), JSON.stringify(Object.fromEntries(records)));
    const first = await provide();
    await write(first.urls);
    await killAll(pidsOf(first));
    const second = await provide();
    expect(second.urls).toEqual(first.urls);
    expect(await readBack(second.urls)).toEqual({ postgres: 24, redis: 'kept', mongo: 'kept' });
  });

  it('are found again when only their supervisor was killed, and stopped in the end', async () => {
    const first = await provideRedis();
    const [redisPid, supervisorPid] = pidsOf(first);
    await killAll([supervisorPid!]);
    const second = await provideRedis();
    expect(pidsOf(second)[0]).toBe(redisPid);
    expect(second.supervisorPid).not.toBe(supervisorPid);
    await second.stop();
    await untilGone([redisPid!]);
  });

  it('are stopped even by a holder whose supervisor was killed', async () => {
    const services = await provideRedis();
    const [redisPid, supervisorPid] = pidsOf(services);
    await killAll([supervisorPid!]);
    await services.stop();
    expect(await isAlive(redisPid!)).toBe(false);
  });

  it('are shared by all who use the same folder and run until the last has let go', async () => {
    const [one, other] = await Promise.all([provideRedis(), provideRedis()]);
    expect(pidsOf(one)).toEqual(pidsOf(other));
    expect([one.isReused, other.isReused].sort()).toEqual([false, true]);
    const [redisPid] = pidsOf(one);
    await one.stop();
    expect(await isAlive(redisPid!)).toBe(true);
    await other.stop();
    expect(await isAlive(redisPid!)).toBe(false);
  });

  it('start on a folder whose lock file names a process that is now another program', async () => {
    const { REDIS_URL, MONGO_URL } = inject('urls');
    const env = { REDIS_URL, MONGO_URL };
    const first = await provide({ env });
    const lockFile = join(dataDir, 'postgres', 'postmaster.pid');
    const lock = await readFile(lockFile, 'utf8');
    await first.stop();
    await writeFile(lockFile, lock.replace(/^\d+/, String(process.pid)));
    const second = await provide({ env });
    expect(second.urls.DATABASE_URL).toBe(first.urls.DATABASE_URL);
  });

  it('take another port when theirs is busy', async () => {
    const port = await freePort();
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    try {
      const record = { pid: process.pid, port, source: 'path', origin: 'an earlier start' };
      await writeFile(join(dataDir, 'services.json'), JSON.stringify({ redis: record }));
      const { urls } = await provideRedis();
      expect(new URL(urls.REDIS_URL).port).not.toBe(String(port));
    } finally {
      squatter.close();
    }
  });

  it('start a server again that died while it was held', async () => {
    const first = await provideRedis();
    await killAll([pidsOf(first)[0]!]);
    const second = await provideRedis();
    expect(second.urls).toEqual(first.urls);
    expect(await isAlive(pidsOf(second)[0]!)).toBe(true);
  });

  it.each([
    ['DATABASE_URL', 'postgres://someone:s3cret@127.0.0.1:1/school'],
    ['REDIS_URL', 'redis://:s3cret@127.0.0.1:1'],
  ])('name the variable, not the password, when %s leads nowhere', async (variable, url) => {
    const failure = await provide({ env: { ...inject('urls'), [variable]: url } }).catch(
      (error: Error) => error.message,
    );
    expect(failure).toContain(`${variable} is set, but`);
    expect(failure).toContain('ECONNREFUSED');
    expect(failure).not.toContain('s3cret');
  });

  it.each([
    ['DATABASE_URL', 'mysql://127.0.0.1/school', 'postgres://'],
    ['REDIS_URL', '127.0.0.1:6379', 'redis://'],
    ['MONGO_URL', 'http://127.0.0.1', 'mongodb://'],
  ])('say how %s must begin', async (variable, url, beginning) => {
    await expect(provide({ env: { ...inject('urls'), [variable]: url } })).rejects.toThrow(
      new RegExp(`^${variable} must start with ${beginning}`),
    );
  });
});

async function write({ DATABASE_URL, REDIS_URL, MONGO_URL }: ProvidedServices['urls']): Promise<void> {
  await withServers({ DATABASE_URL, REDIS_URL, MONGO_URL }, async (postgres, redis, mongo) => {
    await postgres.query('CREATE TABLE kept (n int)');
    await postgres.query('INSERT INTO kept VALUES (24)');
    await redis.set('kept', 'kept');
    await mongo.db().collection<{ _id: string }>('kept').insertOne({ _id: 'kept' });
  });
}

const readBack = (urls: ProvidedServices['urls']): Promise<object> =>
  withServers(urls, async (postgres, redis, mongo) => ({
    postgres: (await postgres.query('SELECT n FROM kept')).rows[0].n,
    redis: await redis.get('kept'),
    mongo: (await mongo.db().collection<{ _id: string }>('kept').findOne())?._id,
  }));

async function withServers<T>(
  { DATABASE_URL, REDIS_URL, MONGO_URL }: ProvidedServices['urls'],
  work: (postgres: pg.Client, redis: Redis, mongo: MongoClient) => Promise<T>,
): Promise<T> {
  const postgres = new pg.Client(DATABASE_URL);
  const redis = new Redis(REDIS_URL);
  const mongo = new MongoClient(MONGO_URL);
  await postgres.connect();
  try {
    return await work(postgres, redis, mongo);
  } finally {
    await postgres.end();
    redis.disconnect();
    await mongo.close();
  }
}
