import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';

export interface Mail {
  /** Sent again under the same id, it is the same mail. */
  id: string;
  to: string;
  subject: string;
  text: string;
}

export interface Mailer {
  /** @throws MailNotSentError */
  send(mail: Mail): Promise<void>;
  close(): void;
}

/** Says why in codes alone: a server's own words name the address, and errors end in logs and in failed jobs. */
export class MailNotSentError extends Error {
  override name = 'MailNotSentError';

  constructor(id: string, { code, responseCode }: { code?: string; responseCode?: number }) {
    super(`mail ${id} was not sent: ${responseCode ?? code ?? 'unknown error'}`);
  }
}

const TIMEOUT_MS = 10_000;

/**
 * Sends mail through a server, or without one puts it into files that mail programs open.
 *
 * @param url `smtp://` or `smtps://`, with login and password if the server asks for them
 * @param folder for the files
 */
export function createMailer({ url, from, folder }: { url: string | undefined; from: string; folder: string }): Mailer {
  const headersOf = ({ id }: Mail) => ({ from, messageId: `<${id}@${from.split('@')[1]}>` });
  if (url === undefined) {
    const transport = createTransport({ streamTransport: true, buffer: true });
    return {
      async send(mail) {
        const { message } = await transport.sendMail({ ...mail, ...headersOf(mail) });
        await mkdir(folder, { recursive: true });
        await writeFile(join(folder, `${mail.id}.eml`), message as Buffer);
      },
      close: () => transport.close(),
    };
  }
  const { protocol, hostname, port, username, password } = new URL(url);
  const transport = createTransport({
    pool: true,
    host: hostname,
    ...(port ? { port: Number(port) } : {}),
    secure: protocol === 'smtps:',
    ...(username ? { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } } : {}),
    connectionTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
  });
  return {
    async send(mail) {
      try {
        await transport.sendMail({ ...mail, ...headersOf(mail) });
      } catch (error) {
        throw new MailNotSentError(mail.id, error as { code?: string; responseCode?: number });
      }
    },
    close: () => transport.close(),
  };
}
