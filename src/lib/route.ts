import type Joi from 'joi';
import type { Actor, Role, ScopeCode } from './actor.ts';
import type { Logger } from './logger.ts';
import type { Reach, RowsOf } from './reach.ts';
import { type WriteReceipt, writeId } from './write-receipt.ts';

/** DOMAIN §0: read, write-through, buffered write, job. */
export type RouteMode = 'R' | 'T' | 'B' | 'J';

/** r read, w create or change, x approve or void, d delete; the words are for what fits none of these. */
export type Verb = 'r' | 'w' | 'x' | 'd' | 'submit' | 'mark' | 'void' | 'pay' | 'reverse' | 'rsvp';

/** Rows of DOMAIN §1. */
export type Capability =
  | 'users'
  | 'own_profile'
  | 'students'
  | 'structure'
  | 'dashboards'
  | 'leaderboard'
  /** Giving points by hand (§4.2); it has no row of its own in §1. */
  | 'points'
  | 'announcements'
  | 'question_bank'
  | 'quizzes'
  | 'quiz_attempts'
  | 'homework'
  | 'attendance'
  | 'attendance_corrections'
  | 'leave_requests'
  | 'fee_setup'
  | 'invoices'
  | 'payments'
  | 'refunds'
  | 'stock'
  | 'transport'
  | 'trips'
  | 'events'
  | 'term_marks'
  | 'report_cards'
  | 'reports'
  | 'buffers'
  | 'audit_log';

/** A permission of DOMAIN §1. */
export interface Permission {
  readonly capability: Capability;
  readonly verb: Verb;
  /** Where a route is for fewer roles than have the capability (DOMAIN §4): only what these roles give counts. */
  readonly roles?: readonly Role[];
}

/** Who may call a route: anybody, anybody logged in, or those whose roles have a permission. */
export type Access = 'public' | 'authenticated' | Permission;

/**
 * The scopes in which somebody's roles have a permission, widest first; none means forbidden.
 *
 * @param only roles that count; all unless told
 */
export type ScopesFor = (
  actor: Pick<Actor, 'roles'>,
  capability: Capability,
  verb: Verb,
  only?: readonly Role[],
) => readonly ScopeCode[];

export type RateLimitName = 'default' | 'login' | 'recovery' | 'autosave' | 'pings' | 'reports' | 'imports';

/** What a repeated request is known by. */
export interface RepeatableRequest {
  /** The Idempotency-Key, unique to its user. */
  key: string;
  method: string;
  /** Without the query. */
  path: string;
  /** Of method, address and body: the same key with another request is a mistake of the client. */
  hash: string;
}

/** What a handler gets: everything is checked by then. */
export interface RequestContext<P = unknown, Q = unknown, B = unknown> {
  params: P;
  query: Q;
  body: B;
  /** @throws on a public route, which has none */
  readonly actor: Actor;
  /** What the actor's roles cover for the route's permission, widest first; empty where the route asks for none. */
  scope: readonly ScopeCode[];
  /** The rows that this scope reaches, worked out once when it is first asked for; nothing where the route asks for no permission. */
  reach(): Promise<Reach>;
  /** The rows that the actor's roles with less than all rows reach: of these it may see more than of the rest. */
  namedReach(): Promise<Reach>;
  /** The same request under another permission, for what is seen by whoever sees something else. */
  under(capability: Capability, verb: Verb): Reading;
  /** The version the client wants to replace (If-Match). */
  ifMatch?: number;
  /** Set when the request came with an Idempotency-Key. */
  repeatable?: RepeatableRequest;
  requestId: string;
  ip: string;
  userAgent: string;
  /** Adds the request id to every line. */
  readonly log: Logger;
  /** Time of the request; when an Idempotency-Key repeats it, that of the first. */
  now: Date;
  /** A new UUIDv7. With an Idempotency-Key a repeated request gets the same ids in the same order, so its writes hit the same rows. */
  newId(): string;
  /** A header that only few routes know. @param name in lower case */
  header(name: string): string | undefined;
  /**
   * Looks again, now, at the login behind the request: for answers that go on after it was checked.
   *
   * @throws what the request would get if it came now: its token has expired, the login has ended
   */
  confirm(): Promise<void>;
}

