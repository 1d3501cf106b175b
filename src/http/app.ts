import { randomUUID } from 'node:crypto';
import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express';

import {
  BufferFullError,
  ForbiddenError,
  IdempotencyKeyRequiredError,
  MethodNotAllowedError,
  NotFoundError,
  UnsupportedMediaTypeError,
} from '../errors/catalogue.ts';
import type { Actor, ScopeCode } from '../lib/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import type { Capability, Reply, RequestContext, Route, Verb } from '../lib/route.ts';
import type { Attempt, Idempotency } from './idempotency.ts';
import type { Limiter } from './limiter.ts';
import { problemOf, RETRY_AFTER_SECONDS, toAppError } from './problem.ts';
import type { Readiness } from './readiness.ts';
import { securityHeaders } from './security-headers.ts';
import { createValidator, inspect, parseIfMatch } from './validation.ts';

export interface AppDeps {
  routes: readonly Route[];
  /** Names of the services this process answers for; empty means all. */
  services: readonly string[];
  /** @throws an AppError with status 401 */
  /** The scopes in which a caller has the route's permission; none means forbidden. */
  scopesFor: (actor: Actor, capability: Capability, verb: Verb) => readonly ScopeCode[];
  authenticate: (authorization: string | undefined, nowMs: number) => Actor | Promise<Actor>;
  limiter: Limiter;
  idempotency: Idempotency;
  /** False while buffered writes cannot be taken: memory is short, or Redis could lose them. */
  acceptsWrites: () => boolean;
  /** Buffered writes go on when they cannot be taken: the services then write through. */
  writesThrough: boolean;
  readiness: () => Promise<Readiness>;
  observe: (route: string, method: string, status: number, seconds: number) => void;
  /** Bull Board, already behind its own login. */
  adminQueues?: { path: string; router: Router };
  trustedProxies: number;
  clock: Clock;
  log: Logger;
}

export const API_PREFIX = '/api/v1';
const BODY_BYTES = 256 * 1024;
const REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/;
const MOST_AGENT_CHARACTERS = 500;
const JSON_TYPE = 'application/json; charset=utf-8';
const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

const requestIdOf = (request: Request): string => {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
};

/** The application without a server: every route of the services, in one composed handler each. */
export function createApp(deps: AppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', deps.trustedProxies);
  app.set('query parser', 'simple');

  app.get('/healthz', (_request, response) => void response.writeHead(200, { ...securityHeaders, 'Content-Type': JSON_TYPE }).end('{"status":"ok"}'));
  app.get('/readyz', async (_request, response) => {
    const report = await deps.readiness();
    response
      .writeHead(report.isReady ? 200 : 503, {
        ...securityHeaders,
        'Content-Type': JSON_TYPE,
        'Cache-Control': 'no-store',
        ...(report.isReady ? {} : { 'Retry-After': String(RETRY_AFTER_SECONDS) }),
      })
      .end(JSON.stringify(report.body));
  });
  if (deps.adminQueues) app.use(deps.adminQueues.path, deps.adminQueues.router);

  const methods = new Map<string, string[]>();
  for (const route of deps.routes) {
    if (deps.services.length > 0 && !deps.services.includes(route.service)) continue;
    const path = API_PREFIX + route.path;
    const parsers = route.body ? [express.json({ limit: route.bodyLimitBytes ?? BODY_BYTES, strict: false, type: isJson, inflate: true })] : [];
    app[route.method.toLowerCase() as Lowercase<Route['method']>](path, ...parsers, createHandler(route, deps));
    methods.set(path, [...(methods.get(path) ?? []), route.method]);
  }
  for (const [path, allowed] of methods) {
    app.all(path, () => {
      throw new MethodNotAllowedError({ headers: { Allow: allowed.join(', ') } });
    });
  }
  app.use((request) => {
    throw new NotFoundError(`nothing answers at ${request.path.slice(0, 200)}`);
  });
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) next(error);
    else sendProblem(error, request, response, requestIdOf(request), deps);
  });
  return app;
}

const isJson = (request: { headers: { 'content-type'?: string } }): boolean => /^application\/(json|[\w.+-]+\+json)\b/i.test(request.headers['content-type'] ?? '');

