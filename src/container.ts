import type { Express } from 'express';
import type { Db } from 'mongodb';
import type { Config } from './config/index.ts';
import { createEngine, type Engine } from './engine.ts';
import { createAdminQueues } from './http/admin-queues.ts';
import { createApp } from './http/app.ts';
import { Idempotency } from './http/idempotency.ts';
import { Limiter } from './http/limiter.ts';
import { createReadiness } from './http/readiness.ts';
import { type Clock, schoolDateOf, systemClock } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import { Metrics } from './lib/metrics.ts';
import { createEngineMetrics, type EngineMetrics } from './metrics.ts';
import { createAuthRoutes } from './services/auth/auth.routes.ts';
import { AuthService } from './services/auth/auth-service.ts';
import { AuthStore } from './services/auth/auth-store.ts';
import { LoginGuard } from './services/auth/login-guard.ts';
import { can } from './services/auth/permissions.ts';
import { Sessions } from './services/auth/sessions.ts';
import { loadSigningKeys } from './services/auth/signing-keys.ts';
import { Tokens } from './services/auth/tokens.ts';
import { createServices, entities } from './services/registry.ts';
import { School } from './services/school/school.ts';
import { createMongo } from './stores/mongo/connect.ts';
import { createPostgres, createPostgresReader } from './stores/postgres/connect.ts';

export interface ContainerOptions {
  config: Config;
  log: Logger;
  role: 'web' | 'worker';
  clock?: Clock;
  isStopping?: () => boolean;
}

export interface Container {
  engine: Engine;
  metrics: Metrics;
  observed: EngineMetrics;
  db: Db;
  app: Express;
  /** Closes queues, then stores; what is in memory only has been written by then. */
  close(): Promise<void>;
}

const MONGO_SELECTION_MS = 3_000;

/** Builds everything one process needs and hands it over; nothing else wires things together. */
export function createContainer({
  config,
  log,
  role,
  clock = systemClock,
  isStopping = () => false,
}: ContainerOptions): Container {
  const metrics = new Metrics({ isEnabled: config.metrics.isEnabled, role });
  const knex = createPostgres({ ...config.postgres, log });
  const reader = createPostgresReader({ ...config.postgres, log }, knex);
  const { client, db } = createMongo({
    url: config.mongo.url,
    maxPoolSize: config.mongo.maxPoolSize,
    serverSelectionTimeoutMs: MONGO_SELECTION_MS,
  });
  const observed = createEngineMetrics(metrics);
  const engine = createEngine(
    {
      redis: { urls: config.redis.urls, isCluster: config.redis.isCluster, prefix: config.redis.prefix },
      cacheUrl: config.redis.cacheUrl,
      cacheSeconds: config.cache.ttlSeconds,
      shards: config.buffer.shards,
      poolSize: config.redis.poolSize,
      compression: config.buffer.compression,
      warmSeconds: config.buffer.warmSeconds,
      guard: config.buffer.guard,
      writesThrough: config.buffer.onOverload === 'write-through',
      intervalMs: config.sync.intervalMs,
      isPatient: role === 'worker',
    },
    { entities, knex, readKnex: reader, db, log, observeCache: observed.observeCache },
  );
  observed.watch(engine);

  const { redis, keys, keptCache } = engine;
  const school = new School({ knex: reader, cache: keptCache });
  const tokens = new Tokens(loadSigningKeys(config.auth.keys, { dataDir: config.dataDir, log }));
  const store = new AuthStore(knex);
  const sessions = new Sessions({
    store,
    cache: keptCache,
    tokens,
    schoolDate: async () => schoolDateOf(clock.now(), await school.timezone()),
  });
  const guard = new LoginGuard(redis, (login) => keys.cache(`auth:fail:${login}`));
  const auth = new AuthService({ store, guard, tokens, sessions, log });
  const services = createServices({ engine, knex, db, school, authStore: store, clock, log });
  const limiter = new Limiter(redis, config.redis.prefix, config.http.rateLimitFactor);
  const idempotency = new Idempotency(redis, (user, key) => keys.cache(`idem:${user}:${key}`));
  const app = createApp({
    routes: [...createAuthRoutes({ auth }), ...services.routes],
    services: config.http.services,
    entities,
    intervalMs: config.sync.intervalMs,
    scopesFor: can,
    authenticate: (authorization, nowMs) => sessions.authenticate(authorization, nowMs),
    limiter,
    idempotency,
    acceptsWrites: () => engine.guard.isAccepting || config.buffer.onOverload === 'write-through',
    readiness: createReadiness({ redis, cacheRedis: engine.cacheRedis, guard: engine.guard, knex, db, isStopping }),
    observe: observed.observeRequest,
    adminQueues: createAdminQueues({
      queues: engine.queues,
      isWritable: config.bullBoard.isWritable,
      login: async (name, password, origin) => {
        await limiter.consume('login', origin.ip);
        return (await auth.login(name, password, { ...origin, now: clock.now() })).accessToken;
      },
      authenticate: (authorization) => sessions.authenticate(authorization, clock.now().getTime()),
    }),
    trustedProxies: config.http.trustedProxies,
    clock,
    log,
  });

  return {
    engine,
    metrics,
    observed,
    db,
    app,
    async close() {
      limiter.close();
      idempotency.close();
      await engine.close();
      await Promise.all([knex.destroy(), ...(reader === knex ? [] : [reader.destroy()]), client.close()]);
    },
  };
}
