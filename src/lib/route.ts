import type Joi from 'joi';
import type { Capability, ScopeCode, Verb } from './access.ts';
import type { Actor } from './actor.ts';
import type { Log } from './log.ts';

/** How a change reaches the database: write-through, buffered, as a job; or a read (DOMAIN §0). */
export type Mode = 'R' | 'T' | 'B' | 'J';

export type Access = 'public' | 'authenticated' | { capability: Capability; verb: Verb };

/** What a handler gets: validated input, the caller, and the request's own tools. */
export interface RequestContext<Params = unknown, Query = unknown, Body = unknown> {
  params: Params;
  query: Query;
  body: Body;
  /** Absent on public routes. */
  actor: Actor;
  /** The scopes that the caller's roles have for the route's capability and verb. */
  scope: ScopeCode[];
  /** Version that the caller requires (If-Match). */
  ifMatch?: number;
  idempotencyKey?: string;
  requestId: string;
  ip: string;
  userAgent: string;
  log: Log;
  now: Date;
  /** A fresh id; with an Idempotency-Key the same ones again when the request is repeated. */
  newId(): string;
}

export type SyncStatus = 'buffered' | 'stored';

export interface Reply {
  status: number;
  data?: unknown;
  meta?: Record<string, unknown>;
  /** Version of the resource. */
  version?: number;
  location?: string;
  syncStatus?: SyncStatus;
  headers?: Record<string, string>;
}

export interface RouteSpec<Params = unknown, Query = unknown, Body = unknown> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** Below /api/v1, express syntax: `/homework/:id`. */
  path: string;
  service: string;
  summary: string;
  mode: Mode;
  access: Access;
  params?: Joi.ObjectSchema;
  query?: Joi.ObjectSchema;
  body?: Joi.ObjectSchema;
  /** Whether POSTs take an Idempotency-Key: optional unless told. */
  idempotency?: 'required' | 'optional' | 'none';
  /** Limit besides the default of the caller. */
  rateLimit?: 'login';
  /** Body bytes at most; 256 KiB unless told. */
  maxBodyBytes?: number;
  /** Codes of its own; every route may answer the common ones. */
  errors?: readonly string[];
  handle(context: RequestContext<Params, Query, Body>): Promise<Reply>;
}

/** A route is data: the platform mounts it, the API's description is made from it. */
export type Route = RouteSpec<never, never, never>;

export const defineRoute = <Params = unknown, Query = unknown, Body = unknown>(spec: RouteSpec<Params, Query, Body>): Route =>
  Object.freeze(spec) as unknown as Route;

export const ok = (data: unknown, options: { meta?: Record<string, unknown>; version?: number } = {}): Reply => ({ status: 200, data, ...options });

export const created = (data: unknown, options: { location: string; version?: number }): Reply => ({
  status: 201,
  data,
  syncStatus: 'stored',
  ...options,
});

/** A buffered write: accepted, readable at once, stored later. */
export const accepted = (data: unknown, options: { version: number; location: string; meta?: Record<string, unknown> }): Reply => ({
  status: 202,
  data,
  meta: { pending: true, ...options.meta },
  version: options.version,
  location: options.location,
  syncStatus: 'buffered',
});

export const noContent = (): Reply => ({ status: 204, syncStatus: 'stored' });
