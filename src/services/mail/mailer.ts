import { randomUUID } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import type { Log } from '../../lib/log.ts';

export interface Mail {
  /** One address, without a name. */
  to: string;
  subject: string;
  /** Plain text. */
  text: string;
}

/** How services send mail. Neither addresses nor texts may reach a log or a job: they hold people's data and secrets. */
export interface Mailer {
  /** Resolves when the mail is handed over. @throws when it is not taken; it may be sent again */
  send(mail: Mail): Promise<void>;
  /** Closes connections. */
  close(): void;
}

export interface MailerOptions {
  /** `smtp://` or `smtps://user:password@host:port`; unset, mails are files in `folder`. */
  url?: string | undefined;
  /** Address of the sender, with a name or without. */
  from: string;
  folder: string;
  log: Log;
}

/** A mail server that says nothing must not hold a request for long. */
const TIMEOUT_MS = 10_000;

export function createMailer({ url, from, folder, log }: MailerOptions): Mailer {
  if (url !== undefined) return createSmtpMailer(url, from);
  log.warn('MAIL_URL is not set: mails are kept as files in DATA_DIR, good for development only');
  return createFileMailer(folder, from);
}

/** An object in place of a text: nothing in an address can name a second one. */
const envelopeOf = ({ to, subject, text }: Mail, from: string) => ({
  from,
  to: { name: '', address: to },
  subject,
  text,
  disableFileAccess: true,
  disableUrlAccess: true,
});

function createSmtpMailer(url: string, from: string): Mailer {
  const transport = createTransport({
    url,
    pool: true,
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
  });
  return {
    send: async (mail) => void (await transport.sendMail(envelopeOf(mail, from))),
    close: () => transport.close(),
  };
}

/** One file a mail, in the order of their names, readable by the owner only; it appears whole. */
function createFileMailer(folder: string, from: string): Mailer {
  const transport = createTransport({ streamTransport: true, buffer: true });
  return {
    async send(mail) {
      const { message } = await transport.sendMail(envelopeOf(mail, from));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = join(folder, `${new Date().toISOString().replaceAll(':', '-')}-${randomUUID()}.eml`);
      await writeFile(`${file}.part`, message as Buffer, { mode: 0o600 });
      await rename(`${file}.part`, file);
    },
    close: () => transport.close(),
  };
}
