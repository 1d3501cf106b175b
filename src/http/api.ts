import { randomUUID } from 'node:crypto';
import { parse as parseQueryString } from 'node:querystring';
import type { Request, Response } from 'express';
import {
  BufferFullError,
  ForbiddenError,
  IdempotencyKeyRequiredError,
  MalformedRequestError,
  MethodNotAllowedError,
  NotFoundError,
  OverloadedError,
} from '../errors/catalogue.ts';
import type { Actor, ScopeCode } from '../lib/actor.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { RowScopes } from '../lib/reach.ts';
import type { Reply, Route, ScopesFor } from '../lib/route.ts';
import { type Headers, sendProblem, sendReply } from './answer.ts';
import { ClientGoneError, readJson } from './body.ts';
import type { Attempt, Idempotency } from './idempotency.ts';
import type { Limiter } from './limiter.ts';
import { plainIp } from './plain-ip.ts';
import { toAppError } from './problem.ts';
import { Context } from './request-context.ts';
import { type PathParams, RouteTable } from './route-table.ts';
import { requireWithin } from './row-scope.ts';
import { createValidator, inspect, parseIfMatch } from './validation.ts';

export interface ApiDeps {
  routes: readonly Route[];
  /** Names of the services this process answers for; empty means all. */
  services: readonly string[];
  /** @throws an AppError with status 401 */
  authenticate: (authorization: string | undefined, nowMs: number) => Actor | Promise<Actor>;
  /** The same for a request let in before whose answer goes on: looks again, however lately it did. */
  confirm: (authorization: string | undefined, nowMs: number) => Promise<Actor>;
  /** The scopes in which a caller has the route's permission; none means forbidden. */
  scopesFor: ScopesFor;
  /** The rows behind scopes. */
  rowScopes: RowScopes;
  limiter: Limiter;
  idempotency: Idempotency;
  /** False while buffered writes are refused: memory is short, or Redis could lose them. */
  acceptsWrites: () => boolean;
  observe: (route: string, method: string, status: number, seconds: number) => void;
  /** Requests under way at most; more are told to come back. */
  mostInFlight?: number;
  trustedProxies: number;
  clock: Clock;
  log: Logger;
}

export const API_PREFIX = '/api/v1';
const BODY_BYTES = 256 * 1024;
/** Far above what one process answers in the time a client waits, far below what would fill its memory. */
const MOST_IN_FLIGHT = 2_000;
const REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/;
const MOST_AGENT_CHARACTERS = 500;

const NO_QUERY = Object.freeze({});
const REPLAYED: Headers = Object.freeze({ 'Idempotency-Replayed': 'true' });

/** A client's own request id where it is harmless in logs and headers, else a new one. */
export function requestIdOf({ headers }: Request): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

interface Compiled {
  route: Route;
  parseParams: (value: unknown) => unknown;
  parseQuery: (value: unknown) => unknown;
  parseBody: (value: unknown) => unknown;
  bodyLimitBytes: number;
}

const compile = (route: Route): Compiled => ({
  route,
  parseParams: createValidator(route.params, '/params'),
  parseQuery: createValidator(route.query, '/query'),
  parseBody: createValidator(route.body, ''),
  bodyLimitBytes: route.bodyLimitBytes ?? BODY_BYTES,
});

/**
 * Answers every request below `/api/v1`: one composed handler, in this order: find the route, know the caller, count the
 * request, check the permission, check params, query and body, check that the rows it names are the caller's, replay what was
 * answered before, call the service, answer. Nothing is read from the body of a request that is refused before.
 */
export class Api {
  readonly #deps: ApiDeps;
  readonly #table = new RouteTable<Compiled>();
  readonly #mostInFlight: number;
  /** Those that this process answers. */
  readonly routes: readonly Route[];
  #inFlight = 0;

  constructor(deps: ApiDeps) {
    this.#deps = deps;
    this.#mostInFlight = deps.mostInFlight ?? MOST_IN_FLIGHT;
    const known = new Set(deps.routes.map(({ service }) => service));
    for (const name of deps.services) {
      if (!known.has(name))
        throw new Error(`SERVICES names "${name}", which does not exist; there are ${[...known].sort().join(', ')}`);
    }
    this.routes = deps.routes.filter(({ service }) => deps.services.length === 0 || deps.services.includes(service));
    for (const route of this.routes) this.#table.add(route.method, API_PREFIX + route.path, compile(route));
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Never rejects: what goes wrong is answered. */
  async handle(request: Request, response: Response): Promise<void> {
    const startedMs = performance.now();
    const requestId = requestIdOf(request);
    const { url } = request;
    const question = url.indexOf('?');
    const path = question === -1 ? url : url.slice(0, question);
    let status = 500;
    let template = 'unknown';
    this.#inFlight++;
    try {
      if (this.#inFlight > this.#mostInFlight) throw new OverloadedError();
      const { target, params } = this.#find(request.method, path);
      template = target.route.path;
      status = await this.#answer(
        target,
        params,
        question === -1 ? '' : url.slice(question + 1),
        request,
        response,
        requestId,
      );
    } catch (error) {
      status = this.#refuse(error, request, response, requestId, path);
    } finally {
      this.#inFlight--;
      this.#deps.observe(template, request.method, status, (performance.now() - startedMs) / 1000);
    }
  }

  #find(method: string, path: string): { target: Compiled; params: PathParams } {
    const found = this.#table.find(method, path);
    if (found) return found;
    try {
      decodeURIComponent(path);
    } catch {
      throw new MalformedRequestError('the path is not well encoded');
    }
    const allowed = this.#table.methodsOf(path);
    if (allowed.length > 0) throw new MethodNotAllowedError({ headers: { Allow: allowed.join(', ') } });
    throw new NotFoundError('nothing answers at this path');
  }

