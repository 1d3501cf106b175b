import type { IncomingHttpHeaders } from 'node:http';
import type { Actor, ScopeCode } from '../lib/actor.ts';
import { newId } from '../lib/ids.ts';
import type { Logger } from '../lib/logger.ts';
import type { RepeatableRequest, RequestContext } from '../lib/route.ts';

export interface ContextParts {
  params: unknown;
  query: unknown;
  body: unknown;
  actor: Actor | undefined;
  scope: readonly ScopeCode[];
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
  }

  get actor(): Actor {
    if (!this.#actor) throw new Error('a public route has no actor');
    return this.#actor;
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
