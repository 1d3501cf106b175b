import { createHmac } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { whileDatabaseIsDown } from '../../support/database-outage.ts';
import { useSchool } from '../../support/harness.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { DEMO_PASSWORD } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const wire = await TcpProxy.open(process.env.REDIS_URL!);
afterAll(() => wire.close());

const school = useSchool({ REDIS_URL: wire.url });
const nobody = school.as(undefined);
const login = async (name: string): Promise<{ access_token: string; refresh_token: string }> =>
  (await nobody('POST', '/auth/login', { body: { login: name, password: DEMO_PASSWORD } })).body.data;
const refresh = (token: string) => nobody('POST', '/auth/refresh', { body: { refresh_token: token } });
const me = (token: string) => nobody('GET', '/auth/me', { headers: { authorization: `Bearer ${token}` } });
const later = (ms: number) => school.clock.set(new Date(school.clock.now().getTime() + ms).toISOString());
const row = async (token: string) =>
  (
    await school.rows('SELECT generation, revoked_at, revoke_reason, expires_at FROM user_sessions WHERE id = $1', [
      token.split('.')[0],
    ])
  )[0]!;

describe('refresh', () => {
  it('A3: a refresh token is used once: it gives a new pair and raises the generation', async () => {
    const { refresh_token: first } = await login('student0001');
    const { status, body, headers } = await refresh(first);
    expect(status).toBe(200);
    expect(headers.get('ratelimit-policy')).toMatch('"default"');
    expect(body.data).toEqual({
      access_token: expect.any(String),
      refresh_token: expect.stringMatching(/^[0-9a-f-]{36}\.2\.[\w-]{43}$/),
      token_type: 'Bearer',
      expires_in: 900,
    });
    expect((await me(body.data.access_token)).body.data.login).toBe('student0001');
    expect((await row(first)).generation).toBe(2);
    expect((await refresh(body.data.refresh_token)).body.data.refresh_token).toMatch(/\.3\./);
  });

  it('A3: the generation just replaced is taken for 10 s and gets the same successor', async () => {
    const { refresh_token: first } = await login('student0002');
    const second = (await refresh(first)).body.data.refresh_token;
    later(10_000);
    expect((await refresh(first)).body.data.refresh_token).toBe(second);
    expect((await row(first)).generation).toBe(2);
  });

  it('A3: an older one ends this login and no other', async () => {
    const [{ refresh_token: first }, other] = [await login('student0003'), await login('student0003')];
    const second = (await refresh(first)).body.data;
    later(10_001);
    const { status, body } = await refresh(first);
    expect({ status, code: body.code }).toEqual({ status: 401, code: 'REFRESH_REUSED' });
    expect(await row(first)).toMatchObject({ revoke_reason: 'refresh_reused' });
    const [sid] = first.split('.');
    const { body: lines } = await school.as('admin')('GET', `/activity-logs?entity=${sid}`);
    expect(lines.data.map(({ action, after }: { action: string; after?: object }) => ({ action, after }))).toEqual([
      { action: 'session.end', after: { reason: 'refresh_reused' } },
      { action: 'session.start' },
    ]);
    expect((await me(second.access_token)).body.code).toBe('SESSION_ENDED');
    expect((await refresh(second.refresh_token)).body.code).toBe('REFRESH_INVALID');
    expect((await me(other.access_token)).status).toBe(200);
  });

  it('A3: the one before the replaced one ends the login even within 10 s', async () => {
    const { refresh_token: first } = await login('student0004');
    const second = (await refresh(first)).body.data.refresh_token;
    await refresh(second);
    expect((await refresh(first)).body.code).toBe('REFRESH_REUSED');
  });

  it('A3: many at the same time get one successor', async () => {
    const { refresh_token: first } = await login('student0005');
    const answers = await Promise.all(Array.from({ length: 12 }, () => refresh(first)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => body.data.refresh_token)).size).toBe(1);
    expect((await row(first)).generation).toBe(2);
  });

  it('A3: each token lives 30 days, and a refresh on the last of them goes on', async () => {
    const { refresh_token: first } = await login('student0006');
    later(30 * 86_400_000 - 1);
    const second = (await refresh(first)).body.data;
    later(60_000);
    expect((await me(second.access_token)).status).toBe(200);
    later(30 * 86_400_000);
    expect((await refresh(second.refresh_token)).body.code).toBe('REFRESH_INVALID');
  });

  it.each<[string, (good: string) => string]>([
    ['of another generation', (good) => good.replace('.1.', '.2.')],
    ['of another login', (good) => good.replace(/^[^.]+/, newId())],
    [
      'signed with the key of access tokens',
      (good) => {
        const content = good.split('.').slice(0, 2).join('.');
        return `${content}.${createHmac('sha256', Buffer.alloc(32, 7)).update(content).digest('base64url')}`;
      },
    ],
    ['without its mac', (good) => good.split('.').slice(0, 2).join('.')],
    ['of one letter', (good) => good.slice(0, 1)],
  ])('A3: refuses a forged token %s', async (_what, forge) => {
    const { refresh_token: good } = await login('student0007');
    const { status, body } = await refresh(forge(good));
    expect({ status, code: body.code }).toEqual({ status: 401, code: 'REFRESH_INVALID' });
    expect((await row(good)).revoked_at).toBeNull();
    expect((await refresh(good)).status).toBe(200);
  });

  it('A4: refuses who is suspended', async () => {
    const { refresh_token: token } = await login('student0008');
    await school.rows("UPDATE users SET status = 'suspended' WHERE login = 'student0008'");
    expect((await refresh(token)).body.code).toBe('REFRESH_INVALID');
  });

  it('while PostgreSQL is away is 503, and the login goes on afterwards', async () => {
    const { refresh_token: token } = await login('student0009');
    await whileDatabaseIsDown(school, async () => {
      const { status, headers } = await refresh(token);
      expect([status, headers.get('retry-after')]).toEqual([503, '5']);
    });
    const again = await until('the database', async () => {
      const answer = await refresh(token);
      return answer.status === 503 ? undefined : answer;
    });
    expect(again.status).toBe(200);
  });

  it('works without Redis; a token used again is 503 then, and ends its login when Redis is back', async () => {
    const { refresh_token: first } = await login('student0010');
    wire.down();
    try {
      const second = await refresh(first);
      expect(second.status).toBe(200);
      later(10_001);
      expect((await refresh(first)).status).toBe(503);
      expect((await row(first)).revoked_at).toBeNull();
    } finally {
      wire.up();
    }
    const answer = await until('Redis', async () => {
      const again = await refresh(first);
      return again.status === 503 ? undefined : again;
    });
    expect(answer.body.code).toBe('REFRESH_REUSED');
  });

  it('leaves no token in the log', async () => {
    const { refresh_token: token } = await login('student0011');
    await refresh(token);
    later(10_001);
    await refresh(token);
    expect(JSON.stringify(school.log.lines)).not.toContain(token.split('.')[2]);
  });
});
