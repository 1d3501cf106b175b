import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import type { Log } from '../../lib/log.ts';

export interface Mail {
  /** Sent again under the same id, it is the same mail. */
  id: string;
  /** One address, without a name. */
  to: string;
  subject: string;
  /** Plain text. */
  text: string;
}

/** How services send mail. Neither addresses nor texts may reach a log or a job: they hold people's data and secrets. */
export interface Mailer {
  /** Resolves when the mail is handed over. @throws MailNotSentError; it may be sent again */
  send(mail: Mail): Promise<void>;
  /** Closes connections. */
  close(): void;
}

export interface MailerOptions {
  /** `smtp://` or `smtps://`, with login and password if the server asks for them; unset, mails are files in `folder`. */
  url?: string | undefined;
  /** Address of the sender, with a name or without. */
  from: string;
  folder: string;
  log: Log;
  /** A server that is away is tried again so much later. */
  againMs?: number;
}

interface MailServerError {
  code?: string;
  /** Of the server's answer, if there was one (RFC 5321). */
  responseCode?: number;
}

/** nodemailer's and the system's codes where a server was not reached, or did not finish what it said. */
const UNREACHED = new Set(['ECONNECTION', 'ESOCKET', 'ETIMEDOUT', 'EDNS', 'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND']);

/** Says why in codes alone: a server's own words name the address, and errors end in logs and in failed jobs. */
export class MailNotSentError extends Error {
  override name = 'MailNotSentError';
  /** No mail can be sent now. */
  readonly isServerAway: boolean;
  /** It may be taken later: the server is away, or has said so. */
  readonly isTemporary: boolean;

  constructor(id: string, { code, responseCode }: MailServerError) {
    super(`mail ${id} was not sent: ${responseCode ?? code ?? 'unknown error'}`);
    this.isServerAway = responseCode === undefined ? code === AWAY || UNREACHED.has(code ?? '') : responseCode === 421;
    this.isTemporary = this.isServerAway || (responseCode !== undefined && responseCode < 500);
  }
}

const AWAY = 'server is away';

/** A mail server that says nothing must not hold a request for long. */
const TIMEOUT_MS = 10_000;
/** Nor may each of many mails find out for itself that the server is away. */
const AGAIN_MS = 5_000;

export function createMailer({ url, from, folder, log, againMs = AGAIN_MS }: MailerOptions): Mailer {
  if (url !== undefined) return createSmtpMailer({ url, from, againMs, log });
  log.warn('MAIL_URL is not set: mails are kept as files in DATA_DIR, good for development only');
  return createFileMailer(folder, from);
}

const messageOf = ({ id, to, subject, text }: Mail, from: string) => ({
  from,
  // An object in place of a text: nothing in an address can name a second one.
  to: { name: '', address: to },
  subject,
  text,
  messageId: `<${id}@${/@([^\s>]+)/.exec(from)?.[1] ?? 'localhost'}>`,
  disableFileAccess: true,
  disableUrlAccess: true,
});

function createSmtpMailer({
  url,
  from,
  againMs,
  log,
}: {
  url: string;
  from: string;
  againMs: number;
  log: Log;
}): Mailer {
  const { protocol, hostname, port, username, password } = new URL(url);
  const transport = createTransport({
    pool: true,
    host: hostname,
    ...(port ? { port: Number(port) } : {}),
    secure: protocol === 'smtps:',
    ...(username ? { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } } : {}),
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
  });
  let isAway = false;
  let againAtMs = 0;
  return {
    async send(mail) {
      if (isAway && performance.now() < againAtMs) throw new MailNotSentError(mail.id, { code: AWAY });
      // While it is away one mail at a time tries, and the others go by what it finds.
      if (isAway) againAtMs = Number.POSITIVE_INFINITY;
      let failure: MailNotSentError | undefined;
      try {
        await transport.sendMail(messageOf(mail, from));
      } catch (error) {
        failure = new MailNotSentError(mail.id, error as MailServerError);
      }
      const wasAway = isAway;
      isAway = failure?.isServerAway ?? false;
      // What waits for it fails nowhere.
      if (isAway && !wasAway) log.warn('mail server is away; mails wait for it', { error: failure });
      if (wasAway && !isAway) log.info('mail server is back');
      againAtMs = performance.now() + againMs;
      if (failure) throw failure;
    },
    close: () => transport.close(),
  };
}

/** One file a mail that mail programs open, readable by the owner only; it appears whole. */
function createFileMailer(folder: string, from: string): Mailer {
  const transport = createTransport({ streamTransport: true, buffer: true });
  return {
    async send(mail) {
      const { message } = await transport.sendMail(messageOf(mail, from));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = join(folder, `${mail.id}.eml`);
      await writeFile(`${file}.part`, message as Buffer, { mode: 0o600 });
      await rename(`${file}.part`, file);
    },
    close: () => transport.close(),
  };
}
