import { describe, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';
import { useStreams } from '../../support/school-streams.ts';
import { until } from '../../support/until.ts';

describe('an open stream ends', () => {
  const school = useSchool();
  const listen = useStreams(school);
  const sidOf = (token: string): string => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).sid;
  const isEmpty = async () => (school.container.streams.count === 0 ? true : undefined);

  it.each([
    [
      'A4: when the account is suspended',
      'student0001',
      "UPDATE users SET status = 'suspended' WHERE login = 'student0001'",
    ],
    [
      'A4: when the token epoch is raised',
      'student0002',
      "UPDATE users SET token_epoch = 7 WHERE login = 'student0002'",
    ],
    [
      'when the login is revoked',
      'student0003',
      "UPDATE user_sessions SET revoked_at = now() WHERE user_id = (SELECT id FROM users WHERE login = 'student0003')",
    ],
  ])('%s, although the request was let in a moment ago', async (_when, login, change) => {
    const stream = await listen(login);
    const other = await listen('student0004');
    await Promise.all([stream.next('stream.ready'), other.next('stream.ready')]);
    await school.rows(change);
    await school.engine.keptCache.drop(`session:${sidOf(await school.token(login))}`);
    expect((await stream.next('stream.closed')).data).toEqual({ code: 'SESSION_ENDED' });
    await stream.ended();
    expect(other.isEnded).toBe(false);
  });

  it('A3: when its token expires', async () => {
    const stream = await listen('student0005');
    await stream.next('stream.ready');
    const before = school.clock.now();
    try {
      school.clock.set(new Date(before.getTime() + 900_000).toISOString());
      expect((await stream.next('stream.closed')).data).toEqual({ code: 'ACCESS_TOKEN_EXPIRED' });
      await stream.ended();
    } finally {
      school.clock.set(before.toISOString());
    }
  });

  it('when the client goes, and leaves nothing behind', async () => {
    const stream = await listen('student0006');
    await stream.next('stream.ready');
    expect(school.container.streams.count).toBe(1);
    stream.close();
    await until('its place to be free', isEmpty);
    const channels = await school.engine.redis.pubsub('CHANNELS', `${school.prefix}:live:user:*`);
    expect(channels).toEqual([]);
  });

  it('when the process stops; no other begins (I10)', async () => {
    const stream = await listen('student0006');
    await stream.next('stream.ready');
    school.container.streams.stop();
    expect((await stream.next('stream.closed')).data).toEqual({ code: 'SHUTTING_DOWN' });
    await stream.ended();
    const refused = await school.as('student0006')('GET', '/stream');
    expect(refused).toMatchObject({ status: 503, body: { code: 'SHUTTING_DOWN' } });
    expect(refused.headers.get('retry-after')).toBe('5');
  });
});

describe('the streams of a process', () => {
  const school = useSchool({ STREAMS_PER_PROCESS: '2' });
  const listen = useStreams(school);

  it('are so many at most', async () => {
    await Promise.all([listen('student0001'), listen('student0002')]);
    const refused = await school.as('student0003')('GET', '/stream');
    expect(refused).toMatchObject({ status: 503, body: { code: 'OVERLOADED' } });
    expect(refused.headers.get('retry-after')).toBe('5');
  });
});