function createHandler(route: Route, deps: AppDeps): (request: Request, response: Response) => Promise<void> {
  const parseParams = createValidator(route.params, '/params');
  const parseQuery = createValidator(route.query, '/query');
  const parseBody = createValidator(route.body, '');
  const scopes = createScopeCheck(route, deps);
  const isChange = route.mode !== 'R';
  const { idempotency, rateLimit: limit } = route;
  const { limiter, clock, log } = deps;

  return async (request, response) => {
    const startedMs = performance.now();
    const requestId = requestIdOf(request);
    let status = 500;
    let attempt: Attempt | undefined;
    try {
      const now = clock.now();
      const ip = request.ip ?? '';
      const actor = route.access === 'public' ? undefined : await deps.authenticate(request.headers.authorization ?? undefined, now.getTime());
      const counted = limiter.consume(limit, actor?.userId ?? ip, now.getTime());
      const limits = counted instanceof Promise ? await counted : counted;
      const scope = scopes(actor);
      if (route.body) requireJson(request);
      const params = parseParams(request.params);
      const query = parseQuery(request.query);
      let body: unknown;
      if (route.body) {
        inspect(request.body);
        body = parseBody(request.body);
      }
      if (route.mode === 'B' && !deps.writesThrough && !deps.acceptsWrites()) {
        throw new BufferFullError({ headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } });
      }
      const ifMatch = isChange ? parseIfMatch(request.headers['if-match']) : undefined;
      const key = request.headers['idempotency-key'];
      if (typeof key === 'string' && idempotency !== 'none') {
        const user = actor?.userId ?? ip;
        attempt = await deps.idempotency.begin(user, key, [route.method, request.originalUrl, body], now.getTime());
        if (attempt.replay) {
          status = attempt.replay.status;
          send(response, attempt.replay, { ...limits, 'Idempotency-Replayed': 'true' }, requestId);
          return;
        }
      } else if (idempotency === 'required') throw new IdempotencyKeyRequiredError();
      const context: RequestContext = {
        params,
        query,
        body,
        actor: actor!,
        scope,
        ...(ifMatch === undefined ? {} : { ifMatch }),
        ...(typeof key === 'string' ? { idempotencyKey: key } : {}),
        requestId,
        ip,
        userAgent: (request.headers['user-agent'] ?? '').slice(0, MOST_AGENT_CHARACTERS),
        log,
        now,
        newId: attempt?.newId ?? newId,
      };
      const reply = await route.handle(context);
      await attempt?.finish(reply);
      status = reply.status;
      send(response, reply, limits, requestId);
    } catch (error) {
      status = sendProblem(error, request, response, requestId, deps);
      // A refused request had no effect; one that broke may have had some, so its ids stay.
      await (status < 500 ? attempt?.abandon() : attempt?.release())?.catch(() => {});
    } finally {
      deps.observe(route.path, route.method, status, (performance.now() - startedMs) / 1000);
    }
  };
}

function createScopeCheck({ access }: Route, { scopesFor }: AppDeps): (actor: Actor | undefined) => readonly ScopeCode[] {
  if (access === 'public' || access === 'authenticated') return () => [];
  return (actor) => {
    const scopes = scopesFor(actor!, access.capability, access.verb);
    if (scopes.length === 0) throw new ForbiddenError();
    return scopes;
  };
}

function requireJson(request: Request): void {
  const length = request.headers['content-length'];
  const hasBody = request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
  if (hasBody && !isJson(request)) throw new UnsupportedMediaTypeError('send Content-Type: application/json');
}

function send(response: Response, reply: Reply, limits: Record<string, string>, requestId: string): void {
  const headers: Record<string, string | number> = { ...securityHeaders, ...limits, 'X-Request-Id': requestId, 'Cache-Control': 'no-store' };
  if (reply.etag !== undefined) headers.ETag = `"${reply.etag}"`;
  if (reply.location !== undefined) headers.Location = reply.location;
  if (reply.syncStatus !== undefined) headers['Sync-Status'] = reply.syncStatus;
  Object.assign(headers, reply.headers);
  if (reply.status === 204) {
    response.writeHead(204, headers).end();
    return;
  }
  const content = JSON.stringify({ data: reply.data ?? null, meta: reply.meta ?? {} });
  headers['Content-Type'] = JSON_TYPE;
  headers['Content-Length'] = Buffer.byteLength(content);
  response.writeHead(reply.status, headers).end(content);
}

function sendProblem(thrown: unknown, request: Request, response: Response, requestId: string, { log }: AppDeps): number {
  const error = toAppError(thrown);
  if (error.status >= 500) {
    const cause = (error.cause ?? error) as Error;
    log[error.status === 500 ? 'error' : 'warn']('request failed', { requestId, path: request.path, code: error.code, error: cause.message, stack: error.status === 500 ? cause.stack : undefined });
  }
  const content = JSON.stringify(problemOf(error, requestId, request.path.slice(0, 500)));
  response
    .writeHead(error.status, {
      ...securityHeaders,
      'Content-Type': PROBLEM_TYPE,
      'Content-Length': Buffer.byteLength(content),
      'Cache-Control': 'no-store',
      'X-Request-Id': requestId,
      ...(error.status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
      ...error.headers,
    })
    .end(content);
  return error.status;
}

