import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createMailer } from '../../../src/services/mail/mailer.ts';
import { createTestLog } from '../../support/harness.ts';

const folder = join(mkdtempSync(join(tmpdir(), 'schools24-mailer-')), 'mails');
afterAll(() => rmSync(join(folder, '..'), { recursive: true }));

const from = 'Schools24 <office@school.example>';
const mail = { to: 'asha@x.example', subject: 'Grüße', text: 'Good day' };

/** As much of a mail server as a sender needs; `refuse` turns every recipient away. */
async function openServer(refuse = false) {
  const heard: string[] = [];
  const server = createServer((socket) => {
    let isData = false;
    socket.on('error', () => {});
    socket.write('220 test\r\n');
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
        heard.push(line);
        if (isData) {
          if (line !== '.') continue;
          isData = false;
          socket.write('250 taken\r\n');
        } else if (line === 'DATA') {
          isData = true;
          socket.write('354 go on\r\n');
        } else socket.write(refuse && line.startsWith('RCPT') ? '550 no such mailbox\r\n' : '250 ok\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { heard, url, close: () => new Promise((resolve) => server.close(resolve)) };
}

describe('mailer', () => {
  it('without a server keeps each mail in a file for its owner only, and says so at start', async () => {
    const log = createTestLog();
    const mailer = createMailer({ from, folder, log });
    await Promise.all([mailer.send(mail), mailer.send({ ...mail, to: 'ravi@x.example' })]);
    mailer.close();
    const files = readdirSync(folder);
    expect(files).toHaveLength(2);
    for (const file of files) {
      expect(file).toMatch(/\.eml$/);
      expect(statSync(join(folder, file)).mode & 0o077).toBe(0);
    }
    const texts = files.map((file) => readFileSync(join(folder, file), 'utf8'));
    expect(texts.some((text) => text.includes('To: asha@x.example') && text.includes(`From: ${from}`))).toBe(true);
    expect(log.lines.map(({ level }) => level)).toEqual(['warn']);
    expect(JSON.stringify(log.lines)).not.toContain('@');
  });

  it('hands mails to the server of MAIL_URL', async () => {
    const server = await openServer();
    const mailer = createMailer({ url: server.url, from, folder, log: createTestLog() });
    await mailer.send(mail);
    mailer.close();
    expect(server.heard).toEqual(
      expect.arrayContaining(['MAIL FROM:<office@school.example>', 'RCPT TO:<asha@x.example>', 'Good day']),
    );
    await server.close();
  });

  it('tells the sender when a mail is not taken', async () => {
    const server = await openServer(true);
    const mailer = createMailer({ url: server.url, from, folder, log: createTestLog() });
    await expect(mailer.send(mail)).rejects.toThrow(/550/);
    mailer.close();
    await server.close();
    await expect(mailer.send(mail)).rejects.toThrow();
  });

  it('sends to one address, whatever it holds', async () => {
    const server = await openServer();
    const mailer = createMailer({ url: server.url, from, folder, log: createTestLog() });
    await mailer.send({ ...mail, to: 'asha@x.example\r\nRCPT TO:<eve@x.example>' }).catch(() => {});
    await mailer.send({ ...mail, to: 'asha@x.example, eve@x.example' }).catch(() => {});
    mailer.close();
    expect(server.heard).not.toContain('RCPT TO:<eve@x.example>');
    await server.close();
  });
});
