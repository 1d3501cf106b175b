import { describe, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';
import { DEMO_PASSWORD } from '../../support/template.ts';

const school = useSchool();
const nobody = school.as(undefined);
const login = async (name: string): Promise<{ access_token: string; refresh_token: string }> =>
  (await nobody('POST', '/auth/login', { body: { login: name, password: DEMO_PASSWORD } })).body.data;
const call = (token: string, method: string, path: string, body?: object) =>
  nobody(method, path, { headers: { authorization: `Bearer ${token}` }, ...(body ? { body } : {}) });
const sidOf = ({ refresh_token: token }: { refresh_token: string }) => token.split('.')[0]!;
const status = async (token: string) => (await call(token, 'GET', '/auth/me')).status;

describe('own logins', () => {
  it('are listed newest first, page by page, the present one marked', async () => {
    const logins = [];
    for (let index = 0; index < 3; index++) logins.push(await login('student0001'));
    const token = logins[1]!.access_token;
    const first = await call(token, 'GET', '/auth/sessions?limit=2');
    expect(first.body.data.map(({ id }: { id: string }) => id)).toEqual([sidOf(logins[2]!), sidOf(logins[1]!)]);
    expect(first.body.data.map((entry: { is_current: boolean }) => entry.is_current)).toEqual([false, true]);
    expect(first.body.data[0].ip).toBe('127.0.0.1');
    const rest = await call(token, 'GET', `/auth/sessions?limit=2&cursor=${first.body.meta.next_cursor}`);
    expect(rest.body).toMatchObject({ data: [{ id: sidOf(logins[0]!) }], meta: { next_cursor: null } });
  });

  it('end by their id; those of others are not there', async () => {
    const [own, other, stranger] = [await login('student0002'), await login('student0002'), await login('student0003')];
    expect((await call(own.access_token, 'DELETE', `/auth/sessions/${sidOf(stranger)}`)).status).toBe(404);
    expect(await status(stranger.access_token)).toBe(200);
    expect((await call(own.access_token, 'DELETE', `/auth/sessions/${sidOf(other)}`)).status).toBe(204);
    expect(await status(other.access_token)).toBe(401);
    expect((await call(own.access_token, 'DELETE', `/auth/sessions/${sidOf(other)}`)).status).toBe(404);
    expect(await status(own.access_token)).toBe(200);
  });

  it('logout ends this one, with or without a body', async () => {
    const [first, second, third] = [await login('student0004'), await login('student0004'), await login('student0004')];
    expect((await call(first.access_token, 'POST', '/auth/logout')).status).toBe(204);
    expect((await call(second.access_token, 'POST', '/auth/logout', { all: false })).status).toBe(204);
    expect(await Promise.all([first, second, third].map((one) => status(one.access_token)))).toEqual([401, 401, 200]);
    expect((await call(third.access_token, 'POST', '/auth/logout', { user_id: 'x' })).status).toBe(400);
  });

  it('logout of all ends all', async () => {
    const [first, second] = [await login('student0005'), await login('student0005')];
    expect((await call(first.access_token, 'POST', '/auth/logout', { all: true })).status).toBe(204);
    expect(await Promise.all([first, second].map((one) => status(one.access_token)))).toEqual([401, 401]);
    const answer = await nobody('POST', '/auth/refresh', { body: { refresh_token: second.refresh_token } });
    expect(answer.body.code).toBe('REFRESH_INVALID');
  });
});