/** Who reads, and which rows: enough for services that only answer. */
export type Reading = Pick<RequestContext, 'actor' | 'scope' | 'now' | 'reach'>;

/** The open end of an answer that goes on. */
export interface OpenAnswer {
  /** Sends a piece. A client that leaves too much of what was sent before unread is cut instead: memory stays bounded. */
  write(text: string): void;
  /** Ends the answer in order, after what was written. */
  end(): void;
  /** Called once when nobody is there any more, whoever hung up; at once when that is so already. */
  onClose(listener: () => void): void;
}

/** A body that is sent piece by piece for as long as its reader stays, without the envelope. */
export interface StreamBody {
  contentType: string;
  /** Called once the head of the answer is on its way. */
  start(answer: OpenAnswer): void;
}

/** An answer without its envelope. */
export interface Reply {
  status: number;
  /** Sent instead of `data` and `meta`. */
  stream?: StreamBody;
  data?: unknown;
  /** What a repetition with the same Idempotency-Key gets in place of `data`, where that holds what must not be kept. */
  repeatedData?: unknown;
  meta?: Record<string, unknown>;
  /** Version; sent as `ETag: "<version>"`. */
  etag?: number;
  location?: string;
  syncStatus?: 'buffered' | 'stored';
  /** Sent as it is, instead of `data` and `meta` in their envelope. */
  text?: { type: string; body: string };
  headers?: Readonly<Record<string, string>>;
}

export type SuccessStatus = 200 | 201 | 202 | 204;

