import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMailer, type Mail, MailNotSentError } from '../../../src/stores/mail/mailer.ts';
import { createTestLog } from '../../support/harness.ts';
import { FakeMailServer } from '../../support/mail-server.ts';
import { until } from '../../support/until.ts';

const mail: Mail = { id: 'n-1', to: 'reader@example.org', subject: 'Fees – due', text: 'A line\n.\nand a dot' };

describe('mail through a server', () => {
  const server = new FakeMailServer();
  let mailer: ReturnType<typeof createMailer>;
  beforeAll(async () => {
    mailer = createMailer({
      url: await server.open(),
      from: 'Schools24 <school@example.org>',
      folder: '',
      log: createTestLog(),
    });
  });
  afterAll(async () => {
    mailer.close();
    await server.close();
  });

  it('goes from the school to its reader, under an id of its own', async () => {
    await mailer.send(mail);
    expect(server.commands).toEqual(
      expect.arrayContaining(['MAIL FROM:<school@example.org>', 'RCPT TO:<reader@example.org>', 'DATA']),
    );
    expect(server.messages).toHaveLength(1);
    expect(server.messages[0]).toMatch(/^Message-ID: <n-1@example\.org>\r$/m);
    expect(server.messages[0]).toMatch(/^From: Schools24 <school@example\.org>\r$/m);
    expect(server.messages[0]).toMatch(/^Subject: =\?UTF-8\?/m);
  });

  it('goes to one address, whatever it holds', async () => {
    server.commands.length = 0;
    const both = ['reader@example.org\r\nRCPT TO:<eve@example.org>', 'reader@example.org, eve@example.org'];
    for (const to of both) await mailer.send({ ...mail, to }).catch(() => {});
    expect(server.commands.filter((line) => /^RCPT TO:<eve@/.test(line))).toEqual([]);
    server.messages.length = 1;
  });

  it('that is refused throws, so that it is tried again; the error names no address', async () => {
    server.refuses = true;
    const error = await mailer.send(mail).catch((thrown: Error) => thrown);
    expect(error).toBeInstanceOf(MailNotSentError);
    expect((error as Error).message).toBe('mail n-1 was not sent: 451');
    expect((error as Error).cause).toBeUndefined();
    expect(server.messages).toHaveLength(1);
    expect(error).toMatchObject({ isTemporary: true, isServerAway: false });
    server.refuses = false;
  });

  it('finds a server that says nothing once for all who send, says so once, and finds it again', async () => {
    const log = createTestLog();
    const mute = new FakeMailServer();
    const url = await mute.open();
    await mute.close();
    const sender = createMailer({ url, from: 'school@example.org', folder: '', log, againMs: 200 });
    const reasonOf = (sent: Promise<void>) =>
      sent.then(
        () => 'sent',
        ({ message }: Error) => message,
      );
    const first = await sender.send(mail).catch((thrown: Error) => thrown);
    expect(first).toMatchObject({ isTemporary: true, isServerAway: true });
    expect(await reasonOf(sender.send(mail))).toBe('mail n-1 was not sent: server is away');
    await mute.open(Number(new URL(url).port));
    await until('the mail', async () => ((await reasonOf(sender.send(mail))) === 'sent' ? true : undefined));
    expect(await Promise.all([sender.send(mail), sender.send(mail)].map(reasonOf))).toEqual(['sent', 'sent']);
    expect(log.lines.map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'mail server is away; mails wait for it'],
      ['info', 'mail server is back'],
    ]);
    expect(JSON.stringify(log.lines)).not.toContain('@');
    sender.close();
    await mute.close();
  });
});

describe('mail without a server', () => {
  it('becomes a file for its owner only, and says so at start; sent again it is the same one', async () => {
    const root = await mkdtemp(join(tmpdir(), 'schools24-mail-'));
    const folder = join(root, 'mails');
    const log = createTestLog();
    const mailer = createMailer({ from: 'school@example.org', folder, log });
    await mailer.send({ ...mail, subject: 'First' });
    await mailer.send({ ...mail, subject: 'Second' });
    expect(await readdir(folder)).toEqual(['n-1.eml']);
    const file = join(folder, 'n-1.eml');
    expect((await stat(file)).mode & 0o077).toBe(0);
    const text = await readFile(file, 'utf8');
    expect(text).toMatch(/^To: reader@example\.org\r?$/m);
    expect(text).toMatch(/^Subject: Second\r?$/m);
    expect(log.lines.map(({ level }) => level)).toEqual(['warn']);
    expect(JSON.stringify(log.lines)).not.toContain('@');
    mailer.close();
    await rm(root, { recursive: true });
  });
});
