import { connect } from 'node:net';
import Joi from 'joi';
import { describe, expect, it } from 'vitest';
import { NotFoundError, RateLimitedError } from '../../../src/errors/catalogue.ts';
import { created, defineRoute, noContent, ok, written } from '../../../src/lib/route.ts';
import { Platform, usePlatform } from '../../support/platform.ts';
import { receipt } from '../../support/receipts.ts';

const base = { service: 'things', summary: '', response: Joi.any(), access: 'authenticated' as const };
const idParams = Joi.object({ id: Joi.string().max(50).required() });

const routes = [
  defineRoute<{ id: string }>({
    ...base,
    method: 'GET',
    path: '/things/:id',
    mode: 'R',
    params: idParams,
    handle: async ({ params }) => ok({ id: params.id }, { source: 'db' }, { etag: 1_700_000_000_000_001 }),
  }),
  defineRoute<{ id: string }>({
    ...base,
    method: 'DELETE',
    path: '/things/:id',
    mode: 'T',
    params: idParams,
    response: null,
    handle: async () => noContent(),
  }),
  defineRoute<{ id: string }>({
    ...base,
    method: 'PATCH',
    path: '/things/:id',
    mode: 'T',
    params: idParams,
    handle: async ({ ifMatch }) => ok({ ifMatch: ifMatch ?? null }),
  }),
  defineRoute({
    ...base,
    method: 'POST',
    path: '/things',
    mode: 'T',
    handle: async ({ now }) => created({ at: now.toISOString() }, { version: 7, location: '/api/v1/things/1' }),
  }),
  defineRoute({
    ...base,
    method: 'PUT',
    path: '/things',
    mode: 'B',
    handle: async () => written([1], [{ ...receipt, version: 8 }], { location: '/api/v1/things/1' }),
  }),
  defineRoute({
    ...base,
    method: 'GET',
    path: '/failing/known',
    mode: 'R',
    handle: async () => {
      throw new RateLimitedError({
        detail: 'slowly',
        headers: { 'Retry-After': '7' },
        members: { left: 0 },
        errors: [{ pointer: '/x', detail: 'y' }],
      });
    },
  }),
  defineRoute({
    ...base,
    method: 'GET',
    path: '/failing/unknown',
    mode: 'R',
    handle: async () => {
      throw new Error('SELECT secret_column FROM users');
    },
  }),
  defineRoute({
    ...base,
    method: 'GET',
    path: '/failing/text',
    mode: 'R',
    handle: async () => {
      throw 'a text';
    },
  }),
  defineRoute({
    ...base,
    method: 'GET',
    path: '/admins',
    mode: 'R',
    access: { capability: 'buffers', verb: 'r' },
    handle: async ({ scope }) => ok(scope),
  }),
  defineRoute({
    ...base,
    method: 'GET',
    path: '/public',
    mode: 'R',
    access: 'public',
    handle: async (ctx) => ok({ actor: ctx.actor }),
  }),
  defineRoute({
    ...base,
    service: 'others',
    method: 'GET',
    path: '/others',
    mode: 'R',
    handle: async () => {
      throw new NotFoundError();
    },
  }),
];

