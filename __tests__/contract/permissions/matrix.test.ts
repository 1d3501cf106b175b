import { beforeAll, describe, expect, it } from 'vitest';
import { ROLES, type Role } from '../../../src/lib/actor.ts';
import { newId } from '../../../src/lib/ids.ts';
import type { Route } from '../../../src/lib/route.ts';
import { can } from '../../../src/services/auth/permissions.ts';
import { type Answer, useSchool } from '../../support/harness.ts';
import { DEMO_PASSWORD } from '../../support/template.ts';
import { TARGETS, type Target } from './targets.ts';
import { BLOCKED_LOGIN, createWorlds, LOGINS, leaveSchool, type World } from './worlds.ts';

type WorldName = 'own' | 'others' | 'blocked' | 'left';

const school = useSchool();
let worlds: Awaited<ReturnType<typeof createWorlds>>;
let routes: readonly Route[];
let cases = 0;
/** Routes that answered somebody with less than all rows. */
const answered = new Set<string>();

beforeAll(async () => {
  worlds = await createWorlds(school);
  routes = school.container.routes;
});

/** Whose scopes reach rows of the world called `own`. */
const WITH_ROWS: readonly Role[] = ['teacher', 'student', 'parent'];

const LIMITED: readonly Role[] = ROLES.filter((role) => role !== 'admin' && role !== 'principal');

/** Routes that a limited role may call and that are the same for all who may, or about the caller alone: no rows to check. */
const WITHOUT_ROWS = [
  'DELETE /auth/sessions/:sid',
  'DELETE /calendar/feed',
  'GET /academic-years',
  'GET /academic-years/:id',
  'GET /auth/sessions',
  'GET /dashboard/teacher',
  'GET /school-days',
  'GET /subjects',
  'GET /subjects/:id',
  'GET /terms',
  'GET /terms/:id',
  'PATCH /auth/me',
  'POST /auth/logout',
  'POST /auth/password/change',
  'POST /calendar/feed',
];

/** Some role has the route's permission in less than all rows. */
const isLimited = ({ access }: Route): boolean =>
  typeof access === 'object' &&
  ROLES.some((role) => {
    const scopes = can({ roles: [role] }, access.capability, access.verb, access.roles);
    return scopes.length > 0 && !scopes.includes('A');
  });

const nameOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string => `${method} ${path}`;

/** What the matrix of DOMAIN §1 says of a request. */
type Verdict = 'forbidden' | 'hidden' | 'answered';

function verdictOf({ access }: Route, { only, isRowless }: Target, role: Role, world: WorldName): Verdict {
  if (typeof access === 'string') return 'answered';
  const scopes = can({ roles: [role] }, access.capability, access.verb);
  if (scopes.length === 0 || (only && !only.includes(role))) return 'forbidden';
  if (isRowless || scopes.includes('A')) return 'answered';
  return world === 'own' && WITH_ROWS.includes(role) ? 'answered' : 'hidden';
}

/** What an answer says of the request; a rule that refuses it has let it pass the permissions. */
function outcomeOf({ status, body }: Answer, { lists, isRowless }: Target, world: World): Verdict | string {
  if (status === 403) return 'forbidden';
  if (status === 401 || status >= 500) return `${status} ${JSON.stringify(body)}`;
  if (lists && status === 200) {
    const ids = (body.data as { id?: string; event_id?: string }[]).map(({ id, event_id }) => id ?? event_id);
    return ids.includes(lists(world)) ? 'answered' : 'hidden';
  }
  // Where no row decides, a request that is refused for what it holds has passed as well.
  if (isRowless && (status === 400 || status === 404)) return 'answered';
  if (status === 404) return 'hidden';
  return status < 400 || [409, 412, 422].includes(status) ? 'answered' : `${status} ${JSON.stringify(body)}`;
}

async function ask(route: Route, target: Target, login: string | undefined, world: World): Promise<Answer> {
  const made = (await target.make?.(school.as(LOGINS.admin), world)) ?? '';
  const headers: Record<string, string> = {};
  if (route.idempotency === 'required') headers['idempotency-key'] = crypto.randomUUID();
  if (target.endsLogin && login !== undefined) headers.authorization = await newLogin(login);
  return school.as(target.endsLogin ? undefined : login)(route.method, target.path(world, made), {
    ...(target.body ? { body: target.body(world) } : {}),
    headers,
  });
}

async function newLogin(login: string): Promise<string> {
  const { body } = await school.as(undefined)('POST', '/auth/login', { body: { login, password: DEMO_PASSWORD } });
  return `Bearer ${body.data.access_token}`;
}

