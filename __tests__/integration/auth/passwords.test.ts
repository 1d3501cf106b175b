import { statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';
import { useMailFolder } from '../../support/mails.ts';
import { DEMO_PASSWORD } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const mails = useMailFolder();
const school = useSchool({ DATA_DIR: mails.dataDir, APP_URL: 'https://school.example/' });
const nobody = school.as(undefined);
const NEW = 'k7vQ2mZp4x';
const login = (name: string, password = DEMO_PASSWORD) =>
  nobody('POST', '/auth/login', { body: { login: name, password } });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const me = (token: string) => nobody('GET', '/auth/me', { headers: bearer(token) });
const change = (token: string, body: object) =>
  nobody('POST', '/auth/password/change', { body, headers: bearer(token) });
const forgot = (name: string) => nobody('POST', '/auth/password/forgot', { body: { login: name } });
const reset = (token: string, password = NEW) =>
  nobody('POST', '/auth/password/reset', { body: { token, new_password: password } });
const later = (ms: number) => school.clock.set(new Date(school.clock.now().getTime() + ms).toISOString());
const addressOf = (name: string) => `${name}@schools24.example`;

describe('changing a password', () => {
  it('A4: ends the other logins and goes on with the one that asked', async () => {
    const [own, other] = [(await login('student0001')).body.data, (await login('student0001')).body.data];
    for (const { access_token: token } of [own, other]) await me(token);
    const answer = await change(own.access_token, { old_password: DEMO_PASSWORD, new_password: NEW });
    expect(answer).toMatchObject({ status: 200, body: { data: { token_type: 'Bearer', expires_in: 900 } } });
    expect((await me(answer.body.data.access_token)).status).toBe(200);
    expect((await me(other.access_token)).body.code).toBe('SESSION_ENDED');
    const renew = (token: string) => nobody('POST', '/auth/refresh', { body: { refresh_token: token } });
    expect((await renew(other.refresh_token)).body.code).toBe('REFRESH_INVALID');
    expect((await renew(own.refresh_token)).status).toBe(200);
    expect((await login('student0001')).body.code).toBe('BAD_CREDENTIALS');
    expect((await login('student0001', NEW)).status).toBe(200);
    const [event] = await school.rows(
      "SELECT payload FROM outbox_events WHERE name = 'auth.user.changed' ORDER BY seq DESC LIMIT 1",
    );
    expect((event!.payload as { payload: object }).payload).toMatchObject({ fields: ['password'] });
  });

  it('A1: refuses a weak one, the login and the old one, and changes nothing', async () => {
    const { access_token: token } = (await login('student0002')).body.data;
    for (const password of ['short', 'STUDENT0002', '1q2w3e4r5t6y', DEMO_PASSWORD]) {
      expect(await change(token, { old_password: DEMO_PASSWORD, new_password: password })).toMatchObject({
        status: 422,
        body: { code: 'WEAK_PASSWORD', errors: [{ pointer: '/new_password' }] },
      });
    }
    expect((await me(token)).status).toBe(200);
  });

  it('A2: takes five wrong old passwords, then locks the login', async () => {
    const { access_token: token } = (await login('student0003')).body.data;
    const attempts = Array.from({ length: 8 }, () => change(token, { old_password: 'wrong', new_password: NEW }));
    const codes = (await Promise.all(attempts)).map(({ body }) => body.code).sort();
    expect(codes).toEqual([...Array(5).fill('BAD_CREDENTIALS'), ...Array(3).fill('LOCKED')]);
    expect((await login('student0003')).body.code).toBe('LOCKED');
  });

  it('takes no user of the body', async () => {
    const { access_token: token } = (await login('student0004')).body.data;
    const body = { old_password: DEMO_PASSWORD, new_password: NEW, user_id: 'x' };
    expect((await change(token, body)).status).toBe(400);
  });
});

describe('a forgotten password', () => {
  it('is set with the token of the mail, once; all logins end', async () => {
    const { access_token: old } = (await login('student0005')).body.data;
    expect(await forgot('STUDENT0005')).toMatchObject({ status: 202, body: { data: null } });
    const token = await mails.token(addressOf('student0005'));
    expect(mails.to(addressOf('student0005'))[0]).toContain('https://school.example/auth/reset#token=');
    const [row] = await school.rows(
      "SELECT encode(token_hash, 'escape') AS hash FROM auth_tokens ORDER BY id DESC LIMIT 1",
    );
    expect(row!.hash).not.toContain(token);
    expect((await reset(token, 'student0005')).body.code).toBe('WEAK_PASSWORD');
    const answers = await Promise.all([reset(token), reset(token), reset(token)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 422, 422]);
    expect((await reset(token)).body).toMatchObject({ status: 422, code: 'TOKEN_EXPIRED' });
    expect((await me(old)).body.code).toBe('SESSION_ENDED');
    expect((await login('student0005', NEW)).status).toBe(200);
  });

  it('lasts an hour, and no longer than the next change of the password', async () => {
    await forgot('student0006');
    const late = await mails.token(addressOf('student0006'));
    later(3_600_000);
    expect((await reset(late)).body.code).toBe('TOKEN_EXPIRED');
    await forgot('student0007');
    const overtaken = await mails.token(addressOf('student0007'));
    const { access_token: session } = (await login('student0007')).body.data;
    expect((await change(session, { old_password: DEMO_PASSWORD, new_password: NEW })).status).toBe(200);
    expect((await reset(overtaken, 'another one 9')).body.code).toBe('TOKEN_EXPIRED');
  });

  it('answers the same to a login that is unknown, suspended or without an address, and mails nobody', async () => {
    await school.rows("UPDATE users SET status = 'suspended' WHERE login = 'student0008'");
    await school.rows("UPDATE users SET email = NULL WHERE login = 'student0009'");
    const known = await forgot('student0010');
    await mails.token(addressOf('student0010'));
    const before = mails.all().length;
    for (const name of ['nobody-here', 'student0008', 'student0009']) {
      const { status, body } = await forgot(name);
      expect({ status, body }).toEqual({ status: known.status, body: known.body });
    }
    await forgot('student0010');
    await mails.token(addressOf('student0010'), 2);
    expect(mails.all()).toHaveLength(before + 1);
  });

  it('is answered without waiting for what follows, so that nobody can tell by the time', async () => {
    const client = new pg.Client({ connectionString: school.knexUrl });
    await client.connect();
    try {
      await client.query('BEGIN');
      await client.query("SELECT 1 FROM users WHERE login = 'student0013' FOR UPDATE");
      expect((await forgot('student0013')).status).toBe(202);
      expect(mails.to(addressOf('student0013'))).toEqual([]);
    } finally {
      await client.end();
    }
    await mails.token(addressOf('student0013'));
  });

  it('is mailed five times an hour at most', async () => {
    for (let round = 1; round <= 7; round++) await forgot('student0011');
    const [user] = await school.rows("SELECT id FROM users WHERE login = 'student0011'");
    const asked = `/activity-logs?action=password.forgot&entity=${user!.id}&limit=100`;
    await until('the lines of the log', async () =>
      (await school.as('admin')('GET', asked)).body.data.length === 7 ? true : undefined,
    );
    const [count] = await school.rows(
      "SELECT count(*)::int AS tokens FROM auth_tokens t JOIN users u ON u.id = t.user_id WHERE u.login = 'student0011'",
    );
    expect(count!.tokens).toBe(5);
  });

  it.each(['', 'x'.repeat(43), "' OR 1=1 --"])('refuses the token "%s"', async (token) => {
    const { status } = await reset(token);
    expect(status).toBe(token === '' ? 400 : 422);
  });

  it('ends a lock', async () => {
    for (let attempt = 0; attempt < 6; attempt++) await login('student0012', 'wrong password');
    await forgot('student0012');
    expect((await reset(await mails.token(addressOf('student0012')))).status).toBe(204);
    expect((await login('student0012', NEW)).status).toBe(200);
  });

  it('leaves neither addresses nor tokens nor passwords in the log; mails are for their owner only', async () => {
    const text = JSON.stringify(school.log.lines);
    for (const mail of mails.all()) expect(text).not.toContain(/#token=([\w-]+)/.exec(mail)![1]);
    expect(text).not.toContain('@schools24.example');
    expect(text).not.toContain(NEW);
    expect(statSync(join(mails.folder)).mode & 0o077).toBe(0);
  });
});

describe('limits', () => {
  it('counts asking for and setting passwords by address', async () => {
    const { headers } = await forgot('nobody-here');
    expect(headers.get('ratelimit-policy')).toMatch(/^"recovery";q=10000;w=60$/);
    expect((await reset('x')).status).toBe(422);
  });
});
