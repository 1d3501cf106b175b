import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/index.ts';
import { type Container, createContainer } from '../../../src/container.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { DEMO_PASSWORD } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const wire = await TcpProxy.open(process.env.REDIS_URL!);
afterAll(() => wire.close());

const school = useSchool({ REDIS_URL: wire.url });
const nobody = school.as(undefined);
let admin: Call;
let second: Call;
const ids: Record<string, string> = {};
const me = (token: string) => nobody('GET', '/auth/me', { headers: { authorization: `Bearer ${token}` } });
const later = (ms: number) => school.clock.set(new Date(school.clock.now().getTime() + ms).toISOString());
const roles = (call: Call, name: string, wanted: string[]) =>
  call('PUT', `/users/${ids[name]}/roles`, { body: { roles: wanted } });
const statusOf = async (name: string) => (await admin('GET', `/users/${ids[name]}`)).body.data.status;

beforeAll(async () => {
  for (const { id, login } of await school.rows('SELECT id, login FROM users')) ids[login as string] = id as string;
  admin = school.as('admin');
  const existing = await school.rows("SELECT login FROM users WHERE login = 'admin02'");
  if (existing.length === 0) {
    // The small school has one admin; a teacher becomes the other.
    expect((await roles(admin, 'teacher003', ['admin', 'teacher'])).status).toBe(200);
    second = school.as('teacher003');
  } else second = school.as('admin02');
});

describe('suspension', () => {
  it('A4: ends the logins of a user at once, in this process and within a second in others', async () => {
    const other = createOther();
    try {
      const token = await school.token('student0001');
      await me(token);
      const authorization = `Bearer ${token}`;
      const nowMs = school.clock.now().getTime();
      expect(await other.authenticate(authorization, nowMs)).toMatchObject({ login: 'student0001' });
      const answer = await admin('POST', `/users/${ids.student0001}/suspend`);
      expect(answer).toMatchObject({ status: 200, body: { data: { status: 'suspended' } } });
      expect((await me(token)).body.code).toBe('SESSION_ENDED');
      await expect(other.authenticate(authorization, nowMs + 1_000)).rejects.toMatchObject({ code: 'SESSION_ENDED' });
    } finally {
      await other.close();
    }
    const [event] = await school.rows('SELECT name, payload FROM outbox_events ORDER BY seq DESC LIMIT 1');
    expect(event).toMatchObject({
      name: 'auth.user.suspended',
      payload: { payload: { user_id: ids.student0001, reason: 'by_admin' } },
    });
  });

  it('is taken back; the old logins stay ended', async () => {
    const { body } = await nobody('POST', '/auth/login', { body: { login: 'student0002', password: DEMO_PASSWORD } });
    await admin('POST', `/users/${ids.student0002}/suspend`);
    const login = () => nobody('POST', '/auth/login', { body: { login: 'student0002', password: DEMO_PASSWORD } });
    expect((await login()).body.code).toBe('SUSPENDED');
    expect((await admin('POST', `/users/${ids.student0002}/activate`)).body.data.status).toBe('active');
    expect((await me(body.data.access_token)).body.code).toBe('SESSION_ENDED');
    const renewed = await nobody('POST', '/auth/refresh', { body: { refresh_token: body.data.refresh_token } });
    expect(renewed.body.code).toBe('REFRESH_INVALID');
    expect((await login()).status).toBe(200);
  });

  it('A4: holds when Redis goes away between the change and the dropping of its copies', async () => {
    const token = await school.token('student0003');
    await me(token);
    const { keptCache } = school.engine;
    const drop = keptCache.drop.bind(keptCache);
    // Redis is cut where the change is committed and its copies are to be dropped.
    keptCache.drop = (...names) => {
      wire.down();
      return drop(...names);
    };
    try {
      expect((await admin('POST', `/users/${ids.student0003}/suspend`)).status).toBe(200);
    } finally {
      keptCache.drop = drop;
      wire.up();
    }
    await until('Redis', async () => (await school.engine.redis.ping().catch(() => undefined)) && true);
    later(1_000);
    expect((await me(token)).body.code).toBe('SESSION_ENDED');
  });

  it('is refused with 503 while Redis is away, and nothing is changed', async () => {
    await admin('GET', '/users?limit=1');
    wire.down();
    try {
      const answer = await admin('POST', `/users/${ids.student0004}/suspend`);
      expect(answer.status).toBe(503);
    } finally {
      wire.up();
    }
    await until('Redis', async () => (await school.engine.redis.ping().catch(() => undefined)) && true);
    expect(await statusOf('student0004')).toBe('active');
  });

  function createOther(): {
    authenticate: (authorization: string, nowMs: number) => Promise<unknown>;
    close: Container['close'];
  } {
    const url = new URL(process.env.MONGO_URL!);
    url.pathname = `/${school.prefix}`;
    const config = loadConfig({
      NODE_ENV: 'test',
      DATABASE_URL: school.knexUrl,
      REDIS_URL: process.env.REDIS_URL,
      MONGO_URL: url.href,
      REDIS_PREFIX: school.prefix,
      JWT_KEYS: `test:${Buffer.alloc(32, 7).toString('base64')}`,
    });
    const container = createContainer({ config, log: school.log, role: 'worker', clock: school.clock });
    return {
      authenticate: async (authorization, nowMs) => container.sessions.authenticate(authorization, nowMs),
      close: () => container.close(),
    };
  }
});

