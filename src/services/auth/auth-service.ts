import {
  BadCredentialsError,
  RefreshInvalidError,
  RefreshReusedError,
  SuspendedError,
} from '../../errors/catalogue.ts';
import type { Role } from '../../lib/actor.ts';
import { newId } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import type { Activity, ActivityLog, ActivityOrigin } from '../activity-log/activity-log.ts';
import { type AuthStore, FIRST_GENERATION } from './auth-store.ts';
import { LOCK_SECONDS, type LoginGuard, lockedFor, MOST_FAILURES } from './login-guard.ts';
import { isPassword } from './passwords.ts';
import type { SessionStore } from './session-store.ts';
import type { Session, Sessions } from './sessions.ts';
import { ACCESS_TOKEN_SECONDS, type Tokens } from './tokens.ts';

export interface TokenPair {
  accessToken: string;
  refreshToken: string;
  /** Seconds the access token lives. */
  expiresIn: number;
}

export interface Login extends TokenPair {
  isPasswordTemporary: boolean;
  user: { id: string; login: string; name: string; roles: Role[] };
}

/** Which request it is; who sends it is seen by its password or token. */
type Origin = Omit<ActivityOrigin, 'actor'>;

/** Where a login comes from as well. */
export interface LoginOrigin extends Origin {
  userAgent: string;
}

/** A3: a login lasts this long without a refresh. */
const SESSION_MS = 30 * 86_400_000;
/** A3: the generation just replaced is taken for so long: its successor may have been lost on the way. */
const REPLACED_MS = 10_000;
/** Copies of a login are at most as old; one that says it ends sooner is told that it goes on. */
const COPY_MS = 2 * 86_400_000;
/** What the column takes when the client's address is not known any more. */
const NO_ADDRESS = '0.0.0.0';

/** Logins and their renewal (A2, A3). */
export class AuthService {
  readonly #store: AuthStore;
  readonly #logins: SessionStore;
  readonly #guard: LoginGuard;
  readonly #tokens: Tokens;
  readonly #sessions: Sessions;
  readonly #activity: ActivityLog;
  readonly #log: Log;

  constructor(deps: {
    store: AuthStore;
    logins: SessionStore;
    guard: LoginGuard;
    tokens: Tokens;
    sessions: Sessions;
    activity: ActivityLog;
    log: Log;
  }) {
    this.#store = deps.store;
    this.#logins = deps.logins;
    this.#guard = deps.guard;
    this.#tokens = deps.tokens;
    this.#sessions = deps.sessions;
    this.#activity = deps.activity;
    this.#log = deps.log;
  }

  /**
   * @throws BadCredentialsError the same, after the same time, for an unknown login and a wrong password
   * @throws LockedError after five failures in 15 min, with Retry-After
   * @throws SuspendedError when the password is right but the account is not active
   */
  async login(login: string, password: string, origin: LoginOrigin): Promise<Login> {
    const { ip, userAgent, now } = origin;
    const attempts = await this.#guard.attempt(login);
    const row = await this.#store.findLogin(login).catch(async (error: unknown) => {
      await this.#guard.takeBack(login);
      throw error;
    });
    const lockedMs = row?.lockedUntil ? Date.parse(row.lockedUntil) - now.getTime() : 0;
    if (lockedMs > 0) throw lockedFor(Math.ceil(lockedMs / 1000));
    if (!(await isPassword(row?.passwordHash, password)) || !row?.passwordHash) {
      // Not awaited: an unknown login has no row to note it in, and must not be told by its time.
      if (row) void this.#noteFailure(row.id, attempts, now);
      throw new BadCredentialsError();
    }
    await this.#guard.succeed(login);
    if (row.status !== 'active') throw new SuspendedError();
    const sid = newId();
    const isOpen = await this.#store.addSession({
      sid,
      userId: row.id,
      passwordHash: row.passwordHash,
      ip: ip || NO_ADDRESS,
      userAgent,
      expiresAt: expiryOf(now),
      now,
    });
    // Right a moment ago: what ended the other logins must end this one, too (A4).
    if (!isOpen) throw new BadCredentialsError();
    const session = await this.#sessions.open(sid, row.id);
    await this.#record(origin, session, { action: 'session.start', sid });
    return {
      ...(await this.#pairOf(sid, FIRST_GENERATION, session, now)),
      isPasswordTemporary: row.isPasswordTemporary,
      user: { id: row.id, login: row.login, name: session.name, roles: session.roles },
    };
  }

  /**
   * Renews a login (A3):
   *
   *   current generation             -> the next one; of several requests at once one raises it
   *   the one before, within 10 s    -> the same next one
   *   any older one                  -> somebody else has it: the login ends
   *
   * @throws RefreshInvalidError for a token that is not ours, and when the login has ended
   * @throws RefreshReusedError when the token was used before
   */
  async refresh(token: string, origin: Origin): Promise<TokenPair> {
    const { now } = origin;
    const { sid, generation } = this.#tokens.verifyRefresh(token);
    const rotated = await this.#logins.rotate({ sid, generation, expiresAt: expiryOf(now), now });
    if (!rotated) return this.#repeat(sid, generation, origin);
    const { userId, expiredAt } = rotated;
    // A copy that is not told still tells the truth about everything else.
    if (Date.parse(expiredAt) - now.getTime() < COPY_MS) await this.#sessions.forget(userId).catch(() => {});
    return this.#renewed(sid, generation + 1, userId, now);
  }

  async #repeat(sid: string, generation: number, origin: Origin): Promise<TokenPair> {
    const { now } = origin;
    const login = await this.#logins.find(sid, now);
    if (!login || login.generation <= generation) throw new RefreshInvalidError();
    const { userId } = login;
    const isJustReplaced =
      login.generation === generation + 1 && now.getTime() - Date.parse(login.rotatedAt) <= REPLACED_MS;
    if (isJustReplaced) return this.#renewed(sid, login.generation, userId, now);
    const reason = 'refresh_reused';
    await this.#sessions.changing([userId], () => this.#logins.end({ userId, sid, reason, now }));
    await this.#record(origin, { userId, roles: [] }, { action: 'session.end', sid, after: { reason } });
    this.#log.warn('a refresh token was used again; its login is ended', { userId, sid });
    throw new RefreshReusedError();
  }

  async #renewed(sid: string, generation: number, userId: string, now: Date): Promise<TokenPair> {
    const session = await this.#sessions.open(sid, userId);
    if (!session.isActive) throw new RefreshInvalidError();
    return this.#pairOf(sid, generation, session, now);
  }

  async #pairOf(sid: string, generation: number, session: Session, now: Date): Promise<TokenPair> {
    const { userId, roles, epoch } = session;
    return {
      accessToken: await this.#tokens.sign({ userId, sid, roles, epoch }, now.getTime()),
      refreshToken: this.#tokens.signRefresh(sid, generation),
      expiresIn: ACCESS_TOKEN_SECONDS,
    };
  }

  /** Whoever cannot be noted comes in all the same: a buffer that takes no writes must not keep out those who look after it. */
  async #record(
    origin: Origin,
    { userId, roles }: Pick<Session, 'userId' | 'roles'>,
    { sid, ...said }: Pick<Activity, 'action' | 'after'> & { sid: string },
  ): Promise<void> {
    const caller = { ...origin, actor: { userId, roles } };
    try {
      await this.#activity.record(caller, { service: 'auth', entity: { type: 'session', id: sid }, ...said });
    } catch (error) {
      this.#log.warn('no line in the audit log', { ...said, userId, sid, error });
    }
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

const expiryOf = (now: Date): Date => new Date(now.getTime() + SESSION_MS);
