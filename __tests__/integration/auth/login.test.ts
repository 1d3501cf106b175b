import pg from 'pg';
import { describe, expect, it, vi } from 'vitest';
import { BufferUnavailableError } from '../../../src/errors/catalogue.ts';
import { useSchool } from '../../support/harness.ts';
import { DEMO_PASSWORD } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const WRONG = 'not the password';

describe('login', () => {
  const school = useSchool();
  const login = (name: string, password = DEMO_PASSWORD) =>
    school.as(undefined)('POST', '/auth/login', { body: { login: name, password } });
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  it('answers with tokens that open the caller’s own page', async () => {
    const { status, body, headers } = await login('teacher001');
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body.data).toMatchObject({
      expires_in: 900,
      is_password_temporary: false,
      user: { login: 'teacher001', roles: ['teacher'] },
    });
    const me = await school.as(undefined)('GET', '/auth/me', bearer(body.data.access_token));
    expect(me.body.data.login).toBe('teacher001');
    expect(me.body.data.scopes.class_subjects.length).toBeGreaterThan(0);
  });

  it('stores the session as a refresh will need it and notes the time', async () => {
    await login('student0002', WRONG);
    const { body } = await login('STUDENT0002');
    const [sid, generation] = body.data.refresh_token.split('.');
    const [session] = await school.rows(
      'SELECT s.generation, u.failed_logins, u.last_login_at = s.created_at AS noted, s.expires_at - s.created_at AS life FROM user_sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1',
      [sid],
    );
    expect(session).toMatchObject({
      generation: Number(generation),
      failed_logins: 0,
      noted: true,
      life: { days: 30 },
    });
  });

  it('has a line in the audit log, as everything that changes something', async () => {
    const { body } = await login('student0006');
    const [sid] = body.data.refresh_token.split('.');
    const { body: lines } = await school.as('admin')('GET', `/activity-logs?entity=${sid}`);
    expect(lines.data).toMatchObject([
      {
        action: 'session.start',
        service: 'auth',
        actor: { user_id: body.data.user.id, roles: ['student'] },
        entity: { type: 'session', id: sid },
        ip: expect.stringMatching(/127\.0\.0\.1|::1/),
      },
    ]);
  });

  it('goes on without that line while the buffer takes no writes', async () => {
    const put = vi.spyOn(school.engine.writer, 'put').mockRejectedValueOnce(new BufferUnavailableError());
    const { status, body } = await login('student0006');
    put.mockRestore();
    expect(status).toBe(200);
    const [sid] = body.data.refresh_token.split('.');
    expect((await school.as('admin')('GET', `/activity-logs?entity=${sid}`)).body.data).toEqual([]);
  });

  it('gives roles and scopes of somebody who is a teacher and a parent', async () => {
    const { body } = await school.as('teacher002')('GET', '/auth/me');
    expect(body.data.roles).toEqual(['parent', 'teacher']);
    expect(body.data.scopes.class_subjects.length).toBeGreaterThan(0);
    expect(body.data.scopes.children.length).toBeGreaterThan(0);
  });

  it('hides a child from a blocked guardian', async () => {
    const [blocked] = await school.rows(
      'SELECT u.login FROM student_guardians sg JOIN guardians g ON g.id = sg.guardian_id JOIN users u ON u.id = g.user_id WHERE sg.is_blocked',
    );
    const { body } = await school.as(blocked!.login as string)('GET', '/auth/me');
    expect(body.data.scopes.children).toEqual([]);
  });

  it('A2: says the same to an unknown login and a wrong password', async () => {
    const unknown = await login('nobody-here', WRONG);
    const wrong = await login('student0003', WRONG);
    const strip = ({ body: { requestId, ...body } }: typeof unknown) => body;
    expect(unknown.status).toBe(401);
    expect(unknown.body.code).toBe('BAD_CREDENTIALS');
    expect(strip(unknown)).toEqual(strip(wrong));
  });

  it('A2: takes as long for an unknown login as for a wrong password', async () => {
    const timeOf = async (name: string) => {
      const startMs = performance.now();
      await login(name, WRONG);
      return performance.now() - startMs;
    };
    const unknown: number[] = [];
    const wrong: number[] = [];
    for (let round = 0; round < 12; round++) {
      unknown.push(await timeOf(`nobody-${round}`));
      wrong.push(await timeOf(`student00${10 + round}`));
    }
    // The fastest of many, with room for a busy machine: without the decoy the ratio is below a tenth.
    const ratio = Math.min(...unknown) / Math.min(...wrong);
    expect(ratio).toBeGreaterThan(0.25);
    expect(ratio).toBeLessThan(4);
  });

  it.each(['student0004', 'no-such-login'])(
    'A2: locks %s after five failures, also for the right password',
    async (name) => {
      for (let attempt = 0; attempt < 5; attempt++) expect((await login(name, WRONG)).status).toBe(401);
      const { status, body, headers } = await login(name);
      expect(status).toBe(429);
      expect(body.code).toBe('LOCKED');
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(890);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(900);
    },
  );

  it('A2: lets no more than five of many attempts at the same time reach the password', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => login('student0005', WRONG)));
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(5);
    expect(answers.filter(({ body }) => body.code === 'LOCKED')).toHaveLength(25);
  });

  it('A2: a lock outlives the counter in Redis', async () => {
    for (let attempt = 0; attempt < 5; attempt++) await login('student0006', WRONG);
    await until('the lock', async () =>
      (await school.rows("SELECT locked_until_at FROM users WHERE login = 'student0006'"))[0]!.locked_until_at
        ? true
        : undefined,
    );
    await school.engine.redis.del(school.engine.keys.cache('auth:fail:student0006'));
    expect((await login('student0006')).body.code).toBe('LOCKED');
  });

  it('A2: five failures of one moment leave a lock that outlives the counter', async () => {
    const names = Array.from({ length: 6 }, (_, index) => `student00${20 + index}`);
    await Promise.all(names.flatMap((name) => Array.from({ length: 5 }, () => login(name, WRONG))));
    await until('the locks', async () => {
      const locked = await school.rows('SELECT 1 FROM users WHERE login = ANY($1) AND locked_until_at IS NOT NULL', [
        names,
      ]);
      return locked.length === names.length ? true : undefined;
    });
    for (const name of names) await school.engine.redis.del(school.engine.keys.cache(`auth:fail:${name}`));
    for (const name of names) expect((await login(name)).body.code).toBe('LOCKED');
  });

  it.each([
    ['a new password', `password_hash = (SELECT password_hash || 'x' FROM users WHERE login = 'admin')`],
    ['a suspension', `status = 'suspended'`],
  ])('A4: %s that comes while a login is under way lets it not in', async (_, change) => {
    const client = new pg.Client({ connectionString: school.knexUrl });
    await client.connect();
    try {
      await client.query('BEGIN');
      const sql = `UPDATE users SET ${change}, token_epoch = token_epoch + 1 WHERE login = 'student0030' RETURNING id`;
      const { rows } = await client.query(sql);
      const late = login('student0030');
      await until('the login to wait for the change', async () => {
        const waiting = await school.rows(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return waiting.length > 0 ? true : undefined;
      });
      await client.query('COMMIT');
      expect((await late).status).toBe(401);
      expect(await school.rows('SELECT id FROM user_sessions WHERE user_id = $1', [rows[0].id])).toEqual([]);
    } finally {
      await client.end();
      await school.rows(
        `UPDATE users SET status = 'active', password_hash = (SELECT password_hash FROM users WHERE login = 'admin') WHERE login = 'student0030'`,
      );
    }
  });

  it('a success ends the count', async () => {
    for (let round = 0; round < 3; round++) {
      for (let attempt = 0; attempt < 4; attempt++) await login('student0007', WRONG);
      expect((await login('student0007')).status).toBe(200);
    }
  });

  it('tells a suspended account only to who knows its password', async () => {
    await school.rows("UPDATE users SET status = 'suspended' WHERE login = 'student0008'");
    expect((await login('student0008', WRONG)).body.code).toBe('BAD_CREDENTIALS');
    expect((await login('student0008')).body).toMatchObject({ status: 403, code: 'SUSPENDED' });
  });

  it.each([
    ['no password', { login: 'a' }, '/password'],
    ['a field too many', { login: 'a', password: 'b', role: 'admin' }, '/role'],
    ['a number for a login', { login: 5, password: 'b' }, '/login'],
    ['NUL in the login', { login: 'a\0', password: 'b' }, '/login'],
    ['a login longer than its column', { login: 'a'.repeat(65), password: 'b' }, '/login'],
  ])('refuses %s', async (_what, body, pointer) => {
    const answer = await school.as(undefined)('POST', '/auth/login', { body });
    expect(answer.status).toBe(400);
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer);
  });

  it('leaves neither passwords nor tokens in the log', async () => {
    const { body } = await login('student0009');
    await login('student0009', WRONG);
    const text = JSON.stringify(school.log.lines);
    for (const secret of [DEMO_PASSWORD, WRONG, body.data.access_token, body.data.refresh_token])
      expect(text).not.toContain(secret);
  });
});
