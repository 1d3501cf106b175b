import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { useMailFolder } from '../../support/mails.ts';
import { DEMO_PASSWORD } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const mails = useMailFolder();
const school = useSchool({ DATA_DIR: mails.dataDir });
const nobody = school.as(undefined);
let admin: Call;
const login = (name: string, password = DEMO_PASSWORD) =>
  nobody('POST', '/auth/login', { body: { login: name, password } });
const staff = (number: string) => ({
  staff: { employee_no: number, full_name: 'Meera Joshi', designation: 'Teacher', joined_on: '2025-06-01' },
});
const find = async (name: string) =>
  (await admin('GET', `/users?q=${name}&limit=100`)).body.data.find((user: { login: string }) => user.login === name);
const logins = (answer: { body: { data: { login: string }[] } }) => answer.body.data.map((user) => user.login);
const lastEvent = async () =>
  (await school.rows('SELECT name, aggregate_id, payload FROM outbox_events ORDER BY seq DESC LIMIT 1'))[0]!;

beforeAll(() => {
  admin = school.as('admin');
});

describe('accounts', () => {
  it('are listed by login, page by page, each once', async () => {
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = await admin('GET', `/users?limit=40${cursor ? `&cursor=${cursor}` : ''}`);
      seen.push(...logins(page));
      cursor = page.body.meta.next_cursor;
    }
    const [count] = await school.rows('SELECT count(*)::int AS users FROM users');
    expect(seen).toHaveLength(count!.users as number);
    expect(seen).toEqual([...new Set(seen)].sort());
  });

  it('are found by role, status, class and part of a name', async () => {
    const roles = await admin('GET', '/users?role=teacher&limit=100');
    expect(new Set(logins(roles).map((name) => name.slice(0, 7)))).toEqual(new Set(['teacher']));
    const { id } = (await school.as('student0001')('GET', '/auth/me')).body.data.scopes.own_class;
    const ofClass = logins(await admin('GET', `/users?class_id=${id}&limit=100`));
    expect(ofClass).toEqual(expect.arrayContaining(['student0001', 'parent0001']));
    const [teacher] = await school.rows(
      'SELECT u.login FROM class_subjects cs JOIN staff s ON s.id = cs.staff_id JOIN users u ON u.id = s.user_id WHERE cs.class_id = $1 LIMIT 1',
      [id],
    );
    expect(ofClass).toContain(teacher!.login);
    const { person } = await find('teacher001');
    expect(
      logins(await admin('GET', `/users?q=${encodeURIComponent(person.staff.full_name.toUpperCase())}`)),
    ).toContain('teacher001');
    expect(logins(await admin('GET', '/users?q=%25'))).toEqual([]);
    expect(logins(await admin('GET', '/users?status=archived'))).toEqual([]);
    expect((await admin('GET', '/users?role=root')).status).toBe(400);
  });

  it('are for admins, and for principals to read', async () => {
    const { id } = await find('student0001');
    expect((await school.as('principal01')('GET', '/users')).status).toBe(200);
    for (const [name, method, path] of [
      ['principal01', 'POST', `/users/${id}/suspend`],
      ['teacher001', 'GET', '/users'],
      ['student0001', 'GET', `/users/${id}`],
      ['parent0001', 'PUT', `/users/${id}/roles`],
    ] as const)
      expect((await school.as(name)(method, path, method === 'PUT' ? { body: { roles: ['admin'] } } : {})).status).toBe(
        403,
      );
    expect((await admin('GET', `/users/${newId()}`)).status).toBe(404);
  });

  it('are made with roles, a person and an invite, which sets the password once', async () => {
    const body = { login: 'meera.joshi', email: 'meera@x.example', roles: ['teacher'], person: staff('N1') };
    const { status, body: answer, headers } = await admin('POST', '/users', { body });
    expect(status).toBe(201);
    expect(answer.data).toMatchObject({
      login: 'meera.joshi',
      status: 'invited',
      roles: ['teacher'],
      name: 'Meera Joshi',
      person: { staff: { employee_no: 'N1', joined_on: '2025-06-01' }, student: null, guardian: null },
      invite: { is_sent: true },
      temporary_password: null,
    });
    expect((await admin('GET', headers.get('location')!)).body.data.id).toBe(answer.data.id);
    const token = await mails.token('meera@x.example');
    expect(JSON.stringify(answer)).not.toContain(token);
    const event = await lastEvent();
    expect(event).toMatchObject({ name: 'auth.user.changed', aggregate_id: answer.data.id });
    expect(JSON.stringify(event)).not.toMatch(/meera@|Joshi/);
    expect((await login('meera.joshi')).body.code).toBe('BAD_CREDENTIALS');
    const reset = (password: string) =>
      nobody('POST', '/auth/password/reset', { body: { token, new_password: password } });
    expect((await reset('MEERA.JOSHI')).body.code).toBe('WEAK_PASSWORD');
    expect((await reset('k7vQ2mZp4x')).status).toBe(204);
    expect((await reset('k7vQ2mZp4y')).body.code).toBe('TOKEN_EXPIRED');
    expect((await login('meera.joshi', 'k7vQ2mZp4x')).body.data.is_password_temporary).toBe(false);
  });

  it('are invited by a request that may be repeated as well, whose link is kept nowhere', async () => {
    const body = { login: 'by.key', email: 'by.key@x.example', roles: ['driver'], person: staff('N9') };
    const headers = { 'idempotency-key': 'invited-by-key' };
    const answer = await admin('POST', '/users', { body, headers });
    expect(answer).toMatchObject({ status: 201, body: { data: { invite: { is_sent: true } } } });
    const token = await mails.token('by.key@x.example');
    const kept = await school.rows('SELECT response::text AS text FROM idempotency_keys');
    expect(kept.filter(({ text }) => String(text).includes(token))).toEqual([]);
  });

  it('without an address get a temporary password, told once and replaced by its owner', async () => {
    const body = { login: 'no.mail', roles: ['driver'], person: staff('N2') };
    const headers = { 'idempotency-key': 'new-driver' };
    const first = await admin('POST', '/users', { body, headers });
    const password: string = first.body.data.temporary_password;
    expect(first.body.data).toMatchObject({ status: 'active', is_password_temporary: true, invite: null });
    const again = await admin('POST', '/users', { body, headers });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body.data).toMatchObject({ id: first.body.data.id, temporary_password: null });
    const { redis, keys } = school.engine;
    for (const key of await redis.keys(`*${keys.prefix}*`))
      expect(await redis.get(key).catch(() => '')).not.toContain(password);
    const kept = await school.rows('SELECT response::text AS text FROM idempotency_keys');
    expect(kept.filter(({ text }) => String(text).includes(password))).toEqual([]);
    const { body: session } = await login('no.mail', password);
    expect(session.data.is_password_temporary).toBe(true);
    const changed = await nobody('POST', '/auth/password/change', {
      headers: { authorization: `Bearer ${session.data.access_token}` },
      body: { old_password: password, new_password: 'k7vQ2mZp4x' },
    });
    expect(changed.status).toBe(200);
    expect((await login('no.mail', 'k7vQ2mZp4x')).body.data.is_password_temporary).toBe(false);
  });

  it.each<[string, object, number, string]>([
    ['a login of others in capitals', { login: 'TEACHER001' }, 409, '/login'],
    ['an address of others', { email: 'Teacher001@schools24.example' }, 409, '/email'],
    ['an employee number of others', { person: staff('E0001') }, 409, '/person/staff/employee_no'],
    ['a role without its person', { roles: ['teacher', 'parent'] }, 422, '/roles'],
    ['a person who is not complete', { person: { staff: { full_name: 'A' } } }, 422, '/person/staff/employee_no'],
    [
      'a student who is not there',
      { roles: ['student'], person: { student: { id: newId() } } },
      422,
      '/person/student/id',
    ],
    ['an invite without an address', { credentials: 'invite' }, 422, '/email'],
    ['an unknown role', { roles: ['root'] }, 400, '/roles/0'],
    ['no role', { roles: [] }, 400, '/roles'],
    ['a password', { password: 'k7vQ2mZp4x' }, 400, '/password'],
    ['a status', { status: 'active' }, 400, '/status'],
    ['a second address', { email: 'a@x.example, b@x.example' }, 400, '/email'],
    ['a line break in an address', { email: 'a@x.example\r\nBcc: b@x.example' }, 400, '/email'],
    ['letters that look like others', { login: 'аdmin1' }, 400, '/login'],
  ])('are not made with %s', async (_what, part, status, pointer) => {
    const answer = await admin('POST', '/users', {
      body: { login: 'refused.one', roles: ['teacher'], person: staff('N9'), ...part },
    });
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([status, pointer]);
    expect(await find('refused.one')).toBeUndefined();
  });

  it('of a student who has a login already are refused', async () => {
    const { person } = await find('student0001');
    const body = { login: 'second.one', roles: ['student'], person: { student: { id: person.student.id } } };
    expect(await admin('POST', '/users', { body })).toMatchObject({ status: 409, body: { code: 'TAKEN' } });
  });

  it('change by field; the old address hears of it, and its links end', async () => {
    const { id, version } = await find('teacher003');
    await nobody('POST', '/auth/password/forgot', { body: { login: 'teacher003' } });
    const token = await mails.token('teacher003@schools24.example');
    const patch = (body: object, etag: number) =>
      admin('PATCH', `/users/${id}`, { body, headers: { 'if-match': `"${etag}"` } });
    const answer = await patch({ email: 'new3@x.example', person: { staff: { designation: 'Head' } } }, version);
    expect(answer).toMatchObject({
      status: 200,
      body: { data: { email: 'new3@x.example', person: { staff: { designation: 'Head' } }, invite: null } },
    });
    expect((await patch({ email: 'other3@x.example' }, version)).status).toBe(412);
    expect((await patch({ login: 'teacher001' }, answer.body.data.version)).body.code).toBe('TAKEN');
    const notice = await until('the notice', async () => mails.to('teacher003@schools24.example')[1]);
    expect(notice).toContain('no longer uses this');
    const reset = await nobody('POST', '/auth/password/reset', { body: { token, new_password: 'k7vQ2mZp4x' } });
    expect(reset.body.code).toBe('TOKEN_EXPIRED');
    expect(await lastEvent()).toMatchObject({
      payload: { payload: { user_id: id, fields: ['email', 'person.staff.designation'] } },
    });
  });

  it('A4: a temporary password by an admin ends all logins of its user', async () => {
    const token = await school.token('student0005');
    const bearer = { headers: { authorization: `Bearer ${token}` } };
    expect((await nobody('GET', '/auth/me', bearer)).status).toBe(200);
    const { id } = await find('student0005');
    const { body } = await admin('PATCH', `/users/${id}`, { body: { credentials: 'temporary_password' } });
    expect((await nobody('GET', '/auth/me', bearer)).body.code).toBe('SESSION_ENDED');
    expect((await login('student0005')).status).toBe(401);
    expect((await login('student0005', body.data.temporary_password)).body.data.is_password_temporary).toBe(true);
  });
});