/** Deletes come last, so that nothing else misses what they took. */
const inOrder = (all: readonly Route[]): Route[] =>
  all
    .filter(({ access }) => typeof access !== 'string')
    .sort((a, b) => Number(a.method === 'DELETE') - Number(b.method === 'DELETE'));

describe('permissions (DOMAIN §1)', () => {
  it('are described for every route that asks for one, and for no other', () => {
    expect(Object.keys(TARGETS).sort()).toEqual(inOrder(routes).map(nameOf).sort());
  });

  it.each(ROLES)('%s gets what the matrix says, on own and on others’ rows', async (role) => {
    const wrong: string[] = [];
    for (const route of inOrder(routes)) {
      const target = TARGETS[nameOf(route)];
      if (!target) continue;
      for (const name of target.isRowless ? (['own'] as const) : (['others', 'own'] as const)) {
        cases++;
        const expected = verdictOf(route, target, role, name);
        const answer = await ask(route, target, LOGINS[role], worlds[name]);
        const outcome = outcomeOf(answer, target, worlds[name]);
        if (answer.status < 400 && LIMITED.includes(role)) answered.add(nameOf(route));
        if (outcome !== expected) wrong.push(`${role} ${nameOf(route)} on ${name} rows: ${outcome}, not ${expected}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('a blocked guardian reaches nothing of the child', async () => {
    const wrong: string[] = [];
    for (const route of inOrder(routes)) {
      const target = TARGETS[nameOf(route)];
      if (!target || target.isRowless) continue;
      cases++;
      const expected = verdictOf(route, target, 'parent', 'blocked');
      const outcome = outcomeOf(await ask(route, target, BLOCKED_LOGIN, worlds.blocked), target, worlds.blocked);
      if (outcome !== expected) wrong.push(`${nameOf(route)}: ${outcome}, not ${expected}`);
    }
    expect(wrong).toEqual([]);
  });

  it('a parent of a student who left reaches nothing of the child but money matters and report cards', async () => {
    const kept: readonly string[] = ['invoices', 'payments', 'report_cards'];
    const { login, world } = await leaveSchool(school, worlds.own);
    const wrong: string[] = [];
    for (const route of inOrder(routes)) {
      const target = TARGETS[nameOf(route)];
      if (!target || target.isRowless || (typeof route.access === 'object' && kept.includes(route.access.capability)))
        continue;
      cases++;
      const expected = verdictOf(route, target, 'parent', 'left');
      const outcome = outcomeOf(await ask(route, target, login, world), target, world);
      if (outcome !== expected) wrong.push(`${nameOf(route)}: ${outcome}, not ${expected}`);
    }
    expect(wrong).toEqual([]);
    expect((await school.as(login)('GET', '/dashboard/parent')).body.data.children).toEqual([]);
  });

  it('rows that are not there are 404 for who reaches all', async () => {
    const nothing: World = {
      ...worlds.own,
      classId: newId(),
      classSubjectId: newId(),
      studentId: newId(),
      studentUserId: newId(),
      homeworkId: newId(),
      eventId: newId(),
      announcementId: newId(),
    };
    const wrong: string[] = [];
    for (const route of inOrder(routes)) {
      const target = TARGETS[nameOf(route)];
      if (route.method !== 'GET' || !target || target.isRowless || target.lists || target.make) continue;
      cases++;
      const { status } = await school.as(LOGINS.admin)('GET', target.path(nothing, ''));
      if (status !== 404) wrong.push(`${nameOf(route)}: ${status}`);
    }
    expect(wrong).toEqual([]);
  });

  it('leave out rows only where there are none to check', () => {
    const limited = routes.filter(isLimited);
    const exempt = limited.filter(({ within }) => typeof within === 'string').map(nameOf);
    expect(exempt.sort()).toEqual(WITHOUT_ROWS);
    expect(routes.filter((route) => route.within !== undefined && !isLimited(route)).map(nameOf)).toEqual([]);
  });

  it('are kept by every other route: it names its rows, or has been seen to ask for the reach', () => {
    // One that does neither is not answered by the platform, so an answer proves that it asked.
    const unseen = routes.filter((route) => isLimited(route) && !route.within && !answered.has(nameOf(route)));
    expect(unseen.map(nameOf)).toEqual([]);
  });

  it('nobody gets anything without a token', async () => {
    const statuses = new Map<string, number>();
    for (const route of inOrder(routes)) {
      const target = TARGETS[nameOf(route)];
      if (!target) continue;
      cases++;
      statuses.set(nameOf(route), (await ask(route, target, undefined, worlds.own)).status);
    }
    expect([...statuses].filter(([, status]) => status !== 401)).toEqual([]);
    process.stderr.write(`permissions: ${cases} cases of endpoint x role x rows\n`);
  });
});
