import { LRUCache } from 'lru-cache';
import type { Cache } from '../../cache/cache.ts';
import {
  ExpiredTokenError,
  InvalidTokenError,
  SessionEndedError,
  UnauthenticatedError,
} from '../../errors/catalogue.ts';
import type { Actor, Role, Scopes } from '../../lib/actor.ts';
import type { Log } from '../../lib/log.ts';
import type { AuthStore } from './auth-store.ts';
import type { AccessClaims, Tokens } from './tokens.ts';

/** What a login is worth: who, which roles, which rows. Kept in Redis, loaded from PostgreSQL at a miss. */
export interface Session {
  userId: string;
  login: string;
  name: string;
  roles: Role[];
  epoch: number;
  isActive: boolean;
  expiresAtMs: number;
  /** School date of the scopes: who is in which class follows the day. Logins kept by an older program do not say. */
  on?: string;
  scopes: Scopes;
}

interface Known {
  claims: AccessClaims;
  actor: Actor;
  checkedAtMs: number;
  /** A check under way, which requests of the same moment share. */
  checking?: Promise<Actor> | undefined;
}

/** DOMAIN §7 `session:{token}` */
const SESSION_SECONDS = 30 * 60;
/** A login in use goes on for so long while PostgreSQL is down. */
const STALE_SECONDS = 86_400;
/** A4: other processes notice a suspension within a second. */
const RECHECK_MS = 1_000;
const MOST_TOKENS = 20_000;

const sessionKey = (sid: string): string => `session:${sid}`;
/** Cache group of what is known of a user: logins, rights and profile go together (DOMAIN §7). */
export const userGroup = (userId: string): string => `user:sessions:${userId}`;

/**
 * Tells who sends a request. A verified token is remembered in the process, so that a request costs a look-up; the session
 * behind it is looked at again once a second.
 */
export class Sessions {
  readonly #store: AuthStore;
  readonly #cache: Cache;
  readonly #tokens: Tokens;
  readonly #schoolDate: () => Promise<string>;
  readonly #log: Log;
  readonly #known = new LRUCache<string, Known>({ max: MOST_TOKENS });

  constructor(deps: {
    store: AuthStore;
    cache: Cache;
    tokens: Tokens;
    schoolDate: () => Promise<string>;
    log: Log;
  }) {
    this.#store = deps.store;
    this.#cache = deps.cache;
    this.#tokens = deps.tokens;
    this.#schoolDate = deps.schoolDate;
    this.#log = deps.log;
  }

  /** @throws UnauthenticatedError, InvalidTokenError, ExpiredTokenError, SessionEndedError */
  authenticate(authorization: string | undefined, nowMs: number): Actor | Promise<Actor> {
    if (!authorization) throw new UnauthenticatedError();
    const known = this.#known.get(authorization);
    if (!known) return this.#check(authorization, undefined, nowMs);
    if (known.claims.expiresAtMs <= nowMs) throw new ExpiredTokenError();
    return nowMs - known.checkedAtMs < RECHECK_MS ? known.actor : this.#recheck(authorization, known, nowMs);
  }

  /** The same, but looks at the session now, however lately that was done: for connections that stay open. */
  async confirm(authorization: string | undefined, nowMs: number): Promise<Actor> {
    const known = this.#known.get(authorization ?? '');
    if (!authorization || !known) return this.authenticate(authorization, nowMs);
    if (known.claims.expiresAtMs <= nowMs) throw new ExpiredTokenError();
    return this.#recheck(authorization, known, nowMs);
  }

  /** Loads a login, so that its next request finds it in Redis even if PostgreSQL is down by then. */
  async open(sid: string, userId: string): Promise<Session> {
    const session = await this.#load(sid, userId);
    if (!session) throw new SessionEndedError();
    return session;
  }

  /**
   * Changes rows that logins of these users rest on: status, roles, epoch, the logins themselves. Once the change is
   * committed no process takes the old ones for longer than the second until its next look (A4). Copies in Redis are fenced
   * off before, so that holds as well when Redis goes away in between; if it is away already, nothing is changed.
   *
   * @throws what Redis throws when it is away; what the change throws
   */
  async changing<T>(userIds: readonly string[], change: () => Promise<T>): Promise<T> {
    await this.#cache.fence(...userIds.map(userGroup));
    try {
      return await change();
    } finally {
      await this.forget(...userIds).catch((error: unknown) => {
        this.#log.warn('sessions are dropped by their fence only', { userIds, error });
      });
    }
  }

  /** Forgets what is known of users whose rows have changed, their logins, rights and profile; other processes follow within a second. */
  async forget(...userIds: string[]): Promise<void> {
    const changed = new Set(userIds);
    for (const [token, { claims }] of this.#known.entries()) if (changed.has(claims.userId)) this.#known.delete(token);
    await this.#cache.drop(...userIds.map(userGroup));
  }

  #recheck(authorization: string, known: Known, nowMs: number): Promise<Actor> {
    known.checking ??= this.#check(authorization, known, nowMs).finally(() => {
      known.checking = undefined;
    });
    return known.checking;
  }

  async #check(authorization: string, known: Known | undefined, nowMs: number): Promise<Actor> {
    const claims = known?.claims ?? (await this.#verify(authorization, nowMs));
    let session: Session | null;
    try {
      session = await this.#load(claims.sid, claims.userId);
    } catch (error) {
      // Neither Redis nor PostgreSQL knows: who was let in a second ago may go on until the token expires.
      if (!known) throw error;
      known.checkedAtMs = nowMs;
      return known.actor;
    }
    if (
      !session?.isActive ||
      session.epoch !== claims.epoch ||
      session.userId !== claims.userId ||
      session.expiresAtMs <= nowMs
    ) {
      this.#known.delete(authorization);
      throw new SessionEndedError();
    }
    const { userId, login, name, roles, scopes } = session;
    const actor: Actor = { userId, login, name, roles, sid: claims.sid, scopes: async () => scopes };
    this.#known.set(authorization, { claims, actor, checkedAtMs: nowMs });
    return actor;
  }

  async #verify(authorization: string, nowMs: number): Promise<AccessClaims> {
    const token = /^Bearer ([A-Za-z0-9_.-]+)$/i.exec(authorization)?.[1];
    if (!token) throw new InvalidTokenError('send Authorization: Bearer <access token>');
    return this.#tokens.verify(token, nowMs);
  }

  async #load(sid: string, userId: string): Promise<Session | null> {
    const on = await this.#schoolDate();
    const { value } = await this.#cache.get<Session | null>({
      name: sessionKey(sid),
      group: userGroup(userId),
      ttlSeconds: SESSION_SECONDS,
      staleSeconds: STALE_SECONDS,
      isCurrent: (session) => session?.on === undefined || session.on === on,
      load: async () => {
        const row = await this.#store.findSession(sid);
        if (!row) return null;
        return {
          userId: row.userId,
          login: row.login,
          name: row.name,
          roles: row.roles,
          epoch: row.epoch,
          isActive: row.status === 'active' && row.revokedAt === null,
          expiresAtMs: Date.parse(row.expiresAt),
          on,
          scopes: await this.#store.findScopes(row.userId, on),
        };
      },
    });
    return value;
  }
}