describe('one’s own login and address', () => {
  it('are stored at once, pending fields of the profile with them, and shown', async () => {
    const me = school.as('teacher004');
    await me('PATCH', '/auth/me', { body: { locale: 'hi-IN' } });
    const answer = await me('PATCH', '/auth/me', { body: { login: 'new.teacher4', email: 'new4@x.example' } });
    expect(answer).toMatchObject({
      status: 200,
      body: { data: { login: 'new.teacher4', email: 'new4@x.example', locale: 'hi-IN' } },
    });
    expect(answer.headers.get('sync-status')).toBe('stored');
    const [row] = await school.rows("SELECT email, prefs FROM users WHERE login = 'new.teacher4'");
    expect(row).toMatchObject({ email: 'new4@x.example', prefs: { locale: 'hi-IN' } });
    expect((await me('GET', '/auth/me')).body.data).toMatchObject({ login: 'new.teacher4', email: 'new4@x.example' });
    expect((await login('new.teacher4')).status).toBe(200);
  });

  it('lose no write of the profile that is accepted while they are changed', async () => {
    const me = school.as('teacher005');
    await me('GET', '/auth/me');
    const client = new pg.Client({ connectionString: school.knexUrl });
    await client.connect();
    try {
      await client.query('BEGIN');
      await client.query("SELECT 1 FROM users WHERE login = 'teacher005' FOR UPDATE");
      const changed = me('PATCH', '/auth/me', { body: { email: 'new5@x.example' } });
      // Past the barrier, and not committed yet.
      await until('a statement to wait', async () => {
        const waiting = await school.rows(
          "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        return waiting.length === 1 ? true : undefined;
      });
      expect((await me('PATCH', '/auth/me', { body: { phone: '+91 12345' } })).status).toBe(202);
      await client.query('COMMIT');
      expect((await changed).status).toBe(200);
    } finally {
      await client.end();
    }
    await school.sync();
    const [row] = await school.rows("SELECT email, phone FROM users WHERE login = 'teacher005'");
    expect(row).toEqual({ email: 'new5@x.example', phone: '+91 12345' });
  });

  it('are 409 TAKEN when somebody has them, 412 when stale, and apart from buffered fields', async () => {
    const me = school.as('student0006');
    const change = (body: object, headers = {}) => me('PATCH', '/auth/me', { body, headers });
    expect(await change({ email: 'ADMIN@schools24.example' })).toMatchObject({
      status: 409,
      body: { code: 'TAKEN', errors: [{ pointer: '/email' }] },
    });
    expect((await change({ login: 'Admin' })).body.code).toBe('TAKEN');
    expect((await change({ email: 'x@x.example' }, { 'if-match': '"1"' })).status).toBe(412);
    expect((await change({ email: 'x@x.example', locale: 'fr' })).status).toBe(400);
    expect((await change({ email: 'x@x.example', roles: ['admin'] })).status).toBe(400);
  });
});
