import type { Redis } from 'ioredis';
import type { Knex } from 'knex';
import type { Db } from 'mongodb';
import type { BufferGuard } from '../buffer/guard.ts';
import { describeServers } from '../stores/server-info.ts';

export interface Readiness {
  isReady: boolean;
  body: object;
}

interface Check {
  status: 'ok' | 'down' | 'warn';
  reason?: string;
  [detail: string]: unknown;
}

const TIMEOUT_MS = 2_000;

const within = <T>(work: Promise<T>): Promise<T> =>
  Promise.race([
    work,
    new Promise<never>((_resolve, reject) => {
      setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS).unref();
    }),
  ]);

const failed = (error: unknown): Check => ({ status: 'down', reason: (error as Error).message });

/**
 * Whether this process can take writes: Redis must answer and keep what it is told. A database or a cache that is down is
 * shown but does not make the process unready, since writes and reads go on without it.
 */
export function createReadiness(deps: {
  redis: Redis;
  /** The cache's own server, where it has one. */
  cacheRedis: Redis | undefined;
  guard: BufferGuard;
  knex: Knex;
  db: Db;
  isStopping: () => boolean;
}): () => Promise<Readiness> {
  const { redis, cacheRedis, guard, knex, db, isStopping } = deps;
  return async () => {
    const [redisCheck, cacheCheck, postgresCheck, mongoCheck, servers] = await Promise.all([
      checkRedis(),
      cacheRedis && within(cacheRedis.ping()).then((): Check => ({ status: 'ok' }), failed),
      within(knex.raw('SELECT 1')).then((): Check => ({ status: 'ok' }), failed),
      within(db.command({ ping: 1 })).then((): Check => ({ status: 'ok' }), failed),
      within(describeServers({ knex, db, redis })).catch(() => []),
    ]);
    const isReady = redisCheck.status !== 'down' && !isStopping();
    return {
      isReady,
      body: {
        status: isReady ? 'ready' : 'not ready',
        ...(isStopping() ? { reason: 'stopping' } : {}),
        checks: {
          redis: redisCheck,
          ...(cacheCheck ? { cache: cacheCheck } : {}),
          postgres: postgresCheck,
          mongo: mongoCheck,
        },
        servers,
      },
    };
  };

  async function checkRedis(): Promise<Check> {
    try {
      await within(redis.ping());
    } catch (error) {
      return failed(error);
    }
    const { durability, memory, pressure } = guard;
    const details = {
      appendonly: durability?.appendonly,
      appendfsync: durability?.appendfsync,
      maxmemoryPolicy: durability?.maxmemoryPolicy,
      memory,
      pressure,
    };
    if (!guard.isAccepting) {
      const reason = durability?.problems.length
        ? durability.problems.join('; ')
        : `memory is at its hard mark (${memory.usedBytes} of ${memory.limitBytes} bytes)`;
      return { status: 'down', reason, ...details };
    }
    return {
      status: durability?.problems.length ? 'warn' : 'ok',
      ...(durability?.problems.length ? { reason: durability.problems.join('; ') } : {}),
      ...details,
    };
  }
}
