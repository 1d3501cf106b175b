import { hash, verify } from '@node-rs/argon2';
import { BadCredentialsError, SuspendedError } from '../../errors/catalogue.ts';
import type { Role } from '../../lib/actor.ts';
import { newId } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { type AuthStore, FIRST_GENERATION } from './auth-store.ts';
import { LOCK_SECONDS, type LoginGuard, lockedFor, MOST_FAILURES } from './login-guard.ts';
import type { Sessions } from './sessions.ts';
import { ACCESS_TOKEN_SECONDS, type Tokens } from './tokens.ts';

export interface Login {
  accessToken: string;
  refreshToken: string;
  /** Seconds the access token lives. */
  expiresIn: number;
  isPasswordTemporary: boolean;
  user: { id: string; login: string; name: string; roles: Role[] };
}

/** Where a login comes from and when. */
export interface LoginOrigin {
  ip: string;
  userAgent: string;
  now: Date;
}

/** A3: a login lasts this long without a refresh. */
const SESSION_SECONDS = 30 * 86_400;
/** What the column takes when the client's address is not known any more. */
const NO_ADDRESS = '0.0.0.0';

/** Logins (A1–A4). Refresh, password changes and administration join here later; sessions are stored as they need them. */
export class AuthService {
  readonly #store: AuthStore;
  readonly #guard: LoginGuard;
  readonly #tokens: Tokens;
  readonly #sessions: Sessions;
  readonly #log: Log;
  /** Checked for unknown logins, so that they take as long as known ones (A2). */
  readonly #decoyHash: Promise<string>;

  constructor(deps: { store: AuthStore; guard: LoginGuard; tokens: Tokens; sessions: Sessions; log: Log }) {
    this.#store = deps.store;
    this.#guard = deps.guard;
    this.#tokens = deps.tokens;
    this.#sessions = deps.sessions;
    this.#log = deps.log;
    this.#decoyHash = hash(newId());
  }

  /**
   * @throws BadCredentialsError the same, after the same time, for an unknown login and a wrong password
   * @throws LockedError after five failures in 15 min, with Retry-After
   * @throws SuspendedError when the password is right but the account is not active
   */
  async login(login: string, password: string, { ip, userAgent, now }: LoginOrigin): Promise<Login> {
    const attempts = await this.#guard.attempt(login);
    const row = await this.#store.findLogin(login).catch(async (error: unknown) => {
      await this.#guard.takeBack(login);
      throw error;
    });
    const lockedMs = row?.lockedUntil ? Date.parse(row.lockedUntil) - now.getTime() : 0;
    if (lockedMs > 0) throw lockedFor(Math.ceil(lockedMs / 1000));
    const isRight = await verify(row?.passwordHash ?? (await this.#decoyHash), password).catch(() => false);
    if (!row?.passwordHash || !isRight) {
      // Not awaited: an unknown login has no row to note it in, and must not be told by its time.
      if (row) void this.#noteFailure(row.id, attempts, now);
      throw new BadCredentialsError();
    }
    await this.#guard.succeed(login);
    if (row.status !== 'active') throw new SuspendedError();
    const sid = newId();
    await this.#store.addSession({
      sid,
      userId: row.id,
      ip: ip || NO_ADDRESS,
      userAgent,
      expiresAt: new Date(now.getTime() + SESSION_SECONDS * 1000),
      now,
    });
    const { epoch, roles, name } = await this.#sessions.open(sid);
    return {
      accessToken: await this.#tokens.sign({ userId: row.id, sid, roles, epoch }, now.getTime()),
      refreshToken: this.#tokens.signRefresh(sid, FIRST_GENERATION),
      expiresIn: ACCESS_TOKEN_SECONDS,
      isPasswordTemporary: row.isPasswordTemporary,
      user: { id: row.id, login: row.login, name, roles },
    };
  }

  async #noteFailure(userId: string, failures: number, now: Date): Promise<void> {
    const lockedUntil = failures >= MOST_FAILURES ? new Date(now.getTime() + LOCK_SECONDS * 1000) : null;
    try {
      await this.#store.noteFailure(userId, failures, lockedUntil);
    } catch (error) {
      this.#log.warn('failed login not noted', { userId, error });
    }
  }
}
