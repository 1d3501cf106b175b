import { BadCredentialsError, TokenExpiredError, WeakPasswordError } from '../../errors/catalogue.ts';
import type { Background } from '../../lib/background.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { Caller, Change, WriteThrough } from '../write-through.ts';
import type { AccountMails } from './account-mails.ts';
import type { AccountTokens } from './account-tokens.ts';
import type { AuthStore } from './auth-store.ts';
import type { LoginGuard } from './login-guard.ts';
import { hashPassword, isPassword, requireStrong } from './passwords.ts';
import type { RevokeReason, SessionStore } from './session-store.ts';
import type { Sessions } from './sessions.ts';
import { ACCESS_TOKEN_SECONDS, type Tokens } from './tokens.ts';

/** A request of somebody who is not logged in. */
type Origin = Omit<Caller, 'actor'>;

/** Where the new password stands in a request. */
const POINTER = '/new_password';

/** Passwords of one's own: changed with the old one, or with a token that was sent by mail (A1, A4). */
export class PasswordService {
  readonly #store: AuthStore;
  readonly #logins: SessionStore;
  readonly #accountTokens: AccountTokens;
  readonly #guard: LoginGuard;
  readonly #sessions: Sessions;
  readonly #tokens: Tokens;
  readonly #through: WriteThrough;
  readonly #mails: AccountMails;
  readonly #background: Background;

  constructor(deps: {
    store: AuthStore;
    logins: SessionStore;
    accountTokens: AccountTokens;
    guard: LoginGuard;
    sessions: Sessions;
    tokens: Tokens;
    through: WriteThrough;
    mails: AccountMails;
    background: Background;
  }) {
    this.#store = deps.store;
    this.#logins = deps.logins;
    this.#accountTokens = deps.accountTokens;
    this.#guard = deps.guard;
    this.#sessions = deps.sessions;
    this.#tokens = deps.tokens;
    this.#through = deps.through;
    this.#mails = deps.mails;
    this.#background = deps.background;
  }

  /**
   * Sets a new password and ends the user's other logins. The one that asks goes on with the access token that is returned;
   * its refresh token stays as it is.
   *
   * @throws LockedError after five wrong old passwords, BadCredentialsError for each of them
   * @throws WeakPasswordError
   */
  async change(
    caller: Caller & Pick<RequestContext, 'actor'>,
    oldPassword: string,
    newPassword: string,
  ): Promise<{ accessToken: string; expiresIn: number }> {
    const { actor, now } = caller;
    const { userId, sid } = actor;
    const { login, passwordHash } = await this.#requireOld(userId, oldPassword);
    requireStrong(newPassword, login, POINTER);
    // Otherwise a temporary password would stay.
    if (newPassword === oldPassword)
      throw new WeakPasswordError({ errors: [{ pointer: POINTER, detail: 'must not be the old password' }] });
    const newHash = await hashPassword(newPassword);
    await this.#sessions.changing([userId], () =>
      this.#through.run(caller, async (change) => {
        // Of two changes with the same old password, one comes too late.
        if (!(await this.#store.setPassword(change.knex, { userId, newHash, now, oldHash: passwordHash })))
          throw new BadCredentialsError();
        await this.#end(change, { userId, reason: 'password_changed', now, except: sid });
      }),
    );
    const { roles, epoch } = await this.#sessions.open(sid, userId);
    return {
      accessToken: await this.#tokens.sign({ userId, sid, roles, epoch }, now.getTime()),
      expiresIn: ACCESS_TOKEN_SECONDS,
    };
  }

  /** Mails a link, if the login exists and has an address. Nobody can tell by the answer or by its time. */
  async forgot(origin: Origin, login: string): Promise<void> {
    const user = await this.#store.findLogin(login);
    if (!user?.email || (user.status !== 'active' && user.status !== 'invited')) return;
    const { id: userId, email } = user;
    const kind = user.status === 'invited' ? 'invite' : 'reset';
    this.#background.start(
      'password link',
      async () => {
        const caller = { ...origin, actor: { userId, roles: [] } };
        const issued = await this.#through.run(caller, ({ knex, record }) => {
          record({ service: 'auth', action: 'password.forgot', entity: { type: 'user', id: userId } });
          return this.#accountTokens.issue(knex, { id: origin.newId(), userId, kind, now: origin.now });
        });
        if (issued) await this.#mails.sendLink(kind, { email, login: user.login, ...issued });
      },
      { userId },
    );
  }

  /**
   * Sets a password with a token of an invite or a reset, which is used up by it, and ends all logins there were.
   *
   * @throws TokenExpiredError when it is no token, or not one any more
   * @throws WeakPasswordError; the token stays good
   */
  async reset(origin: Origin, token: string, newPassword: string): Promise<void> {
    const { now } = origin;
    const owner = await this.#accountTokens.find(token, now);
    if (!owner) throw new TokenExpiredError();
    const { userId, login } = owner;
    requireStrong(newPassword, login, POINTER);
    const newHash = await hashPassword(newPassword);
    const caller = { ...origin, actor: { userId, roles: [] } };
    await this.#sessions.changing([userId], () =>
      this.#through.run(caller, async (change) => {
        const isGood = await this.#accountTokens.use(change.knex, token, now);
        if (!isGood || !(await this.#store.setPassword(change.knex, { userId, newHash, now })))
          throw new TokenExpiredError();
        await this.#end(change, { userId, reason: 'password_reset', now });
      }),
    );
    // Whoever reads the user's mail need not wait until a guesser's lock ends.
    await this.#guard.succeed(login);
  }

  /** What follows from every new password. */
  async #end(
    { knex, emit, record }: Change,
    ended: { userId: string; reason: RevokeReason; now: Date; except?: string },
  ): Promise<void> {
    const { userId, reason, now } = ended;
    await this.#logins.endIn(knex, ended);
    await this.#accountTokens.endAll(knex, userId, now);
    emit({ name: 'auth.user.changed', aggregateId: userId, payload: { user_id: userId, fields: ['password'] } });
    record({ service: 'auth', action: reason.replace('_', '.'), entity: { type: 'user', id: userId } });
  }

  async #requireOld(userId: string, oldPassword: string): Promise<{ login: string; passwordHash: string }> {
    const account = await this.#store.findCredentials(userId);
    await this.#guard.attempt(account.login);
    if (!account.passwordHash || !(await isPassword(account.passwordHash, oldPassword)))
      throw new BadCredentialsError();
    await this.#guard.succeed(account.login);
    return { login: account.login, passwordHash: account.passwordHash };
  }
}