export interface RouteDefinition<P, Q, B> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/api/v1`, with `:name` for parameters. */
  path: string;
  /** The service it belongs to; SERVICES chooses by this name. */
  service: string;
  summary: string;
  mode: RouteMode;
  access: Access;
  /** Whose rows it is about; looked at for callers with less than all rows. */
  within?: RowsOf<P, Q, B>;
  /** All parameters and fields must be named: unknown ones are errors. Numbers and booleans of a body are not made of texts. */
  params?: Joi.ObjectSchema<P>;
  query?: Joi.ObjectSchema<Q>;
  body?: Joi.Schema<B>;
  /** Bytes; 256 kB unless told. */
  bodyLimitBytes?: number;
  /** POST: `optional` unless told; other methods and public routes: `none`. */
  idempotency?: 'required' | 'optional' | 'none';
  /** `default` unless told. */
  rateLimit?: RateLimitName;
  /** What `data` holds; null where an answer has no body (204). The tests hold every answer against it. */
  response: Joi.Schema | null;
  /** Statuses of success where they are not those of the mode (`successOf`). */
  success?: readonly SuccessStatus[];
  /** Members of `meta` that only this route has; the common ones are known (`src/http/openapi/envelope.ts`). */
  meta?: Readonly<Record<string, Joi.Schema>>;
  /** Media type of an answer that is no envelope, such as `text/calendar`. */
  produces?: string;
  /** Mode B: the entity whose buffered write this is; its lane and durability are shown in the API description. */
  entity?: string;
  /** Codes of its own, for the API description. */
  errors?: readonly string[];
  handle(ctx: RequestContext<P, Q, B>): Promise<Reply>;
}

/** A route as HTTP mounts it and the API description lists it; what it does with its context is its own business. */
export type Route = RouteDefinition<unknown, unknown, unknown> & {
  readonly idempotency: 'required' | 'optional' | 'none';
  readonly rateLimit: RateLimitName;
};

/**
 * What a route answers when all is well: a read 200; a committed write 201 for a POST, else 200, or 204 without data; a job
 * 202; a buffered write 202, or what a committed one answers when it went through to its database.
 */
export function successOf({
  mode,
  method,
  response,
  success,
}: Pick<Route, 'mode' | 'method' | 'response' | 'success'>): readonly SuccessStatus[] {
  if (success) return success;
  if (mode === 'J') return [202];
  const committed = response === null ? 204 : mode !== 'R' && method === 'POST' ? 201 : 200;
  return mode === 'B' ? [202, committed] : [committed];
}

/** Numbers and booleans in a JSON body have their own syntax: `"5"` is a wrong type, not a 5. */
function strictScalars(schema: Joi.Schema): Joi.Schema {
  const own = schema.type === 'number' || schema.type === 'boolean' ? schema.strict() : schema;
  return (own as JoiInternals).$_modify({ each: strictScalars, ref: false }).$_mutateRebuild();
}

/** Both are documented for extensions (joi's API, "Advanced functions") and left out of the types. */
type JoiInternals = Joi.Schema & {
  $_modify(options: { each: (schema: Joi.Schema) => Joi.Schema; ref: boolean }): JoiInternals;
  $_mutateRebuild(): Joi.Schema;
};

/** Checks and completes the description of one endpoint. It is data: nothing happens until HTTP mounts it. */
export function defineRoute<P = Record<string, never>, Q = Record<string, never>, B = undefined>(
  definition: RouteDefinition<P, Q, B>,
): Route {
  const { method, path, access } = definition;
  if (!/^(\/:?[a-zA-Z0-9._-]+)+$/.test(path)) throw new Error(`route path ${path} must look like /homework/:id`);
  const isRepeatable = method === 'POST' && access !== 'public';
  const route = {
    ...definition,
    ...(definition.body ? { body: strictScalars(definition.body) } : {}),
    idempotency: definition.idempotency ?? (isRepeatable ? ('optional' as const) : ('none' as const)),
    rateLimit: definition.rateLimit ?? ('default' as const),
  };
  if (route.idempotency !== 'none' && !isRepeatable)
    throw new Error(`${method} ${path}: only a POST of somebody logged in takes an Idempotency-Key`);
  // The cast: P, Q and B are what the schemas above make of a request, which the mounter cannot know.
  return Object.freeze(route) as unknown as Route;
}

export const ok = (
  data: unknown,
  meta?: Record<string, unknown>,
  rest: Pick<Reply, 'etag' | 'headers'> = {},
): Reply => ({ status: 200, data, meta, ...rest });

/** A row that is committed: 201. */
export const created = (
  data: unknown,
  { version, location, meta }: { version?: number; location: string; meta?: Record<string, unknown> },
): Reply => ({
  status: 201,
  data,
  meta,
  etag: version,
  location,
  syncStatus: 'stored',
});

/** A change that is committed: 200. */
export const stored = (
  data: unknown,
  { version, meta }: { version?: number; meta?: Record<string, unknown> } = {},
): Reply => ({
  status: 200,
  data,
  meta,
  etag: version,
  syncStatus: 'stored',
});

export const noContent = (): Reply => ({ status: 204 });

/**
 * The answer to a write by the buffer: 202 while it waits there, 201 or 200 when it went through to its database.
 *
 * @param receipts of the resource's own writes; the first one's version is the ETag
 */
export function written(
  data: unknown,
  receipts: readonly WriteReceipt[],
  { location, isNew = false }: { location?: string; isNew?: boolean } = {},
): Reply {
  const isPending = receipts.some((receipt) => receipt.isPending);
  const lastMs = Math.max(...receipts.map(({ storedBy }) => storedBy?.getTime() ?? 0));
  return {
    status: isPending ? 202 : isNew ? 201 : 200,
    data,
    meta: {
      pending: isPending,
      ...(isPending ? { stored_by: new Date(lastMs).toISOString() } : {}),
      writes: receipts.map(writeId),
    },
    etag: receipts[0]?.version,
    location,
    syncStatus: isPending ? 'buffered' : 'stored',
  };
}
