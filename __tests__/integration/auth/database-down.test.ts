import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';
import { DEMO_PASSWORD } from '../../support/template.ts';

describe('logins while PostgreSQL is down', () => {
  const school = useSchool();
  let admin: pg.Client;

  const me = (token: string) =>
    school.as(undefined)('GET', '/auth/me', { headers: { authorization: `Bearer ${token}` } });
  const sidOf = (token: string): string => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).sid;
  const later = (ms: number) => school.clock.set(new Date(school.clock.now().getTime() + ms).toISOString());

  async function takeDown(): Promise<void> {
    await admin.query(`ALTER DATABASE ${school.prefix} ALLOW_CONNECTIONS false`);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [school.prefix]);
  }

  beforeAll(async () => {
    admin = new pg.Client({ connectionString: process.env.DATABASE_URL });
    await admin.connect();
    for (const login of ['teacher001', 'teacher002', 'teacher003']) await me(await school.token(login));
    await takeDown();
  });
  afterAll(async () => {
    await admin.query(`ALTER DATABASE ${school.prefix} ALLOW_CONNECTIONS true`);
    await admin.end();
  });

  it('go on for who is logged in, scopes included', async () => {
    later(5_000);
    const { status, body } = await me(await school.token('teacher001'));
    expect(status).toBe(200);
    expect(body.data.scopes.class_subjects.length).toBeGreaterThan(0);
  });

  it('go on even when Redis lost the session', async () => {
    const token = await school.token('teacher002');
    await school.engine.cache.drop(`session:${sidOf(token)}`);
    later(5_000);
    expect((await me(token)).status).toBe(200);
  });

  it('cannot begin: 503, come back later, and not one word about the account', async () => {
    const { status, headers, body } = await school.as(undefined)('POST', '/auth/login', {
      body: { login: 'teacher003', password: DEMO_PASSWORD },
    });
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'DATABASE_UNAVAILABLE' });
    expect(headers.get('retry-after')).toBe('5');
    expect(JSON.stringify(body)).not.toMatch(/select|knex|postgres|connection/i);
  });

  it('A2: do not count as failures', async () => {
    const tries = Array.from({ length: 5 }, () =>
      school.as(undefined)('POST', '/auth/login', { body: { login: 'teacher004', password: DEMO_PASSWORD } }),
    );
    expect((await Promise.all(tries)).map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    const { redis, keys } = school.engine;
    expect(Number(await redis.get(keys.cache('auth:fail:teacher004')))).toBe(0);
  });
});
