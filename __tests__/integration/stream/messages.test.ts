import { beforeAll, describe, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';
import { useStreams } from '../../support/school-streams.ts';
import { until } from '../../support/until.ts';

const school = useSchool({ STREAM_HEARTBEAT_SECONDS: '1', STREAMS_PER_USER: '3' });
const listen = useStreams(school);
let userId: string;

const append = (payload: object, user = userId) => school.engine.userStreams.append(user, 'test.happened', payload);
const userOf = async (login: string): Promise<string> =>
  String((await school.rows('SELECT id FROM users WHERE login = $1', [login]))[0]!.id);

beforeAll(async () => {
  userId = await userOf('student0001');
});

describe('GET /stream', () => {
  it('answers at once with an open stream that proxies must not hold back', async () => {
    const stream = await listen('student0001');
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(stream.response.headers.get('cache-control')).toBe('no-store');
    expect(stream.response.headers.get('x-accel-buffering')).toBe('no');
    expect(await stream.next('stream.ready')).toMatchObject({ id: expect.stringMatching(/^\d+-\d+$/) });
  });

  it('brings messages of the user in order, each once, to every client, and to nobody else', async () => {
    const [phone, browser, other] = await Promise.all(
      ['student0001', 'student0001', 'student0002'].map((login) => listen(login)),
    );
    await Promise.all([phone, browser, other].map((stream) => stream!.next('stream.ready')));
    const ids: string[] = [];
    for (let number = 1; number <= 30; number++) ids.push(await append({ number }));
    await append({ number: 'theirs' }, await userOf('student0002'));
    for (const stream of [phone!, browser!]) {
      await until('all', async () =>
        stream.events.filter(({ name }) => name === 'test.happened').length >= 30 ? true : undefined,
      );
      const mine = stream.events.filter(({ name }) => name === 'test.happened');
      expect(mine.map(({ data }) => data.number)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
      expect(mine.map(({ id }) => id)).toEqual(ids);
    }
    expect((await other!.next('test.happened')).data).toEqual({ number: 'theirs' });
  });

  it('replays after Last-Event-ID what came while the client was away, before it is ready', async () => {
    const first = await listen('student0001');
    await first.next('stream.ready');
    await append({ number: 1 });
    const seen = await first.next('test.happened');
    first.close();
    await append({ number: 2 });
    await append({ number: 3 });
    const second = await listen('student0001', '', { 'last-event-id': seen.id! });
    await second.next('stream.ready');
    expect(second.events.map(({ name, data }) => data.number ?? name)).toEqual([2, 3, 'stream.ready']);
    await append({ number: 4 });
    expect((await second.next('test.happened')).data).toEqual({ number: 4 });
  });

  it('loses nothing for a client that went away before its first message', async () => {
    const login = 'student0005';
    const first = await listen(login);
    const { id } = await first.next('stream.ready');
    first.close();
    await append({ number: 1 }, await userOf(login));
    const second = await listen(login, '', { 'last-event-id': id! });
    expect((await second.next('test.happened')).data).toEqual({ number: 1 });
    expect(second.events.map(({ name }) => name)).not.toContain('stream.gap');
  });

  it('keeps the last 100 messages for a day, and says when some are missing', async () => {
    const login = 'student0006';
    const user = await userOf(login);
    const [first] = await Promise.all(Array.from({ length: 103 }, (_, number) => append({ number }, user)));
    const key = school.engine.keys.userStream(user);
    expect(await school.engine.redis.xlen(key)).toBe(100);
    expect(await school.engine.redis.ttl(key)).toBeGreaterThan(86_000);
    const stream = await listen(login, '', { 'last-event-id': first! });
    await stream.next('stream.ready');
    expect(stream.events.map(({ name }) => name)).toEqual([
      'stream.gap',
      ...Array.from({ length: 100 }, () => 'test.happened'),
      'stream.ready',
    ]);
    const late = await listen(login, '', { 'last-event-id': '1000-0' });
    await late.next('stream.ready');
    expect(late.events[0]!.name).toBe('stream.gap');
  });

  it('sends a comment when nothing happens', async () => {
    const stream = await listen('student0001');
    await until('two heartbeats', async () => (stream.comments >= 2 ? true : undefined));
  });

  it('reads what was published while its connection to Redis was broken', async () => {
    const stream = await listen('student0001');
    await stream.next('stream.ready');
    const { redis, keys, userStreams } = school.engine;
    const name = `name=${keys.channel('subscriber')} `;
    const own = ((await redis.client('LIST')) as string).split('\n').filter((line) => line.includes(name));
    const [subscribers] = (await redis.pubsub('NUMSUB', keys.channel(`user:${userId}`))).slice(1) as number[];
    expect(subscribers).toBe(1);
    await redis.xadd(keys.userStream(userId), '*', 'name', 'test.happened', 'data', '{"number":"silent"}');
    // That of the web process, and the worker's.
    expect(own.length).toBe(2);
    for (const line of own) await redis.client('KILL', 'ID', /^id=(\d+)/.exec(line)![1]!);
    expect((await stream.next('test.happened')).data).toEqual({ number: 'silent' });
    await userStreams.append(userId, 'test.happened', { number: 'after' });
    expect((await stream.next('test.happened')).data).toEqual({ number: 'after' });
  });

  it('opens one connection to Redis, however many clients listen', async () => {
    const before = await school.engine.redis.pubsub('CHANNELS', `${school.prefix}:live:user:*`);
    const streams = await Promise.all(
      ['student0001', 'student0002', 'student0003', 'teacher001'].map((login) => listen(login)),
    );
    await Promise.all(streams.map((stream) => stream.next('stream.ready')));
    const channels = (await school.engine.redis.pubsub('CHANNELS', `${school.prefix}:live:user:*`)) as string[];
    expect(channels.length).toBe(before.length + 4);
    for (const stream of streams) stream.close();
    await until('no channel', async () =>
      ((await school.engine.redis.pubsub('CHANNELS', `${school.prefix}:live:user:*`)) as string[]).length === 0
        ? true
        : undefined,
    );
  });

  it('takes so many of a user and no more, until one is closed', async () => {
    const streams = await Promise.all(Array.from({ length: 3 }, () => listen('student0007')));
    const refused = await school.as('student0007')('GET', '/stream');
    expect(refused).toMatchObject({ status: 429, body: { code: 'TOO_MANY_STREAMS' } });
    expect(refused.headers.get('retry-after')).toBe('5');
    expect((await listen('student0008')).response.status).toBe(200);
    streams[0]!.close();
    await until('a place', async () => listen('student0007').catch(() => undefined));
  });

  it.each([
    ['an id of another kind', '', { 'last-event-id': 'yesterday' }, 400, 'VALIDATION_FAILED'],
    ['a field it does not know', '?topics=all', {}, 400, 'VALIDATION_FAILED'],
    ['no id of a write', '?writes=x', {}, 400, 'VALIDATION_FAILED'],
    ['a write that cannot be', '?writes=nothing~1~5', {}, 404, 'NOT_FOUND'],
    [
      'too many writes',
      `?writes=${Array.from({ length: 21 }, (_, n) => `profile~${n}~1`)}`,
      {},
      400,
      'VALIDATION_FAILED',
    ],
  ])('refuses %s and holds nothing for it', async (_what, query, headers, status, code) => {
    const before = school.container.streams.count;
    expect(await school.as('student0001')('GET', `/stream${query}`, { headers })).toMatchObject({
      status,
      body: { code },
    });
    expect(school.container.streams.count).toBe(before);
  });

  it('is not for strangers', async () => {
    expect((await school.as(undefined)('GET', '/stream')).status).toBe(401);
  });
});
