import type { IncomingHttpHeaders } from 'node:http';
import type { Actor, ScopeCode } from '../lib/actor.ts';
import { newId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import type { Reach, RowScopes } from '../lib/reach.ts';
import type { Capability, Reading, RepeatableRequest, RequestContext, ScopesFor, Verb } from '../lib/route.ts';

export interface ContextParts {
  params: unknown;
  query: unknown;
  body: unknown;
  actor: Actor | undefined;
  scope: readonly ScopeCode[];
  /** Where it was looked at before the handler. */
  reach: Reach | undefined;
  rowScopes: RowScopes;
  scopesFor: ScopesFor;
  ifMatch: number | undefined;
  repeatable: RepeatableRequest | undefined;
  requestId: string;
  ip: string;
  userAgent: string;
  log: Logger;
  now: Date;
  /** Ids of a request that may be repeated; random ones without. */
  newId: (() => string) | undefined;
  headers: IncomingHttpHeaders;
  confirm: () => Promise<unknown>;
}

/** One request as its handler sees it. A class, so that what few handlers use costs nothing until it is used. */
export class Context implements RequestContext {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly scope: readonly ScopeCode[];
  readonly ifMatch: number | undefined;
  readonly repeatable: RepeatableRequest | undefined;
  readonly requestId: string;
  readonly ip: string;
  readonly userAgent: string;
  readonly now: Date;
  readonly newId: () => string;
  readonly #actor: Actor | undefined;
  readonly #log: Logger;
  readonly #headers: IncomingHttpHeaders;
  readonly #confirm: () => Promise<unknown>;
  readonly #rowScopes: RowScopes;
  readonly #scopesFor: ScopesFor;
  #reach: Promise<Reach> | undefined;
  #ownLog: Logger | undefined;

  constructor(parts: ContextParts) {
    this.params = parts.params;
    this.query = parts.query;
    this.body = parts.body;
    this.scope = parts.scope;
    this.ifMatch = parts.ifMatch;
    this.repeatable = parts.repeatable;
    this.requestId = parts.requestId;
    this.ip = parts.ip;
    this.userAgent = parts.userAgent;
    this.now = parts.now;
    this.newId = parts.newId ?? newId;
    this.#actor = parts.actor;
    this.#log = parts.log;
    this.#headers = parts.headers;
    this.#confirm = parts.confirm;
    this.#rowScopes = parts.rowScopes;
    this.#scopesFor = parts.scopesFor;
    this.#reach = parts.reach && Promise.resolve(parts.reach);
  }

  get actor(): Actor {
    if (!this.#actor) throw new Error('a public route has no actor');
    return this.#actor;
  }

  reach(): Promise<Reach> {
    this.#reach ??= this.#rowScopes.reachOf(this.actor, this.scope);
    return this.#reach;
  }

  /** Whether the request's rows have been looked at, by the platform or by the handler. */
  get knowsReach(): boolean {
    return this.#reach !== undefined;
  }

  namedReach(): Promise<Reach> {
    return this.scope.includes('A')
      ? this.#rowScopes.reachOf(
          this.actor,
          this.scope.filter((code) => code !== 'A'),
        )
      : this.reach();
  }

  under(capability: Capability, verb: Verb): Reading {
    const { actor, now } = this;
    const scope = this.#scopesFor(actor, capability, verb);
    let reach: Promise<Reach> | undefined;
    return {
      actor,
      now,
      scope,
      reach: () => {
        reach ??= this.#rowScopes.reachOf(actor, scope);
        return reach;
      },
    };
  }

  get log(): Logger {
    this.#ownLog ??= this.#log.child({ requestId: this.requestId });
    return this.#ownLog;
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return typeof value === 'string' ? value : value?.[0];
  }

  async confirm(): Promise<void> {
    await this.#confirm();
  }
}
