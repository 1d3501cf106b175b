import Joi from 'joi';
import { describe, expect, it } from 'vitest';
import { created, defineRoute, noContent, ok, stored, written } from '../../../src/lib/route.ts';

const base = {
  service: 's',
  summary: '',
  response: null,
  mode: 'T' as const,
  access: 'authenticated' as const,
  handle: async () => noContent(),
};

describe('defineRoute', () => {
  it('fills in what goes without saying', () => {
    expect(defineRoute({ ...base, method: 'POST', path: '/x' })).toMatchObject({
      idempotency: 'optional',
      rateLimit: 'default',
    });
    expect(defineRoute({ ...base, method: 'PUT', path: '/x' }).idempotency).toBe('none');
    expect(defineRoute({ ...base, method: 'POST', path: '/x', access: 'public' }).idempotency).toBe('none');
  });

  it('refuses what would do nothing', () => {
    expect(() => defineRoute({ ...base, method: 'PUT', path: '/x', idempotency: 'required' })).toThrow(
      /Idempotency-Key/,
    );
    expect(() =>
      defineRoute({ ...base, method: 'POST', path: '/x', access: 'public', idempotency: 'optional' }),
    ).toThrow(/Idempotency-Key/);
  });

  it.each(['x', '/x/', '/x y', '/x//y', '/x?y', '/*', '/x/:'])('refuses the path %s', (path) => {
    expect(() => defineRoute({ ...base, method: 'GET', path })).toThrow(/must look like/);
  });

  it('makes no numbers and booleans of texts in a body, however deep; in a query it must', () => {
    const schema = Joi.object({
      n: Joi.number(),
      list: Joi.array().items(
        Joi.object({ ok: Joi.boolean(), when: Joi.when('ok', { is: true, otherwise: Joi.number() }) }),
      ),
      name: Joi.string().trim(),
    });
    const route = defineRoute<Record<string, never>, object, object>({
      ...base,
      method: 'POST',
      path: '/x',
      body: schema,
      query: schema,
    });
    expect(route.body!.validate({ n: '5' }).error).toBeDefined();
    expect(route.body!.validate({ list: [{ ok: 'true' }] }).error).toBeDefined();
    expect(route.body!.validate({ list: [{ ok: false, when: '1' }] }).error).toBeDefined();
    expect(route.body!.validate({ n: 5, list: [{ ok: true }], name: ' a ' })).toEqual({
      value: { n: 5, list: [{ ok: true }], name: 'a' },
    });
    expect(route.query!.validate({ n: '5' }).value).toEqual({ n: 5 });
  });
});

describe('replies', () => {
  it('say what became of a write', () => {
    expect(ok(1)).toMatchObject({ status: 200, data: 1 });
    expect(stored(1, { version: 2 })).toMatchObject({ status: 200, etag: 2, syncStatus: 'stored' });
    expect(created(1, { location: '/x', version: 2 })).toMatchObject({
      status: 201,
      etag: 2,
      location: '/x',
      syncStatus: 'stored',
    });
    const receipt = { entity: 'club', key: 'k', version: 2, isPending: true, storedBy: new Date(5_000) };
    expect(written(1, [receipt], { location: '/x' })).toMatchObject({
      status: 202,
      etag: 2,
      location: '/x',
      syncStatus: 'buffered',
      meta: { pending: true, stored_by: '1970-01-01T00:00:05.000Z', writes: ['club~k~2'] },
    });
    const through = { entity: 'club', key: 'j', version: 3, isPending: false };
    expect(written(1, [through, receipt])).toMatchObject({ status: 202, etag: 3, syncStatus: 'buffered' });
    expect(written(1, [through], { isNew: true })).toMatchObject({ status: 201, syncStatus: 'stored' });
    expect(written(1, [through])).toMatchObject({ status: 200, meta: { pending: false, writes: ['club~j~3'] } });
    expect(noContent().status).toBe(204);
  });
});
