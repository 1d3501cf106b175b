import { newId } from '../../lib/ids.ts';
import type { Mailer } from '../../stores/mail/mailer.ts';
import type { IssuedToken, TokenKind } from './account-tokens.ts';

const TEXTS: Record<TokenKind, { subject: string; lines: (login: string) => string[] }> = {
  invite: {
    subject: 'Your Schools24 login',
    lines: (login) => [`You have a login at Schools24: ${login}`, '', 'Choose your password here:'],
  },
  reset: {
    subject: 'A new password for Schools24',
    lines: (login) => [`Somebody asked for a new password for the login ${login}. Choose it here:`],
  },
};

/** Mails about a login. */
export class AccountMails {
  readonly #mailer: Mailer;
  readonly #appUrl: string;

  /** @param appUrl address of the web application, whose page `/auth/reset` takes the token */
  constructor({ mailer, appUrl }: { mailer: Mailer; appUrl: string }) {
    this.#mailer = mailer;
    this.#appUrl = appUrl.replace(/\/$/, '');
  }

  /** Sends a link that sets a password once. Sent again, it is the same mail. */
  async sendLink(
    kind: TokenKind,
    { email, login, id, token, expiresAt }: { email: string; login: string } & IssuedToken,
  ): Promise<void> {
    const { subject, lines } = TEXTS[kind];
    const text = [
      ...lines(login),
      '',
      // Behind #, which browsers do not send: no server on the way writes it into its log.
      `${this.#appUrl}/auth/reset#token=${token}`,
      '',
      `The link works once, until ${expiresAt.toISOString().slice(0, 16).replace('T', ' ')} UTC.`,
      'If you do not expect this mail, ignore it: nothing changes without the link.',
      '',
    ].join('\n');
    await this.#mailer.send({ id, to: email, subject, text });
  }

  /** Tells the address that a login no longer has: whoever changed it may not be its owner. */
  async sendEmailChanged({ email, login }: { email: string; login: string }): Promise<void> {
    await this.#mailer.send({
      id: newId(),
      to: email,
      subject: 'Your Schools24 e-mail address was changed',
      text: `The login ${login} no longer uses this e-mail address. If that was not you, tell your school's office.\n`,
    });
  }
}
