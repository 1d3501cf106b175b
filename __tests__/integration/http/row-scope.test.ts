import { randomUUID } from 'node:crypto';
import Joi from 'joi';
import { beforeEach, describe, expect, it } from 'vitest';
import { EVERYTHING, type Reach, type RowScopes, reaches } from '../../../src/lib/reach.ts';
import { created, defineRoute, ok } from '../../../src/lib/route.ts';
import { usePlatform } from '../../support/platform.ts';

const OWN: Reach = {
  ...EVERYTHING,
  all: false,
  classes: new Set(['c1']),
  taught: new Set(['cs1', 'cs2']),
  homerooms: new Set(['c1']),
  taughtClasses: new Set(['c2']),
  students: new Set(['child']),
};
let asked = { reach: 0, classes: 0 };
let handled: string[] = [];

/** Rows of a teacher, of whose homeroom `member` is. */
const rowScopes: RowScopes = {
  async reachOf(_actor, scope) {
    asked.reach++;
    return scope.includes('A') ? EVERYTHING : OWN;
  },
  async classOf(studentId) {
    asked.classes++;
    return studentId === 'member' ? 'c1' : undefined;
  },
};

const base = {
  service: 'things',
  summary: '',
  response: Joi.any(),
  mode: 'R' as const,
  access: { capability: 'attendance', verb: 'r' } as const,
};
const id = Joi.string().max(20);
const idParams = Joi.object({ id: id.required() });
const handle = async ({ params }: { params: unknown }) => {
  handled.push(JSON.stringify(params));
  return ok('answered');
};

const routes = [
  defineRoute<{ id: string }>({
    ...base,
    method: 'GET',
    path: '/classes/:id',
    params: idParams,
    within: { rows: 'classes', id: ({ params }) => params.id },
    handle,
  }),
  defineRoute<{ id: string }, { period: number }>({
    ...base,
    method: 'GET',
    path: '/sheets/:id',
    params: idParams,
    query: Joi.object({ period: Joi.number().integer().default(0) }),
    within: {
      rows: ({ query }) => (query.period === 0 ? 'homerooms' : 'taughtClasses'),
      id: ({ params }) => params.id,
    },
    handle,
  }),
  defineRoute<{ id: string }>({
    ...base,
    method: 'GET',
    path: '/students/:id',
    params: idParams,
    within: { rows: 'students', orMembersOf: 'homerooms', id: ({ params }) => params.id },
    handle,
  }),
  defineRoute<{ id: string }, { student?: string }>({
    ...base,
    method: 'GET',
    path: '/both/:id',
    params: idParams,
    query: Joi.object({ student: id }),
    within: [
      { rows: 'classes', id: ({ params }) => params.id },
      { rows: 'students', id: ({ query }) => query.student },
    ],
    handle,
  }),
  defineRoute<Record<string, never>, Record<string, never>, { lessons: { id: string | null }[] }>({
    ...base,
    method: 'POST',
    path: '/lessons',
    mode: 'T',
    access: { capability: 'attendance', verb: 'w' },
    body: Joi.object({ lessons: Joi.array().items(Joi.object({ id: id.allow(null) })) }),
    within: { rows: 'taught', id: ({ body }) => body.lessons.map((lesson) => lesson.id), pointer: '/lessons/*/id' },
    async handle() {
      handled.push('lessons');
      return created('answered', { location: '/lessons' });
    },
  }),
  defineRoute<Record<string, never>, { student?: string }>({
    ...base,
    method: 'GET',
    path: '/optional',
    query: Joi.object({ student: id }),
    within: { rows: 'students', id: ({ query }) => query.student },
    handle,
  }),
  defineRoute({ ...base, method: 'GET', path: '/forgetful', handle }),
  defineRoute({ ...base, method: 'GET', path: '/shared', within: 'shared', handle }),
  defineRoute({
    ...base,
    method: 'GET',
    path: '/asks-twice',
    async handle(context) {
      const [first, second] = [await context.reach(), await context.reach()];
      return ok({ same: first === second, all: first.all, named: (await context.namedReach()).all });
    },
  }),
  defineRoute({
    ...base,
    method: 'GET',
    path: '/teachers',
    within: 'shared',
    access: { ...base.access, roles: ['teacher'] },
    handle: async ({ scope }) => ok(scope),
  }),
  defineRoute({
    ...base,
    method: 'GET',
    path: '/under-another',
    access: 'authenticated',
    async handle(context) {
      const own = await context.reach();
      const reading = context.under('attendance', 'r');
      const other = await reading.reach();
      await reading.reach();
      return ok({ own: reaches(own, 'classes', 'c9'), other: reaches(other, 'classes', 'c1'), scope: reading.scope });
    },
  }),
];

