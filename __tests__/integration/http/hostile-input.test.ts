import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import Joi from 'joi';
import { describe, expect, it } from 'vitest';
import { defineRoute, ok, written } from '../../../src/lib/route.ts';
import { type RawAnswer, usePlatform } from '../../support/platform.ts';
import { receipt } from '../../support/receipts.ts';

const handled: unknown[] = [];

interface Note {
  title: string;
  marks?: number;
  is_open?: boolean;
  tags?: { name: string }[];
  prefs?: object;
}

const body = Joi.object<Note>({
  title: Joi.string().trim().max(40).required(),
  marks: Joi.number().integer().min(0),
  is_open: Joi.boolean(),
  tags: Joi.array()
    .items(Joi.object({ name: Joi.string().required() }))
    .max(3),
  prefs: Joi.object().unknown(),
});

const keep = async (ctx: { body: unknown }) => {
  handled.push(ctx.body);
  return written(ctx.body, [receipt]);
};

const routes = [
  defineRoute<Record<string, never>, Record<string, never>, Note>({
    method: 'POST',
    path: '/notes',
    service: 'notes',
    summary: '',
    response: Joi.any(),
    mode: 'B',
    access: 'authenticated',
    body,
    handle: keep,
  }),
  defineRoute<Record<string, never>, Record<string, never>, Note>({
    method: 'PUT',
    path: '/large',
    service: 'notes',
    summary: '',
    response: Joi.any(),
    mode: 'B',
    access: 'authenticated',
    body,
    bodyLimitBytes: 500_000,
    handle: keep,
  }),
  defineRoute<{ id: string }, { limit: number; q?: string }>({
    method: 'GET',
    path: '/notes/:id',
    service: 'notes',
    summary: '',
    response: Joi.any(),
    mode: 'R',
    access: 'authenticated',
    params: Joi.object({ id: Joi.string().guid().required() }),
    query: Joi.object({ limit: Joi.number().integer().min(1).max(100).default(25), q: Joi.string().max(20) }),
    handle: async ({ params, query }) => ok({ ...params, ...query }),
  }),
];

