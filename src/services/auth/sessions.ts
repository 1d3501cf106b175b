import type { Cache } from '../../cache/cache.ts';
import { InvalidTokenError, SessionEndedError, UnauthenticatedError } from '../../errors/catalogue.ts';
import type { Actor, Role, Scopes } from '../../lib/actor.ts';
import type { AuthStore } from './auth-store.ts';
import type { AccessClaims, Tokens } from './tokens.ts';

/** What a login is worth: who, which roles, which rows. Kept in Redis, loaded from PostgreSQL at a miss. */
interface Session {
  userId: string;
  login: string;
  name: string;
  roles: Role[];
  epoch: number;
  isActive: boolean;
  expiresAtMs: number;
  scopes: Scopes;
}

interface Known {
  claims: AccessClaims;
  actor: Actor;
  checkedAtMs: number;
}

/** DOMAIN §7 `session:{token}` */
const SESSION_SECONDS = 30 * 60;
/** A login in use goes on while PostgreSQL is down, as long as its own lifetime allows. */
const STALE_SECONDS = 30 * 86_400;
/** A4: other processes notice a suspension within a second. */
const RECHECK_MS = 1_000;
const MOST_TOKENS = 20_000;

const sessionKey = (sid: string): string => `session:${sid}`;

/**
 * Tells who sends a request. A verified token is remembered in the process, so that a request costs a look-up; the session
 * behind it is looked at again once a second.
 */
export class Sessions {
  readonly #store: AuthStore;
  readonly #cache: Cache;
  readonly #tokens: Tokens;
  readonly #schoolDate: () => Promise<string>;
  readonly #known = new Map<string, Known>();

  constructor(deps: { store: AuthStore; cache: Cache; tokens: Tokens; schoolDate: () => Promise<string> }) {
    this.#store = deps.store;
    this.#cache = deps.cache;
    this.#tokens = deps.tokens;
    this.#schoolDate = deps.schoolDate;
  }

  /** @throws UnauthenticatedError, InvalidTokenError, ExpiredTokenError, SessionEndedError */
  authenticate(authorization: string | undefined, nowMs: number): Actor | Promise<Actor> {
    if (!authorization) throw new UnauthenticatedError();
    const known = this.#known.get(authorization);
    if (known && nowMs - known.checkedAtMs < RECHECK_MS && known.claims.expiresAtMs > nowMs) return known.actor;
    return this.#check(authorization, known, nowMs);
  }

  /** Ends what this process remembers of a login; others follow within a second. */
  async forget(sid: string): Promise<void> {
    for (const [token, { claims }] of this.#known) if (claims.sid === sid) this.#known.delete(token);
    await this.#cache.drop(sessionKey(sid));
  }

  async #check(authorization: string, known: Known | undefined, nowMs: number): Promise<Actor> {
    const token = /^Bearer ([A-Za-z0-9_.-]+)$/i.exec(authorization)?.[1];
    if (!token) throw new InvalidTokenError('send Authorization: Bearer <access token>');
    const claims = known && known.claims.expiresAtMs > nowMs ? known.claims : await this.#tokens.verify(token, nowMs);
    const session = await this.#load(claims.sid);
    if (!session || !session.isActive || session.epoch !== claims.epoch || session.userId !== claims.userId || session.expiresAtMs <= nowMs) {
      this.#known.delete(authorization);
      throw new SessionEndedError();
    }
    const actor: Actor = {
      userId: session.userId,
      login: session.login,
      name: session.name,
      roles: session.roles,
      sid: claims.sid,
      scopes: async () => session.scopes,
    };
    if (this.#known.size >= MOST_TOKENS && !known) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(authorization, { claims, actor, checkedAtMs: nowMs });
    return actor;
  }

  async #load(sid: string): Promise<Session | null> {
    const { value } = await this.#cache.get<Session | null>({
      name: sessionKey(sid),
      ttlSeconds: SESSION_SECONDS,
      staleSeconds: STALE_SECONDS,
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
          scopes: await this.#store.findScopes(row.userId, await this.#schoolDate()),
        };
      },
    });
    return value;
  }
}
