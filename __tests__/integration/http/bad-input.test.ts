import { beforeAll, describe, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';

const school = useSchool();
let teacher: Call;
let classSubject: string;

beforeAll(async () => {
  teacher = school.as('teacher001');
  classSubject = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects[0].id;
});

/** Class-subjects are known once the file runs; what is wrong in these bodies is something else. */
const body = (fields: object = {}) => ({
  class_subject_ids: [classSubject],
  title: 'x',
  due_at: '2025-12-01T10:00:00Z',
  ...fields,
});

describe('bad input', () => {
  it.each([
    ['broken JSON', '{"title": ', 400, 'MALFORMED_REQUEST', undefined],
    ['an unknown field', { ...body(), colour: 'red' }, 400, 'VALIDATION_FAILED', '/colour'],
    ['a wrong type', body({ max_files: '5' }), 400, 'VALIDATION_FAILED', '/max_files'],
    ['NUL', body({ title: 'a\0b' }), 400, 'VALIDATION_FAILED', '/title'],
    ['half of a surrogate pair', '{"title":"\\ud800"}', 400, 'VALIDATION_FAILED', '/title'],
    ['a prototype key', '{"__proto__":{"admin":true}}', 400, 'VALIDATION_FAILED', '/__proto__'],
    ['a text that is too long', body({ title: 'x'.repeat(301) }), 400, 'VALIDATION_FAILED', '/title'],
    ['no body', undefined, 400, 'VALIDATION_FAILED', undefined],
    ['endless nesting', `{"title":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 400, undefined, undefined],
  ])('answers %s with a clear problem and stores nothing', async (_name, sent, status, code, pointer) => {
    const before = await school.engine.buffer.stats();
    const answer = await teacher('POST', '/homework', { body: sent, headers: { 'content-type': 'application/json' } });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    if (code) expect(answer.body.code).toBe(code);
    if (pointer) expect(answer.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer);
    expect(answer.body.requestId).toBe(answer.headers.get('x-request-id'));
    expect(await school.engine.buffer.stats()).toEqual(before);
  });

  it('BAD_WINDOW names the date that does not fit', async () => {
    const answer = await teacher('POST', '/homework', { body: body({ due_at: '2020-01-01T00:00:00Z' }) });
    expect(answer).toMatchObject({ status: 422, body: { code: 'BAD_WINDOW', errors: [{ pointer: '/due_at' }] } });
  });

  it('refuses other content types with 415 and bodies beyond the limit with 413', async () => {
    const plain = await teacher('POST', '/homework', {
      body: 'title=x',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(plain.status).toBe(415);
    const large = await teacher('POST', '/homework', { body: body({ description: 'x'.repeat(300_000) }) });
    expect(large.status).toBe(413);
  });

  it('refuses forged, unsigned and expired tokens', async () => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const token = await school.token('teacher001');
    const [header, payload] = token.split('.');
    const none = `${encode({ alg: 'none', kid: 'test' })}.${payload}.`;
    const forged = `${header}.${encode({ ...JSON.parse(Buffer.from(payload!, 'base64url').toString()), roles: ['admin'] })}.${token.split('.')[2]}`;
    for (const bad of [none, forged, 'x', `${token}x`]) {
      const answer = await school.as(undefined)('GET', '/auth/me', { headers: { authorization: `Bearer ${bad}` } });
      expect(answer).toMatchObject({ status: 401, body: { code: 'INVALID_TOKEN' } });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    school.clock.set('2025-09-10T03:20:00Z');
    expect(
      await school.as(undefined)('GET', '/auth/me', { headers: { authorization: `Bearer ${token}` } }),
    ).toMatchObject({ status: 401, body: { code: 'ACCESS_TOKEN_EXPIRED' } });
    school.clock.set('2025-09-10T03:00:00Z');
  });

  it('A2 answers an unknown login like a wrong password and locks after five failures', async () => {
    const nobody = school.as(undefined);
    const unknown = await nobody('POST', '/auth/login', { body: { login: 'nobody', password: 'wrong password' } });
    const wrong = await nobody('POST', '/auth/login', { body: { login: 'student0009', password: 'wrong password' } });
    expect({ ...unknown.body, requestId: '' }).toEqual({ ...wrong.body, requestId: '' });
    for (let index = 0; index < 4; index++)
      await nobody('POST', '/auth/login', { body: { login: 'student0009', password: 'wrong password' } });
    const locked = await nobody('POST', '/auth/login', { body: { login: 'student0009', password: 'schools24-demo' } });
    expect(locked).toMatchObject({ status: 429, body: { code: 'LOCKED' } });
    expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('names what it does not know: routes, methods, If-Match lists, foreign request ids', async () => {
    expect((await teacher('GET', '/nothing')).status).toBe(404);
    const method = await teacher('PUT', '/homework', { body: {} });
    expect(method.status).toBe(405);
    expect(method.headers.get('allow')!.split(', ')).toEqual(expect.arrayContaining(['GET', 'POST']));
    expect((await teacher('GET', '/homework/not-a-uuid')).body.errors[0].pointer).toBe('/params/id');
    const created = (await teacher('POST', '/homework', { body: body() })).body.data;
    expect(
      (await teacher('PATCH', `/homework/${created.id}`, { body: { title: 'y' }, headers: { 'if-match': 'W/"1"' } }))
        .status,
    ).toBe(400);
    const injected = await teacher('GET', '/auth/me', { headers: { 'x-request-id': 'evil id with spaces' } });
    expect(injected.headers.get('x-request-id')).not.toContain('evil');
  });

  it('keeps passwords, tokens and bodies out of the log', async () => {
    const lines = JSON.stringify(school.log.lines);
    expect(lines).not.toContain('schools24-demo');
    expect(lines).not.toContain(await school.token('teacher001'));
  });
});

describe('profile', () => {
  it("merges fields, is seen at once and reaches the user's row", async () => {
    const me = school.as('parent0001');
    await me('PATCH', '/auth/me', { body: { locale: 'hi-IN' } });
    const changed = await me('PATCH', '/auth/me', { body: { phone: '+91 99999 11111' } });
    expect(changed.body.data).toMatchObject({ locale: 'hi-IN', phone: '+91 99999 11111' });
    const run = await school.sync();
    expect(run.failed).toBe(0);
    const [row] = await school.rows(`SELECT phone, prefs->>'locale' AS locale FROM users WHERE login = 'parent0001'`);
    expect(row).toEqual({ phone: '+91 99999 11111', locale: 'hi-IN' });
    expect((await me('GET', '/auth/me')).body.data).toMatchObject({ locale: 'hi-IN', phone: '+91 99999 11111' });
  });
});

describe('readiness', () => {
  it('names each server and how it keeps writes', async () => {
    const { status, body: report } = await school.as(undefined)('GET', '/readyz');
    expect(status).toBe(200);
    expect(report.checks.redis).toMatchObject({
      appendonly: true,
      appendfsync: 'always',
      maxmemoryPolicy: 'noeviction',
    });
    expect(report.servers.map((server: { name: string }) => server.name).sort()).toEqual([
      'mongo',
      'postgres',
      'redis',
    ]);
  });
});
