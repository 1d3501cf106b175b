import type { Knex } from 'knex';
import { BadStateError, UnprocessableError } from '../../errors/catalogue.ts';
import type { Log } from '../../lib/log.ts';
import type { AccountMails } from '../auth/account-mails.ts';
import type { AccountTokens, IssuedToken } from '../auth/account-tokens.ts';
import { hashPassword, newTemporaryPassword } from '../auth/passwords.ts';
import type { SessionStore } from '../auth/session-store.ts';
import type { Credentials } from './user-fields.ts';
import type { LockedUser, UserRow, UserStore } from './user-store.ts';

type Prepared = { kind: 'invite' } | { kind: 'temporary_password'; password: string; passwordHash: string };

/** What a transaction has made; undefined: nothing was asked for, or there were enough invites for now. */
export type IssuedCredentials =
  | { kind: 'invite'; token: IssuedToken }
  | { kind: 'temporary_password'; password: string }
  | undefined;

/** What the admin is told of it. */
export interface HandedOut {
  invite: { expires_at: string; is_sent: boolean } | null;
  temporary_password: string | null;
}

/** Ways into an account that an admin gives out: a mailed invite, or a temporary password. */
export class CredentialService {
  readonly #users: UserStore;
  readonly #logins: SessionStore;
  readonly #accountTokens: AccountTokens;
  readonly #mails: AccountMails;
  readonly #log: Log;

  constructor(deps: {
    users: UserStore;
    logins: SessionStore;
    accountTokens: AccountTokens;
    mails: AccountMails;
    log: Log;
  }) {
    this.#users = deps.users;
    this.#logins = deps.logins;
    this.#accountTokens = deps.accountTokens;
    this.#mails = deps.mails;
    this.#log = deps.log;
  }

  /**
   * What costs time: done before a transaction holds rows.
   *
   * @param email undefined where the row has to tell
   * @throws UnprocessableError when an invite has no address to go to
   */
  async prepare(kind: Credentials, email: string | null | undefined): Promise<Prepared> {
    if (kind === 'invite') {
      if (email !== undefined) requireAddress(email);
      return { kind };
    }
    const password = newTemporaryPassword();
    return { kind, password, passwordHash: await hashPassword(password) };
  }

  /**
   * A temporary password ends the logins there are, as every new password does (A4).
   *
   * @param tokenId of an invite: the same for a repetition, which then sends the same link
   * @throws UnprocessableError when an invite has no address to go to
   * @throws BadStateError when an invite is for somebody who has a password
   */
  async issue(
    knex: Knex.Transaction,
    user: Pick<LockedUser, 'email' | 'status'> & { id: string },
    prepared: Prepared,
    { now, tokenId }: { now: Date; tokenId: string },
  ): Promise<IssuedCredentials> {
    const { id: userId, email, status } = user;
    const { kind } = prepared;
    if (kind === 'invite') {
      requireAddress(email);
      if (status !== 'invited') throw new BadStateError('only who has not accepted an invite gets another');
      const token = await this.#accountTokens.issue(knex, { id: tokenId, userId, kind, now });
      return token && { kind, token };
    }
    const { password, passwordHash } = prepared;
    await this.#users.setTemporaryPassword(knex, { userId, passwordHash, now });
    await this.#accountTokens.endAll(knex, userId, now);
    await this.#logins.endIn(knex, { userId, reason: 'temporary_password', now });
    return { kind, password };
  }

  /** Sends the invite, now that its token is committed. An admin who sees that it was not sent asks for another. */
  async handOut({ id, email, login }: UserRow, issued: IssuedCredentials): Promise<HandedOut> {
    if (issued?.kind === 'temporary_password') return { invite: null, temporary_password: issued.password };
    if (!issued) return { invite: null, temporary_password: null };
    const { expiresAt } = issued.token;
    let isSent = true;
    try {
      await this.#mails.sendLink('invite', { email: email!, login, ...issued.token });
    } catch (error) {
      isSent = false;
      this.#log.error('invite not sent', { userId: id, error });
    }
    return { invite: { expires_at: expiresAt.toISOString(), is_sent: isSent }, temporary_password: null };
  }

  /**
   * Invites somebody for whom no request waits. Tried again under the same id it is the same mail with the same link.
   *
   * @throws MailNotSentError
   */
  async sendInvite({ id: userId, email, login }: UserRow, id: string, now: Date): Promise<void> {
    const token = await this.#users.transaction((knex) =>
      this.#accountTokens.issue(knex, { id, userId, kind: 'invite', now }),
    );
    if (token) await this.#mails.sendLink('invite', { email: email!, login, ...token });
  }
}

function requireAddress(email: string | null): void {
  if (!email) throw new UnprocessableError({ errors: [{ pointer: '/email', detail: 'an invite needs an address' }] });
}
