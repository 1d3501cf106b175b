import { hash, verify } from '@node-rs/argon2';
import type { Redis } from 'ioredis';
import { BadCredentialsError, LockedError, SuspendedError } from '../../errors/catalogue.ts';
import type { Role } from '../../lib/actor.ts';
import { newId } from '../../lib/ids.ts';
import type { AuthStore } from './auth-store.ts';
import { ACCESS_TOKEN_SECONDS, type Tokens } from './tokens.ts';

export interface Login {
  accessToken: string;
  expiresIn: number;
  isPasswordTemporary: boolean;
  user: { id: string; login: string; name: string; roles: Role[] };
}

/** A2 */
const MOST_FAILURES = 5;
const LOCK_SECONDS = 15 * 60;
/** A3: a login lasts this long without a refresh. */
const SESSION_SECONDS = 30 * 86_400;

/** Logins (A1–A4). Refresh, password changes and administration join here later; sessions are stored as they need them. */
export class AuthService {
  readonly #store: AuthStore;
  readonly #redis: Redis;
  readonly #failureKey: (login: string) => string;
  readonly #tokens: Tokens;
  /** Checked for unknown logins, so that they take as long as known ones (A2). */
  readonly #decoyHash: Promise<string>;

  constructor(deps: { store: AuthStore; redis: Redis; failureKey: (login: string) => string; tokens: Tokens }) {
    this.#store = deps.store;
    this.#redis = deps.redis;
    this.#failureKey = deps.failureKey;
    this.#tokens = deps.tokens;
    this.#decoyHash = hash(newId());
  }

  /**
   * @throws BadCredentialsError the same for an unknown login and a wrong password
   * @throws LockedError after five failures in 15 min, with Retry-After
   * @throws SuspendedError when the password is right but the account is not active
   */
  async login(login: string, password: string, { ip, userAgent, now }: { ip: string; userAgent: string; now: Date }): Promise<Login> {
    const failureKey = this.#failureKey(login.toLowerCase());
    if (Number(await this.#redis.get(failureKey)) >= MOST_FAILURES) {
      const seconds = Math.max(1, await this.#redis.ttl(failureKey));
      throw new LockedError({ headers: { 'Retry-After': String(seconds) } });
    }
    const row = await this.#store.findLogin(login);
    const isRight = await verify(row?.passwordHash ?? (await this.#decoyHash), password).catch(() => false);
    if (!row?.passwordHash || !isRight) {
      if ((await this.#redis.incr(failureKey)) === 1) await this.#redis.expire(failureKey, LOCK_SECONDS);
      throw new BadCredentialsError();
    }
    await this.#redis.del(failureKey);
    if (row.status !== 'active') throw new SuspendedError();
    const sid = newId();
    await this.#store.addSession({ sid, userId: row.id, ip, userAgent, expiresAt: new Date(now.getTime() + SESSION_SECONDS * 1000), now });
    const session = (await this.#store.findSession(sid))!;
    const { epoch, roles, name } = session;
    return {
      accessToken: await this.#tokens.sign({ userId: row.id, sid, roles, epoch }, now.getTime()),
      expiresIn: ACCESS_TOKEN_SECONDS,
      isPasswordTemporary: row.isPasswordTemporary,
      user: { id: row.id, login: row.login, name, roles },
    };
  }
}