describe('answers', () => {
  const platform = usePlatform(routes, { services: ['things'] });

  it('a resource comes in its envelope with its version', async () => {
    const { status, headers, body } = await platform.call('GET', '/things/a%2Fb');
    expect(status).toBe(200);
    expect(body).toEqual({ data: { id: 'a/b' }, meta: { source: 'db' } });
    expect(headers.get('etag')).toBe('"1700000000000001"');
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
  });

  it('a buffered write is 202, pending, with ETag, Location and Sync-Status', async () => {
    const { status, headers, body } = await platform.call('PUT', '/things');
    expect(status).toBe(202);
    expect(body).toEqual({
      data: [1],
      meta: { pending: true, stored_by: '2031-05-05T04:00:00.000Z', writes: ['thing~1~8'] },
    });
    expect(Object.fromEntries(headers)).toMatchObject({
      etag: '"8"',
      location: '/api/v1/things/1',
      'sync-status': 'buffered',
    });
  });

  it('a committed one is 201 and stored; a delete has no body', async () => {
    const answer = await platform.call('POST', '/things');
    expect({ status: answer.status, sync: answer.headers.get('sync-status'), data: answer.body.data }).toEqual({
      status: 201,
      sync: 'stored',
      data: { at: new Date(platform.nowMs).toISOString() },
    });
    const gone = await platform.call('DELETE', '/things/1');
    expect({ status: gone.status, body: gone.body }).toEqual({ status: 204, body: undefined });
  });

  it('HEAD answers as GET does, without the body', async () => {
    const response = await fetch(`${platform.baseUrl}/api/v1/things/1`, {
      method: 'HEAD',
      headers: { authorization: 'Bearer teacher' },
    });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(10);
    expect(await response.text()).toBe('');
  });

  it('every answer carries the security headers and none says what runs here', async () => {
    for (const path of ['/things/1', '/nothing', '/failing/unknown']) {
      const { headers } = await platform.call('GET', path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toMatch("frame-ancestors 'none'");
      expect(headers.get('strict-transport-security')).toMatch('max-age=');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-powered-by')).toBeNull();
    }
  });

  it('an error is a problem document with its members and headers', async () => {
    const { headers, body } = await platform.call('GET', '/failing/known?');
    expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(headers.get('retry-after')).toBe('7');
    expect(body).toEqual({
      type: expect.stringContaining('rate-limited'),
      title: 'Too many requests',
      status: 429,
      detail: 'slowly',
      instance: '/api/v1/failing/known',
      code: 'RATE_LIMITED',
      requestId: headers.get('x-request-id'),
      errors: [{ pointer: '/x', detail: 'y' }],
      left: 0,
    });
  });

  it.each(['/failing/unknown', '/failing/text'])(
    'what nobody foresaw says nothing of itself (%s) and is logged once',
    async (path) => {
      platform.log.lines.length = 0;
      const { status, body } = await platform.call('GET', path);
      expect(status).toBe(500);
      expect(JSON.stringify(body)).not.toMatch(/secret_column|a text|stack/);
      expect(platform.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
      expect(platform.log.lines[0]!.fields).toMatchObject({ requestId: body.requestId });
    },
  );

  it('404 for an unknown path and for the route of a service that is not served here', async () => {
    expect((await platform.call('GET', '/nothing')).body.code).toBe('NOT_FOUND');
    expect((await platform.call('GET', '/others')).body.code).toBe('NOT_FOUND');
    expect((await fetch(`${platform.baseUrl}/elsewhere`)).status).toBe(404);
  });

  it('a service that does not exist stops the process by name', async () => {
    const misspelt = new Platform(routes, { services: ['things', 'thingz'] });
    await expect(misspelt.open()).rejects.toThrow(
      'SERVICES names "thingz", which does not exist; there are others, things',
    );
    await misspelt.redis.quit();
  });

  it('405 names the methods of a path that has others', async () => {
    const { status, headers, body } = await platform.call('POST', '/things/1', { body: {} });
    expect({ status, code: body.code }).toEqual({ status: 405, code: 'METHOD_NOT_ALLOWED' });
    expect(headers.get('allow')!.split(', ').sort()).toEqual(['DELETE', 'GET', 'HEAD', 'PATCH']);
  });

  it('403 for a role without the capability, the scope for one with it', async () => {
    expect((await platform.call('GET', '/admins', { as: 'teacher' })).body.code).toBe('FORBIDDEN');
    expect((await platform.call('GET', '/admins', { as: 'admin' })).body.data).toEqual(['A']);
  });

  it('a public route has no actor, whatever token comes along', async () => {
    expect((await platform.call('GET', '/public', { as: 'admin' })).status).toBe(500);
  });

  describe('request ids', () => {
    it('a sane one is taken over', async () => {
      expect(
        (await platform.call('GET', '/nothing', { headers: { 'x-request-id': 'trace-0123.AB_c' } })).headers.get(
          'x-request-id',
        ),
      ).toBe('trace-0123.AB_c');
    });

    it.each(['short', 'x'.repeat(65), 'has blanks in it', '{"level":"error"}', '../../etc/passwd'])(
      '"%s" is replaced',
      async (given) => {
        const { headers } = await platform.call('GET', '/nothing', { headers: { 'x-request-id': given } });
        expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      },
    );
  });

  it('If-Match takes one version and nothing else', async () => {
    const patch = (value: string) => platform.call('PATCH', '/things/1', { headers: { 'if-match': value } });
    expect((await patch('"123"')).body.data).toEqual({ ifMatch: 123 });
    for (const bad of ['123', 'W/"123"', '"1", "2"', '*', '"x"', '""', '"99999999999999999999"', '"-1"']) {
      const { status, body } = await patch(bad);
      expect({ bad, status, code: body.code }).toEqual({ bad, status: 400, code: 'MALFORMED_REQUEST' });
    }
  });

  it('headers cannot be split by what a client sends', async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(platform.port, '127.0.0.1', () =>
        socket.write(
          'GET /api/v1/nothing%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: x\r\nX-Request-Id: abcdefgh%0d%0aX-Evil: 1\r\nAuthorization: Bearer teacher\r\nConnection: close\r\n\r\n',
        ),
      );
      let text = '';
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      socket.on('close', () => resolve(text));
    });
    const [head] = answer.split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1.1 404/);
    expect(head).not.toMatch(/set-cookie|x-evil/i);
  });

  it('requests are counted by the route’s template, never by the path', async () => {
    platform.observed.length = 0;
    await platform.call('GET', '/things/1');
    await platform.call('GET', '/made/up');
    expect(platform.observed).toEqual([
      { route: '/things/:id', method: 'GET', status: 200 },
      { route: 'unknown', method: 'GET', status: 404 },
    ]);
  });

  it('describes the services of this process only', async () => {
    const { paths } = (await (await fetch(`${platform.baseUrl}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, { tags: string[] }>>;
    };
    const tags = Object.values(paths).flatMap((path) => Object.values(path).flatMap((operation) => operation.tags));
    expect([...new Set(tags)].sort()).toEqual(['probes', 'things']);
  });
});