const ID = '0190c0de-0000-7000-8000-000000000001';
const nest = (depth: number): string => `{"title":"x","prefs":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;

describe('hostile input', () => {
  const platform = usePlatform(routes);
  const post = (sent: unknown, headers: Record<string, string> = {}) =>
    platform.call('POST', '/notes', { body: sent, headers });
  const pointers = ({ body: { errors } }: RawAnswer): string[] =>
    errors.map(({ pointer }: { pointer: string }) => pointer);

  it.each([
    ['a closing brace too many', '{"title":"x"}}', 13, 1, 14],
    ['an end too early', '{"title":"x"', 12, 1, 13],
    ['a bare word on the second line', '{"title":\n  bare}', 12, 2, 3],
    ['a trailing comma', '{"title":"x",}', 13, 1, 14],
    ['single quotes', "{'title':'x'}", 1, 1, 2],
    ['a raw line break in a text', '{"title":"a\nb"}', 11, 1, 12],
    ['half an escape', '{"title":"\\u12"}', 14, 1, 15],
    ['nothing but blanks', '   ', 3, 1, 4],
    ['a byte order mark', '\ufeff{"title":"x"}', 0, 1, 1],
  ])('says where JSON with %s breaks, without repeating it', async (_what, sent, position, line, column) => {
    const { status, body: problem } = await post(sent);
    expect({ status, code: problem.code }).toEqual({ status: 400, code: 'MALFORMED_REQUEST' });
    expect(problem.detail).toContain(`at position ${position} (line ${line}, column ${column})`);
    expect(problem.detail).not.toContain('title');
  });

  it.each([
    ['a text', '"title"'],
    ['a number', '5'],
    ['null', 'null'],
    ['a list', '[{"title":"x"}]'],
    ['nothing', ''],
  ])('refuses %s where an object is due', async (_what, sent) => {
    const { status, body: problem } = await post(sent);
    expect(status).toBe(400);
    expect(problem.errors[0].pointer).toBe('');
  });

  it('refuses bytes that are not UTF-8', async () => {
    const { status, body: problem } = await post(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]));
    expect({ status, detail: problem.detail }).toEqual({ status: 400, detail: 'the body is not UTF-8' });
  });

  it.each([
    ['text/plain', {}],
    ['application/x-www-form-urlencoded', {}],
    ['application/json; charset=utf-16', {}],
    ['application/json, text/plain', {}],
    ['application/jsonx', {}],
    ['', {}],
    ['application/json', { 'content-encoding': 'gzip' }],
  ])('refuses the content type "%s" %o', async (type, more) => {
    const { status, body: problem } = await post(gzipSync('{"title":"x"}'), { 'content-type': type, ...more });
    expect({ status, code: problem.code }).toEqual({ status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' });
  });

  it.each([
    'application/json',
    'application/json;charset=UTF-8',
    'application/json; charset="utf-8"',
    'application/merge-patch+json',
  ])('takes %s', async (type) => {
    expect((await post('{"title":"x"}', { 'content-type': type })).status).toBe(202);
  });

  it('lists all that is wrong at once, by place and rule', async () => {
    const answer = await post({ marks: 1.5, is_open: 1, tags: [{ name: 'a' }, { nam: 'b' }], colour: 'red', shape: 1 });
    expect(answer.body.code).toBe('VALIDATION_FAILED');
    expect(pointers(answer).sort()).toEqual([
      '/colour',
      '/is_open',
      '/marks',
      '/shape',
      '/tags/1/nam',
      '/tags/1/name',
      '/title',
    ]);
    for (const { detail } of answer.body.errors) expect(detail).toMatch(/^(must|is) /);
  });

  it.each([
    ['a number as text', { title: 'x', marks: '5' }, '/marks'],
    ['a boolean as text', { title: 'x', is_open: 'true' }, '/is_open'],
    ['a text as number', { title: 5 }, '/title'],
    ['a list as text', { title: ['x'] }, '/title'],
    ['an object as text', { title: { $ne: null } }, '/title'],
    ['a number beyond what is exact', '{"title":"x","marks":9007199254740993}', '/marks'],
    ['infinity', '{"title":"x","marks":1e999}', '/marks'],
    ['a text beyond its length', { title: 'x'.repeat(41) }, '/title'],
    ['a list beyond its length', { title: 'x', tags: Array(4).fill({ name: 'a' }) }, '/tags'],
    ['NUL', { title: 'a\0b' }, '/title'],
    ['NUL deep inside', { title: 'x', prefs: { a: [{ b: '\0' }] } }, '/prefs/a/0/b'],
    ['NUL in a field name', '{"title":"x","prefs":{"a\\u0000":1}}', '/prefs'],
    ['half of a surrogate pair', '{"title":"\\ud83d"}', '/title'],
    ['a pair the wrong way round', '{"title":"\\ude00\\ud83d"}', '/title'],
    ['half of a pair in a field name', '{"title":"x","prefs":{"\\ud800":1}}', '/prefs'],
    ['__proto__', '{"title":"x","__proto__":{"isAdmin":true}}', '/__proto__'],
    ['__proto__ in disguise', '{"title":"x","prefs":{"\\u005f_proto__":{"a":1}}}', '/prefs/__proto__'],
    ['constructor', { title: 'x', prefs: { constructor: { prototype: { a: 1 } } } }, '/prefs/constructor'],
    ['prototype', { title: 'x', prefs: { a: { prototype: 1 } } }, '/prefs/a/prototype'],
  ])('names the place of %s', async (_what, sent, pointer) => {
    handled.length = 0;
    const answer = await post(sent);
    expect(answer.status).toBe(400);
    expect(pointers(answer)).toContain(pointer);
    expect(handled).toEqual([]);
    expect(({} as Record<string, unknown>).isAdmin).toBeUndefined();
  });

  it('takes any other text, and trims where the schema says so', async () => {
    const { body: answer } = await post({ title: '  हिन्दी 😀 ', prefs: { __proto: 1, 'a/b~c': '\u0001\u007f' } });
    expect(answer.data).toEqual({ title: 'हिन्दी 😀', prefs: { __proto: 1, 'a/b~c': '\u0001\u007f' } });
  });

  it('spells a place as a JSON pointer', async () => {
    expect(pointers(await post({ title: 'x', prefs: { 'a/b~c': { x: '\0' } } }))).toEqual(['/prefs/a~1b~0c/x']);
  });

  it('bounds nesting, at any size that fits', async () => {
    expect((await post(nest(10))).status).toBe(202);
    for (const depth of [20, 1_000, 20_000]) {
      const { status, body: problem } = await post(nest(depth));
      expect(status).toBe(400);
      expect(problem.errors[0].detail).toMatch('nest deeper');
    }
    expect((await post(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)).status).toBe(400);
  });

  it.each([
    ['items of a list', { title: 'x', tags: Array(1_001).fill({}) }, '/tags', 'must have at most 1000 items'],
    [
      'fields of an object',
      { title: 'x', prefs: Object.fromEntries(Array.from({ length: 1_001 }, (_, place) => [`a${place}`, 1])) },
      '/prefs',
      'must have at most 1000 fields',
    ],
    [
      'values in lists of lists',
      { title: 'x', prefs: { a: Array(100).fill(Array(100).fill(0)) } },
      '',
      'must hold at most 10000 values',
    ],
  ])('bounds %s before a schema looks at each', async (_what, sent, pointer, detail) => {
    const { status, body: problem } = await post(sent);
    expect(status).toBe(400);
    expect(problem.errors).toEqual([{ pointer, detail }]);
  });

  it('lists a hundred problems at most', async () => {
    const { status, body: problem } = await post({ title: 'x', tags: Array(1_000).fill({ nam: 1 }) });
    expect(status).toBe(400);
    expect(problem.errors).toHaveLength(100);
  });

  it('bounds a body by what it announces and by what it sends', async () => {
    const large = { title: 'x', prefs: { a: 'x'.repeat(300_000) } };
    const announced = await post(large);
    expect({ status: announced.status, code: announced.body.code }).toEqual({ status: 413, code: 'PAYLOAD_TOO_LARGE' });
    expect((await platform.call('PUT', '/large', { body: large })).status).toBe(202);

    const head =
      'POST /api/v1/notes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer teacher\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    const streamed = await new Promise<{ text: string; sent: number }>((resolve) => {
      let text = '';
      let sent = 0;
      const socket = connect(platform.port, '127.0.0.1', () => {
        socket.write(head);
        const send = () => {
          if (socket.destroyed || sent > 1_000) return;
          sent++;
          socket.write(chunk, () => setImmediate(send));
        };
        send();
      });
      socket.on('data', (data) => {
        text += String(data);
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve({ text, sent }));
    });
    expect(streamed.text).toMatch(/^HTTP\/1.1 413/);
    expect(streamed.sent).toBeLessThan(200);
  });

  it('survives clients that leave in the middle of their body', async () => {
    for (let index = 0; index < 20; index++) {
      await new Promise<void>((resolve) => {
        const socket = connect(platform.port, '127.0.0.1', () => {
          socket.write(
            'POST /api/v1/notes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer teacher\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"title"',
            () => socket.destroy(),
          );
        });
        socket.on('close', () => resolve());
        socket.on('error', () => {});
      });
    }
    expect((await post({ title: 'still here' })).status).toBe(202);
    expect(platform.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it.each([
    ['an id that is none', '/notes/1', '/params/id'],
    ['NUL in an id', '/notes/%00', '/params/id'],
    ['an unknown parameter', `/notes/${ID}?colour=red`, '/query/colour'],
    ['a limit that is no number', `/notes/${ID}?limit=ten`, '/query/limit'],
    ['a limit out of range', `/notes/${ID}?limit=1000`, '/query/limit'],
    ['the same parameter twice', `/notes/${ID}?limit=1&limit=2`, '/query/limit'],
    ['a parameter as an object', `/notes/${ID}?limit[gt]=1`, '/query/limit[gt]'],
    ['NUL in a parameter', `/notes/${ID}?q=a%00b`, '/query/q'],
    ['a prototype parameter', `/notes/${ID}?__proto__=1`, '/query/__proto__'],
  ])('names %s in the address', async (_what, path, pointer) => {
    const answer = await platform.call('GET', path);
    expect(answer.status).toBe(400);
    expect(pointers(answer)).toContain(pointer);
  });

  it('reads numbers and texts of the address', async () => {
    expect((await platform.call('GET', `/notes/${ID}?limit=5&q=a%20b`)).body.data).toEqual({
      id: ID,
      limit: 5,
      q: 'a b',
    });
    expect((await platform.call('GET', `/notes/${ID}`)).body.data).toEqual({ id: ID, limit: 25 });
  });

  it.each(['/notes/%', '/notes/%zz', '/notes/%c0%af'])('refuses the badly encoded path %s', async (path) => {
    expect((await platform.call('GET', path)).status).toBe(400);
  });

  it.each(['/notes/../../etc/passwd', '/notes//', `/notes/${'x'.repeat(5_000)}`, '/notes/a;b=c/d'])(
    'finds nothing at %s',
    async (path) => {
      const status = await new Promise<number>((resolve) => {
        const socket = connect(platform.port, '127.0.0.1', () =>
          socket.write(
            `GET /api/v1${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer teacher\r\nConnection: close\r\n\r\n`,
          ),
        );
        socket.once('data', (data) => resolve(Number(String(data).slice(9, 12))));
      });
      expect([400, 404]).toContain(status);
    },
  );
});
