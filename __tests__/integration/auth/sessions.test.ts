import { createHmac } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';

/** The harness signs with this key. */
const SECRET = Buffer.alloc(32, 7);
const KID = 'test';

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function forged(header: object, payload: object, secret?: Buffer): string {
  const content = `${part(header)}.${part(payload)}`;
  return `${content}.${secret ? createHmac('sha256', secret).update(content).digest('base64url') : ''}`;
}

describe('sessions', () => {
  const school = useSchool();
  const me = (token: string, scheme = 'Bearer') =>
    school.as(undefined)('GET', '/auth/me', { headers: { authorization: `${scheme} ${token}` } });
  const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());

  it('wants a token where a route is not public', async () => {
    const { status, body, headers } = await school.as(undefined)('GET', '/auth/me');
    expect({ status, code: body.code }).toEqual({ status: 401, code: 'UNAUTHENTICATED' });
    expect(headers.get('www-authenticate')).toBe('Bearer');
    expect(headers.get('content-type')).toMatch('application/problem+json');
  });

  it('A3: an access token says who, which login, which roles and lives 15 minutes', async () => {
    const claims = claimsOf(await school.token('teacher001'));
    expect(claims).toMatchObject({ sub: expect.any(String), sid: expect.any(String), roles: ['teacher'], epoch: 0 });
    expect(claims.exp - claims.iat).toBe(900);
  });

  describe('forged tokens', () => {
    const cases: [string, (good: Record<string, unknown>) => string | Promise<string>][] = [
      ['no signature (alg none)', (good) => forged({ alg: 'none', kid: KID }, good)],
      ['alg none in capitals', (good) => forged({ alg: 'NONE', kid: KID, typ: 'JWT' }, good)],
      ['a key of its own', (good) => forged({ alg: 'HS256', kid: KID }, good, Buffer.alloc(32, 8))],
      ['an empty key', (good) => forged({ alg: 'HS256', kid: KID }, good, Buffer.alloc(0))],
      ['an unknown key id', (good) => forged({ alg: 'HS256', kid: 'other' }, good, SECRET)],
      ['a key id that is a path', (good) => forged({ alg: 'HS256', kid: '../../../dev/null' }, good, Buffer.alloc(0))],
      ['no key id', (good) => forged({ alg: 'HS256' }, good, SECRET)],
      [
        'another algorithm with the right key',
        (good) => new SignJWT(good).setProtectedHeader({ alg: 'HS512', kid: KID }).sign(new Uint8Array(64).fill(7)),
      ],
      ['another issuer', (good) => forged({ alg: 'HS256', kid: KID }, { ...good, iss: 'elsewhere' }, SECRET)],
      ['no expiry', ({ exp, ...good }) => forged({ alg: 'HS256', kid: KID }, good, SECRET)],
      [
        'a payload that was changed',
        (good) => `${part({ alg: 'HS256', kid: KID })}.${part({ ...good, roles: ['admin'] })}.AAAA`,
      ],
      ['three words', () => 'a.b.c'],
      ['nothing', () => ''],
      ['a megabyte less than a token', () => 'x'.repeat(8_000)],
    ];
    it.each(cases)('refuses one with %s', async (_what, forge) => {
      const answer = await me(await forge(claimsOf(await school.token('student0001'))));
      expect(answer.status).toBe(401);
      expect(['INVALID_TOKEN', 'UNAUTHENTICATED']).toContain(answer.body.code);
    });

    it('takes the rights of the session, not those of the token', async () => {
      const good = claimsOf(await school.token('student0001'));
      const { status, body } = await me(
        forged({ alg: 'HS256', kid: KID, typ: 'JWT' }, { ...good, roles: ['admin'] }, SECRET),
      );
      expect(status).toBe(200);
      expect(body.data.roles).toEqual(['student']);
    });

    it('refuses a login of another person', async () => {
      const [good, other] = [claimsOf(await school.token('student0001')), claimsOf(await school.token('teacher001'))];
      const { body } = await me(forged({ alg: 'HS256', kid: KID }, { ...good, sub: other.sub }, SECRET));
      expect(body.code).toBe('SESSION_ENDED');
    });

    it.each(['Basic', 'Token', ''])('wants the scheme Bearer, not "%s"', async (scheme) => {
      expect((await me(await school.token('student0001'), scheme)).status).toBe(401);
    });
  });

  it('A3: refuses a token after its 15 minutes, in memory or not', async () => {
    const token = await school.token('student0002');
    expect((await me(token)).status).toBe(200);
    const before = school.clock.now();
    try {
      school.clock.set(new Date(before.getTime() + 899_000).toISOString());
      expect((await me(token)).status).toBe(200);
      school.clock.set(new Date(before.getTime() + 900_000).toISOString());
      expect((await me(token)).body.code).toBe('ACCESS_TOKEN_EXPIRED');
    } finally {
      school.clock.set(before.toISOString());
    }
    const old = claimsOf(token);
    const { body } = await me(forged({ alg: 'HS256', kid: KID }, { ...old, exp: old.iat - 1 }, SECRET));
    expect(body.code).toBe('ACCESS_TOKEN_EXPIRED');
  });

  it('A4: a raised epoch ends a login within a second', async () => {
    const token = await school.token('student0003');
    expect((await me(token)).status).toBe(200);
    const { sid } = claimsOf(token);
    await school.rows("UPDATE users SET token_epoch = token_epoch + 1 WHERE login = 'student0003'");
    // Another process than the one that let the caller in drops the session.
    await school.engine.cache.drop(`session:${sid}`);
    const before = school.clock.now();
    try {
      school.clock.set(new Date(before.getTime() + 1_000).toISOString());
      expect((await me(token)).body).toMatchObject({ status: 401, code: 'SESSION_ENDED' });
    } finally {
      school.clock.set(before.toISOString());
    }
  });

  it.each([
    ['revoked', 'UPDATE user_sessions SET revoked_at = now() WHERE id = $1'],
    [
      'of a suspended account',
      "UPDATE users SET status = 'suspended' WHERE id = (SELECT user_id FROM user_sessions WHERE id = $1)",
    ],
    ['past its 30 days', "UPDATE user_sessions SET expires_at = '2025-01-01' WHERE id = $1"],
    ['deleted', 'DELETE FROM user_sessions WHERE id = $1'],
  ])('A4: refuses a login that is %s', async (what, change) => {
    const token = await school.token(`student00${20 + what.length}`);
    const { sid } = claimsOf(token);
    await school.rows(change, [sid]);
    await school.engine.cache.drop(`session:${sid}`);
    const { body } = await me(token);
    expect(body.code).toBe('SESSION_ENDED');
  });

  it('asks for one session once, however many requests come at once', async () => {
    const token = await school.token('teacher003');
    await me(token);
    const before = school.clock.now();
    const reads: string[] = [];
    const { cache } = school.engine;
    const get = cache.get.bind(cache);
    cache.get = (spec) => {
      reads.push(spec.name);
      return get(spec);
    };
    try {
      school.clock.set(new Date(before.getTime() + 5_000).toISOString());
      const answers = await Promise.all(Array.from({ length: 20 }, () => me(token)));
      expect(answers.every(({ status }) => status === 200)).toBe(true);
      expect(reads.filter((name) => name.startsWith('session:')).length).toBeLessThan(5);
    } finally {
      cache.get = get;
      school.clock.set(before.toISOString());
    }
  });
});