  async #answer(
    target: Compiled,
    rawParams: PathParams,
    rawQuery: string,
    request: Request,
    response: Response,
    requestId: string,
  ): Promise<number> {
    const { route } = target;
    const { authenticate, limiter, clock, log, rowScopes, scopesFor } = this.#deps;
    const { headers } = request;
    const now = clock.now();
    const nowMs = now.getTime();
    const ip = this.#ipOf(request);
    let actor: Actor | undefined;
    if (route.access !== 'public') {
      const known = authenticate(headers.authorization, nowMs);
      actor = known instanceof Promise ? await known : known;
    }
    const counted = limiter.consume(route.rateLimit, actor ? actor.userId : ip);
    const limits = counted instanceof Promise ? await counted : counted;
    const scope = this.#scopeOf(route, actor);
    inspect(rawParams, '/params');
    const params = target.parseParams(rawParams);
    const query = target.parseQuery(rawQuery === '' ? NO_QUERY : inspected(parseQueryString(rawQuery), '/query'));
    let body: unknown;
    if (route.body) body = target.parseBody(inspected(await readJson(request, target.bodyLimitBytes), ''));
    if (route.mode === 'B' && !this.#deps.acceptsWrites()) throw new BufferFullError();
    const isLimited = scope.length > 0 && scope[0] !== 'A';
    const reach =
      isLimited && typeof route.within === 'object'
        ? await requireWithin(route.within, { params, query, body }, actor!, scope, rowScopes)
        : undefined;
    const ifMatch = route.mode === 'R' ? undefined : parseIfMatch(headers['if-match']);
    const key = this.#idempotencyKeyOf(route, headers['idempotency-key']);
    const user = actor ? actor.userId : ip;
    const attempt =
      key === undefined
        ? undefined
        : await this.#deps.idempotency.begin(user, key, [route.method, request.url, body], nowMs);
    if (attempt?.replay) {
      sendReply(response, attempt.replay, requestId, { ...limits, ...REPLAYED });
      return attempt.replay.status;
    }
    const context = new Context({
      params,
      query,
      body,
      actor,
      scope,
      reach,
      rowScopes,
      scopesFor,
      ifMatch,
      repeatable: attempt && {
        key: key!,
        method: route.method,
        path: request.url.split('?', 1)[0]!,
        hash: attempt.requestHash,
      },
      requestId,
      ip,
      userAgent: (headers['user-agent'] ?? '').slice(0, MOST_AGENT_CHARACTERS),
      log,
      now: attempt ? attempt.now : now,
      newId: attempt?.newId,
      headers,
      confirm: () => this.#deps.confirm(headers.authorization, clock.now().getTime()),
    });
    const reply = attempt ? await this.#attempt(route, context, attempt) : await route.handle(context);
    // Services cannot forget whom they answer: see `RowsOf`.
    if (isLimited && typeof route.within !== 'string' && !context.knowsReach)
      throw new Error(`${route.method} ${route.path} answered without asking which rows the caller reaches`);
    sendReply(response, reply, requestId, limits);
    return reply.status;
  }

  /** Calls the service and keeps what became of it for a repetition of the request. */
  async #attempt(route: Route, context: Context, attempt: Attempt): Promise<Reply> {
    let reply: Reply;
    try {
      reply = await route.handle(context);
    } catch (error) {
      // A refused request had no effect; one that broke may have had some, so its ids stay.
      await (toAppError(error).status < 500 ? attempt.abandon() : attempt.release()).catch(() => {});
      throw error;
    }
    // The effect is there: a repetition that finds no answer stored does it again with the same ids.
    await attempt
      .finish(repetitionOf(reply))
      .catch((error: Error) => context.log.warn('answer not kept for repetitions', { error }));
    return reply;
  }

  #scopeOf({ access }: Route, actor: Actor | undefined): readonly ScopeCode[] {
    if (typeof access === 'string') return NO_SCOPE;
    const scope = this.#deps.scopesFor(actor!, access.capability, access.verb, access.roles);
    if (scope.length === 0) throw new ForbiddenError();
    return scope;
  }

  #idempotencyKeyOf({ idempotency }: Route, header: string | string[] | undefined): string | undefined {
    if (idempotency === 'none') return undefined;
    if (typeof header === 'string') return header;
    if (idempotency === 'required') throw new IdempotencyKeyRequiredError();
    return undefined;
  }

  #ipOf(request: Request): string {
    // Express asks the list of proxies; without any the socket knows.
    return plainIp(this.#deps.trustedProxies > 0 ? request.ip : request.socket.remoteAddress);
  }

  #refuse(thrown: unknown, request: Request, response: Response, requestId: string, path: string): number {
    if (thrown instanceof ClientGoneError || response.headersSent) {
      response.destroy();
      return CLIENT_GONE;
    }
    const error = toAppError(thrown);
    if (error.status >= 500) {
      const fields = { requestId, method: request.method, path, code: error.code, error: error.cause ?? error };
      // What heals itself wakes nobody.
      if (error.status === 500) this.#deps.log.error('request failed', fields);
      else this.#deps.log.warn('request not served', fields);
    }
    sendProblem(response, error, requestId, path);
    return error.status;
  }
}

/** The answer as it may be kept. */
const repetitionOf = ({ repeatedData, ...reply }: Reply): Reply =>
  repeatedData === undefined ? reply : { ...reply, data: repeatedData };

/** For metrics only, as nginx counts it. */
const CLIENT_GONE = 499;
const NO_SCOPE: readonly ScopeCode[] = Object.freeze([]);

function inspected(value: unknown, prefix: string): unknown {
  inspect(value, prefix);
  return value;
}