describe('roles', () => {
  it('A4: a change ends the logins of its user and counts from the next one', async () => {
    const token = await school.token('teacher002');
    expect((await me(token)).body.data.roles).toEqual(['parent', 'teacher']);
    expect((await roles(admin, 'teacher002', ['teacher'])).body.data.roles).toEqual(['teacher']);
    expect((await me(token)).body.code).toBe('SESSION_ENDED');
    const [line] = (await admin('GET', '/activity-logs?action=user.roles&limit=1')).body.data;
    expect(line).toMatchObject({ before: { roles: ['parent', 'teacher'] }, after: { roles: ['teacher'] } });
  });

  it('that are the same already end nothing', async () => {
    const token = await school.token('teacher001');
    expect((await roles(admin, 'teacher001', ['teacher'])).status).toBe(200);
    expect((await me(token)).status).toBe(200);
  });

  it('need their person', async () => {
    expect(await roles(admin, 'student0005', ['student', 'admin'])).toMatchObject({
      status: 422,
      body: { code: 'RULE_BROKEN', errors: [{ pointer: '/roles' }] },
    });
  });

  it('A5: nobody drops their own admin role', async () => {
    expect(await roles(admin, 'admin', ['accountant'])).toMatchObject({
      status: 422,
      body: { code: 'SELF_DEMOTION' },
    });
    expect((await me(await school.token('admin'))).body.data.roles).toContain('admin');
  });

  it('A5: of admins who take each other away at the same time, one stays', async () => {
    const admins = async () =>
      (
        await school.rows(
          "SELECT u.id FROM users u JOIN user_roles r ON r.user_id = u.id WHERE r.role = 'admin' AND u.status = 'active'",
        )
      ).length;
    const [{ id: secondId }, before] = [(await second('GET', '/auth/me')).body.data, await admins()];
    expect(before).toBe(2);
    const client = new pg.Client({ connectionString: school.knexUrl });
    await client.connect();
    let answers: Awaited<ReturnType<Call>>[];
    try {
      // Both are under way, let in and waiting, before either is decided.
      await client.query('BEGIN');
      await client.query('SELECT 1 FROM users FOR UPDATE');
      const both = Promise.all([
        admin('PUT', `/users/${secondId}/roles`, { body: { roles: ['teacher'] } }),
        second('POST', `/users/${ids.admin}/suspend`),
      ]);
      await until('two statements to wait', async () => {
        const waiting = await school.rows(
          "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        return waiting.length === 2 ? true : undefined;
      });
      await client.query('COMMIT');
      answers = await both;
    } finally {
      await client.end();
    }
    const outcomes = answers.map(({ status, body }) => (status === 200 ? 'ok' : body.code)).sort();
    expect(outcomes).toEqual(['LAST_ADMIN', 'ok']);
    expect(await admins()).toBe(1);
  });

  it('A5: the last active admin cannot be suspended', async () => {
    const [last] = await school.rows(
      "SELECT u.id, u.login FROM users u JOIN user_roles r ON r.user_id = u.id WHERE r.role = 'admin' AND u.status = 'active'",
    );
    const { body } = await nobody('POST', '/auth/login', { body: { login: last!.login, password: DEMO_PASSWORD } });
    const answer = await nobody('POST', `/users/${last!.id}/suspend`, {
      headers: { authorization: `Bearer ${body.data.access_token}` },
    });
    expect(answer).toMatchObject({ status: 422, body: { code: 'LAST_ADMIN' } });
  });
});