describe('row scope', () => {
  const platform = usePlatform(routes, { rowScopes });
  const get = (path: string, as = 'teacher') => platform.call('GET', path, { as });
  const post = (lessons: (string | null)[], options: { as?: string; headers?: Record<string, string> } = {}) =>
    platform.call('POST', '/lessons', {
      as: 'teacher',
      ...options,
      body: { lessons: lessons.map((one) => ({ id: one })) },
    });

  beforeEach(() => {
    asked = { reach: 0, classes: 0 };
    handled = [];
  });

  it('lets rows of the caller pass and answers 404 for others, whose handler never runs', async () => {
    expect((await get('/classes/c1')).status).toBe(200);
    expect(handled).toHaveLength(1);
    const { status, body } = await get('/classes/c2');
    expect([status, body.code, body.errors]).toEqual([404, 'NOT_FOUND', undefined]);
    expect(handled).toHaveLength(1);
  });

  it('looks at no rows for those who have all', async () => {
    expect((await get('/classes/c9', 'admin')).status).toBe(200);
    expect((await post(['anything'], { as: 'admin' })).status).toBe(201);
    expect((await get('/forgetful', 'admin')).status).toBe(200);
    expect(asked).toEqual({ reach: 0, classes: 0 });
  });

  it('refuses who lacks the permission before it looks at rows', async () => {
    expect((await get('/classes/c1', 'accountant')).status).toBe(403);
    expect((await get('/classes/c2', 'accountant')).status).toBe(403);
    expect(asked.reach).toBe(0);
  });

  it('may depend on the request which rows they must be', async () => {
    expect((await get('/sheets/c1')).status).toBe(200);
    expect((await get('/sheets/c1?period=2')).status).toBe(404);
    expect((await get('/sheets/c2?period=2')).status).toBe(200);
    expect((await get('/sheets/c2')).status).toBe(404);
  });

  it('finds a student by the class it is in, and only asks where that can matter', async () => {
    expect((await get('/students/child')).status).toBe(200);
    expect(asked.classes).toBe(0);
    expect((await get('/students/member')).status).toBe(200);
    expect((await get('/students/stranger')).status).toBe(404);
    expect(asked.classes).toBe(2);
  });

  it('checks all rows that are named', async () => {
    expect((await get('/both/c1?student=child')).status).toBe(200);
    expect((await get('/both/c1?student=stranger')).status).toBe(404);
    expect((await get('/both/c2?student=child')).status).toBe(404);
    expect((await get('/both/c1')).status).toBe(200);
  });

  it('tells which of a list are not the caller’s; places without a row are none', async () => {
    expect((await post(['cs1', null, 'cs2'])).status).toBe(201);
    const { status, body } = await post(['cs1', 'cs8', null, 'cs9']);
    expect(status).toBe(404);
    expect(body.errors).toEqual([
      { pointer: '/lessons/1/id', detail: 'is not one of yours' },
      { pointer: '/lessons/3/id', detail: 'is not one of yours' },
    ]);
    expect(handled).toEqual(['lessons']);
  });

  it('keeps nothing of a request for others’ rows: its key is free for one that may', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    expect((await post(['cs9'], { headers })).status).toBe(404);
    expect((await post(['cs1'], { headers })).status).toBe(201);
    const again = await post(['cs1'], { headers });
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect(handled).toEqual(['lessons']);
  });

  it('does not send what a handler says that asked for no rows', async () => {
    for (const path of ['/forgetful', '/optional']) {
      const { status, body } = await get(path);
      expect([path, status, body.code, body.data]).toEqual([path, 500, 'INTERNAL', undefined]);
    }
    expect(platform.log.lines.filter(({ level }) => level === 'error')).toHaveLength(2);
    expect((await get('/optional?student=child')).status).toBe(200);
    expect((await get('/shared')).status).toBe(200);
  });

  it('works out the rows once a request', async () => {
    expect((await get('/asks-twice')).body.data).toEqual({ same: true, all: false, named: false });
    expect(asked.reach).toBe(1);
    expect((await get('/asks-twice', 'admin')).body.data).toEqual({ same: true, all: true, named: false });
  });

  it('counts only the roles that a route is for', async () => {
    expect((await get('/teachers')).body.data).toEqual(['T', 'H']);
    expect((await get('/teachers', 'parent')).status).toBe(403);
    expect((await get('/teachers', 'admin')).status).toBe(403);
  });

  it('reaches nothing without a permission, and by another one what that reaches', async () => {
    expect((await get('/under-another')).body.data).toEqual({ own: false, other: true, scope: ['T', 'H'] });
  });
});
