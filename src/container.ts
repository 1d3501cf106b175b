import { join } from 'node:path';
import type { Express } from 'express';
import type { Knex } from 'knex';
import type { Db } from 'mongodb';
import type { Config } from './config/index.ts';
import { createEngine, type Engine } from './engine.ts';
import { createAdminQueues } from './http/admin-queues.ts';
import { createApp } from './http/app.ts';
import { Idempotency } from './http/idempotency.ts';
import { Limiter } from './http/limiter.ts';
import { createObjectLinks, OBJECTS_PATH } from './http/object-links.ts';
import { createReadiness } from './http/readiness.ts';
import { Background } from './lib/background.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import type { EventConsumer } from './lib/events.ts';
import { newId } from './lib/ids.ts';
import type { Logger } from './lib/logger.ts';
import { Metrics } from './lib/metrics.ts';
import type { Route } from './lib/route.ts';
import type { ScheduledTask } from './lib/scheduled-task.ts';
import { createEngineMetrics, type EngineMetrics } from './metrics.ts';
import { ActivityLog } from './services/activity-log/activity-log.ts';
import { createAuthRoutes } from './services/auth/auth.routes.ts';
import { AuthService } from './services/auth/auth-service.ts';
import { AuthStore } from './services/auth/auth-store.ts';
import { LoginGuard } from './services/auth/login-guard.ts';
import { can } from './services/auth/permissions.ts';
import { SessionStore } from './services/auth/session-store.ts';
import { Sessions } from './services/auth/sessions.ts';
import { loadSigningKeys } from './services/auth/signing-keys.ts';
import { Tokens } from './services/auth/tokens.ts';
import type { Dashboard } from './services/dashboard/index.ts';
import type { NotificationService } from './services/notifications/notification-service.ts';
import { createServices, entities } from './services/registry.ts';
import type { Departures } from './services/school/departures.ts';
import { School } from './services/school/school.ts';
import { OpenStreams } from './services/stream/open-streams.ts';
import { createMailer } from './stores/mail/mailer.ts';
import { createMongo } from './stores/mongo/connect.ts';
import { LinkSigner } from './stores/objects/link-signer.ts';
import { LocalObjects } from './stores/objects/local-objects.ts';
import { S3Objects } from './stores/objects/s3-objects.ts';
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
  dashboard: Dashboard;
  /** @throws when there is no school yet */
  schoolTimezone(): Promise<string>;
  metrics: Metrics;
  observed: EngineMetrics;
  db: Db;
  app: Express;
  /** All there are, whatever SERVICES says. */
  routes: readonly Route[];
  /** All there are, whatever SERVICES says. */
  consumers: readonly EventConsumer[];
  /** All there are, whatever SERVICES says. */
  tasks: readonly ScheduledTask[];
  notifications: NotificationService;
  /** Where services say what they have to do with students who leave. */
  departures: Departures;
  knex: Knex;
  /** Server-sent events of this process; they end first when it stops. */
  streams: OpenStreams;
  /** Who sends a request: for connections that last longer than one. */
  sessions: Sessions;
  /** What the services do for jobs. */
  jobs: ReturnType<typeof createServices>['jobs'];
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
  // Not the replica: what a change has just made stale is loaded again at once.
  const school = new School({ knex, cache: keptCache, clock });
  const signingKeys = loadSigningKeys(config.auth.keys, { dataDir: config.dataDir, log });
  const secrets = signingKeys.map(({ secret }) => secret);
  const tokens = new Tokens(signingKeys);
  const links = new LinkSigner(secrets, OBJECTS_PATH);
  const local = config.objects.s3 ? undefined : new LocalObjects({ folder: config.objects.folder, links });
  const objects = local ?? new S3Objects(config.objects.s3!);
  const store = new AuthStore(knex);
  const sessions = new Sessions({
    store,
    cache: keptCache,
    tokens,
    schoolDate: () => school.today(),
    log,
  });
  const guard = new LoginGuard(redis, (login) => keys.cache(`auth:fail:${login}`));
  const streams = new OpenStreams({ ...engine, log }, config.streams);
  metrics.gauge({ name: 'http_open_streams', help: 'Clients that listen to server-sent events' }, (gauge) =>
    gauge.set(streams.count),
  );
  metrics.gauge(
    { name: 'events_undelivered', help: 'Entries of the event log that some consumer has still to settle' },
    async (gauge) => gauge.set(await engine.eventLog.length()),
  );
  const logins = new SessionStore(knex);
  const { buffer, writer } = engine;
  const activity = new ActivityLog({ buffer, writer, db });
  const auth = new AuthService({ store, logins, guard, tokens, sessions, activity, log });
  const mailer = createMailer({ ...config.mail, folder: join(config.dataDir, 'mails'), log });
  const background = new Background(log);
  const services = createServices({
    engine,
    knex,
    db,
    activity,
    school,
    authStore: store,
    streams,
    objects,
    secrets,
    logins,
    sessions,
    tokens,
    guard,
    mailer,
    appUrl: config.appUrl,
    background,
    clock,
    log,
  });
  const limiter = new Limiter(redis, config.redis.prefix, config.http.rateLimitFactor);
  const idempotency = new Idempotency(redis, (user, key) => keys.cache(`idem:${user}:${key}`));
  const routes = [...createAuthRoutes({ auth }), ...services.routes];
  const app = createApp({
    routes,
    services: config.http.services,
    entities,
    intervalMs: config.sync.intervalMs,
    scopesFor: can,
    rowScopes: services.rowScopes,
    authenticate: (authorization, nowMs) => sessions.authenticate(authorization, nowMs),
    confirm: (authorization, nowMs) => sessions.confirm(authorization, nowMs),
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
        return (await auth.login(name, password, { ...origin, now: clock.now(), newId })).accessToken;
      },
      authenticate: (authorization) => sessions.authenticate(authorization, clock.now().getTime()),
    }),
    ...(local ? { objectLinks: createObjectLinks({ objects: local, links, clock, log }) } : {}),
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
    routes,
    consumers: services.consumers,
    tasks: services.tasks,
    notifications: services.notifications,
    dashboard: services.dashboard,
    departures: services.departures,
    schoolTimezone: () => school.timezone(),
    knex,
    streams,
    sessions,
    jobs: services.jobs,
    async close() {
      streams.stop();
      mailer.close();
      limiter.close();
      idempotency.close();
      await engine.close();
      await Promise.all([knex.destroy(), ...(reader === knex ? [] : [reader.destroy()]), client.close()]);
    },
  };
}
