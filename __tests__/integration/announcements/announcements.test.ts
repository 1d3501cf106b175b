import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/lib/limits.ts';
import { BLOCKED_LOGIN, createWorlds, LOGINS, type World } from '../../contract/permissions/worlds.ts';
import { type Answer, type Call, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

const school = useSchool();
const NOW = `${TODAY}T08:30:00+05:30`;
const TOMORROW = '2025-09-11T02:00:00.000Z';
const YESTERDAY = '2025-09-09T02:00:00.000Z';
const NO_ID = '00000000-0000-7000-8000-000000000000';
let admin: Call;
let teacher: Call;
let student: Call;
let own: World;
let others: World;

const text = { title: 'Sports day', body: 'On Saturday, on the large field.' };
const post = (call: Call, fields: object = {}, headers: Record<string, string> = {}) =>
  call('POST', '/announcements', { body: { ...text, audience: 'school', ...fields }, headers });
const toClass = () => ({ audience: 'class', class_id: own.classId });
const made = async (call: Call, fields: object = {}): Promise<string> => {
  const { status, body } = await post(call, fields);
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body.data.id;
};
const patch = (call: Call, id: string, body: object, headers: Record<string, string> = {}) =>
  call('PATCH', `/announcements/${id}`, { body, headers });
const idsOf = async (call: Call, query = ''): Promise<string[]> =>
  (await call('GET', `/announcements?limit=100${query}`)).body.data.map(({ id }: { id: string }) => id);
const pointersOf = ({ body }: Answer): string[] => body.errors.map(({ pointer }: { pointer: string }) => pointer);
/** Runs something at another time of the school's clock. */
const at = async <T>(instant: string, work: () => Promise<T>): Promise<T> => {
  school.clock.set(instant);
  try {
    return await work();
  } finally {
    school.clock.set(NOW);
  }
};

beforeAll(async () => {
  ({ own, others } = await createWorlds(school));
  admin = school.as('admin');
  teacher = school.as('teacher001');
  student = school.as('student0001');
});

describe('an announcement', () => {
  it('is written with all that is said of it, and read again', async () => {
    const fields = { ...toClass(), publish_at: YESTERDAY, expires_at: TOMORROW, is_pinned: true };
    const answer = await post(teacher, fields);
    expect(answer.status).toBe(201);
    expect(answer.body.data).toMatchObject({ ...text, ...fields, role: null, state: 'current', is_editable: true });
    expect(answer.headers.get('location')).toBe(`/api/v1/announcements/${answer.body.data.id}`);
    expect(answer.headers.get('etag')).toBe(`"${answer.body.data.version}"`);
    const read = await student('GET', `/announcements/${answer.body.data.id}`);
    expect(read.body.data).toEqual({ ...answer.body.data, is_editable: false });
    expect(read.body.data.author.name).not.toBe('');
  });

  it('is out at once unless it says when, and stays until it is taken back', async () => {
    const { data } = (await post(admin)).body;
    expect(data).toMatchObject({ publish_at: new Date(NOW).toISOString(), expires_at: null, is_pinned: false });
  });

  it('takes texts of the length that the table takes, counted in characters', async () => {
    const title = '💐'.repeat(LIMITS.announcements.title);
    // Not by `school.as`: the longest answer becomes the example of the API's description.
    const answer = await fetch(`${school.baseUrl}/api/v1/announcements`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await school.token('admin')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ title, body: 'x'.repeat(LIMITS.announcements.body), audience: 'school' }),
    });
    const { data } = (await answer.json()) as { data: { id: string; title: string } };
    expect({ status: answer.status, title: data.title }).toEqual({ status: 201, title });
    expect((await admin('DELETE', `/announcements/${data.id}`)).status).toBe(204);
  });

  it('is made once for one Idempotency-Key', async () => {
    const key = { 'idempotency-key': crypto.randomUUID() };
    const title = 'Once';
    const [first, again] = [await post(admin, { title }, key), await post(admin, { title }, key)];
    expect(again.body.data).toEqual(first.body.data);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await school.rows(`SELECT 1 FROM announcements WHERE title = 'Once'`)).toHaveLength(1);
    const events = await school.rows('SELECT 1 FROM outbox_events WHERE aggregate_id = $1', [first.body.data.id]);
    expect(events).toHaveLength(1);
    expect((await post(admin, { title: 'Other' }, key)).body.code).toBe('IDEMPOTENCY_MISMATCH');
  });

  it('is changed and taken back under its version', async () => {
    const { data } = (await post(admin)).body;
    const old = { 'if-match': `"${data.version}"` };
    const changed = await patch(admin, data.id, { title: 'Moved', is_pinned: true }, old);
    expect(changed).toMatchObject({
      status: 200,
      body: { data: { title: 'Moved', body: text.body, is_pinned: true } },
    });
    expect(changed.body.data.version).toBeGreaterThan(data.version);
    for (const [method, body] of [['PATCH', { title: 'Late' }], ['DELETE']] as const)
      expect(
        await admin(method, `/announcements/${data.id}`, { ...(body ? { body } : {}), headers: old }),
      ).toMatchObject({ status: 412, body: { code: 'VERSION_CONFLICT' } });
    const current = { 'if-match': `"${changed.body.data.version}"` };
    expect((await admin('DELETE', `/announcements/${data.id}`, { headers: current })).status).toBe(204);
    for (const call of [admin, student]) {
      expect((await call('GET', `/announcements/${data.id}`)).status).toBe(404);
      expect(await idsOf(call)).not.toContain(data.id);
    }
    expect((await patch(admin, data.id, { title: 'Gone' })).status).toBe(404);
    const rows = await school.rows('SELECT deleted_at FROM announcements WHERE id = $1', [data.id]);
    expect(rows).toEqual([{ deleted_at: expect.anything() }]);
  });

  it('leaves lines in the audit log, which do not repeat what it says', async () => {
    const id = await made(admin, { title: 'Sick leave of somebody' });
    await patch(admin, id, { title: 'Sick leave of somebody else', is_pinned: true });
    await admin('DELETE', `/announcements/${id}`);
    const lines = (await admin('GET', `/activity-logs?entity=${id}`)).body.data;
    const actions = lines.map(({ action }: { action: string }) => action).sort();
    expect(actions).toEqual(['announcement.create', 'announcement.delete', 'announcement.update']);
    const update = lines.find(({ action }: { action: string }) => action === 'announcement.update');
    expect(update.after).toMatchObject({ is_pinned: true, changed: ['title', 'is_pinned'] });
    expect(JSON.stringify(lines)).not.toContain('Sick leave');
  });

  it('keeps its audience and its time once it is out, since people were told', async () => {
    const id = await made(admin);
    const moved = await patch(admin, id, { publish_at: TOMORROW });
    expect(moved).toMatchObject({ status: 409, body: { code: 'BAD_STATE', errors: [{ pointer: '/publish_at' }] } });
    const other = await patch(admin, id, { audience: 'role', role: 'driver' });
    expect(other.status).toBe(409);
    expect(pointersOf(other)).toEqual(['/audience', '/role']);
    const same = await patch(admin, id, { audience: 'school', publish_at: NOW, expires_at: TOMORROW });
    expect(same).toMatchObject({ status: 200, body: { data: { expires_at: TOMORROW } } });
  });

  it('changes its audience before it is out; what the new one does not need goes', async () => {
    const id = await made(admin, { ...toClass(), publish_at: TOMORROW });
    const changed = await patch(admin, id, { audience: 'role', role: 'driver' });
    expect(changed.body.data).toMatchObject({ audience: 'role', role: 'driver', class_id: null });
  });
});

describe('who sees an announcement', () => {
  const kinds = () => ({
    school: { audience: 'school' },
    'own class': toClass(),
    'other class': { audience: 'class', class_id: others.classId },
    teachers: { audience: 'role', role: 'teacher' },
    students: { audience: 'role', role: 'student' },
    parents: { audience: 'role', role: 'parent' },
    drivers: { audience: 'role', role: 'driver' },
  });
  let ids: Record<string, string>;
  beforeAll(async () => {
    ids = {};
    for (const [kind, audience] of Object.entries(kinds())) ids[kind] = await made(admin, audience);
  });

  const all = ['drivers', 'other class', 'own class', 'parents', 'school', 'students', 'teachers'];
  it.each([
    [LOGINS.admin, all],
    [LOGINS.principal, all],
    [LOGINS.teacher, ['own class', 'school', 'teachers']],
    ['teacher008', ['other class', 'own class', 'school', 'teachers']],
    [LOGINS.student, ['own class', 'school', 'students']],
    ['stranger', ['other class', 'school', 'students']],
    [LOGINS.parent, ['own class', 'parents', 'school']],
    [BLOCKED_LOGIN, ['parents', 'school']],
    [LOGINS.accountant, ['school']],
    [LOGINS.storekeeper, ['school']],
    [LOGINS.driver, ['drivers', 'school']],
  ])('%s sees those to %j, in the list and alone', async (login, expected) => {
    const call = school.as(login);
    const listed = await idsOf(call);
    const seen: string[] = [];
    for (const [kind, id] of Object.entries(ids)) {
      const { status } = await call('GET', `/announcements/${id}`);
      expect({ kind, status }).toEqual({ kind, status: listed.includes(id) ? 200 : 404 });
      if (status === 200) seen.push(kind);
    }
    expect(seen.sort()).toEqual(expected);
  });

  it('follows a child that is blocked later', async () => {
    const parent = school.as(LOGINS.parent);
    expect(await idsOf(parent)).toContain(ids['own class']);
    await school.rows(
      `UPDATE student_guardians SET is_blocked = true WHERE student_id = $1
         AND guardian_id = (SELECT g.id FROM guardians g JOIN users u ON u.id = g.user_id WHERE u.login = $2)`,
      [own.studentId, LOGINS.parent],
    );
    const [user] = await school.rows('SELECT id FROM users WHERE login = $1', [LOGINS.parent]);
    await school.container.sessions.forget(String(user!.id));
    expect(await idsOf(parent)).not.toContain(ids['own class']);
    expect((await parent('GET', `/announcements/${ids['own class']}`)).status).toBe(404);
  });
});

describe('a future or past announcement', () => {
  it('is seen by its author and those who run the school, by its state', async () => {
    const id = await made(teacher, { ...toClass(), publish_at: TOMORROW, expires_at: '2025-09-12T02:00:00.000Z' });
    const looks = async (state: string) => {
      for (const call of [teacher, admin, school.as('principal01')]) {
        expect((await call('GET', `/announcements/${id}`)).body.data.state).toBe(state);
        for (const other of ['current', 'scheduled', 'expired'])
          expect((await idsOf(call, `&state=${other}`)).includes(id)).toBe(other === state);
      }
      for (const login of ['student0001', 'teacher002']) {
        const call = school.as(login);
        const isOut = state === 'current';
        expect((await call('GET', `/announcements/${id}`)).status).toBe(isOut ? 200 : 404);
        expect((await idsOf(call, `&state=${state}`)).includes(id)).toBe(isOut);
      }
    };
    await looks('scheduled');
    await at('2025-09-11T01:59:59.999Z', () => looks('scheduled'));
    await at(TOMORROW, () => looks('current'));
    await at('2025-09-11T20:00:00.000Z', () => looks('current'));
    await at('2025-09-12T02:00:00.000Z', () => looks('expired'));
  });
});

describe('what teachers write', () => {
  it('goes to classes that they lead or teach, and nobody else', async () => {
    expect((await post(teacher, toClass())).status).toBe(201);
    const strange = await post(teacher, { audience: 'class', class_id: others.classId });
    expect(strange.status).toBe(404);
    expect(pointersOf(strange)).toEqual(['/class_id']);
    for (const audience of [{ audience: 'school' }, { audience: 'role', role: 'student' }])
      expect((await post(teacher, audience)).status).toBe(403);
    const id = await made(teacher, { ...toClass(), publish_at: TOMORROW });
    expect((await patch(teacher, id, { class_id: others.classId })).status).toBe(404);
    expect((await patch(teacher, id, { audience: 'school' })).status).toBe(403);
    expect((await teacher('GET', `/announcements/${id}`)).body.data).toMatchObject(toClass());
  });

  it('is changed by its author alone, and taken back by those who run the school', async () => {
    const id = await made(teacher, toClass());
    const other = school.as('teacher002');
    expect((await other('GET', `/announcements/${id}`)).body.data.is_editable).toBe(false);
    expect((await patch(other, id, { title: 'Mine' })).status).toBe(404);
    expect((await patch(teacher, await made(admin, toClass()), { title: 'Mine' })).status).toBe(404);
    expect((await patch(teacher, id, { title: 'Changed' })).status).toBe(200);
    const byOffice = (await patch(admin, id, { title: 'By the office' })).body.data;
    expect(byOffice).toMatchObject({ title: 'By the office', author: { name: expect.any(String) } });
    expect((await teacher('DELETE', `/announcements/${id}`)).status).toBe(403);
    expect((await school.as('principal01')('DELETE', `/announcements/${id}`)).status).toBe(204);
  });

  it('students and others write nothing', async () => {
    for (const login of ['student0001', 'parent0001', 'driver01', 'accountant01', 'storekeeper01'])
      expect((await post(school.as(login), toClass())).status).toBe(403);
  });
});

describe('the list', () => {
  it('has pinned ones first, then the newest, page by page and each once', async () => {
    const storekeeper = school.as('storekeeper01');
    const to = { audience: 'role', role: 'storekeeper' };
    const ids = [
      await made(admin, { ...to, publish_at: '2020-01-01T00:00:00.000Z', is_pinned: true }),
      ...(await Promise.all(['03', '02'].map((day) => made(admin, { ...to, publish_at: `2020-01-${day}T00:00:00Z` })))),
    ];
    // Of one instant: ids decide.
    const same = await Promise.all([1, 2, 3].map(() => made(admin, { ...to, publish_at: '2020-01-01T00:00:00Z' })));
    ids.push(...same.sort().reverse());
    const seen: string[] = [];
    let next: string | null = '';
    while (next !== null) {
      const page: Answer = await storekeeper('GET', `/announcements?limit=2${next ? `&cursor=${next}` : ''}`);
      expect(page.body.data.length).toBeLessThanOrEqual(2);
      seen.push(...page.body.data.map(({ id }: { id: string }) => id));
      next = page.body.meta.next_cursor;
    }
    expect(seen).toEqual(await idsOf(storekeeper));
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((id) => ids.includes(id))).toEqual(ids);
  });

  it.each([
    '&cursor=x',
    `&cursor=${Buffer.from(JSON.stringify(['1yesterday', NO_ID])).toString('base64url')}`,
    `&cursor=${Buffer.from(JSON.stringify([`2${TOMORROW}`, NO_ID])).toString('base64url')}`,
    `&cursor=${Buffer.from(JSON.stringify([5, NO_ID])).toString('base64url')}`,
    '&state=lost',
    '&colour=red',
  ])('refuses %s', async (query) => {
    const answer = await student('GET', `/announcements?limit=5${query}`);
    expect(answer.status).toBe(400);
    expect(pointersOf(answer)).toEqual([`/query/${query.slice(1, query.indexOf('='))}`]);
  });
});

describe('bad input', () => {
  it.each([
    ['a class that is not named', 422, { audience: 'class' }, ['/class_id']],
    ['a role that is not named', 422, { audience: 'role' }, ['/role']],
    ['a class and a role', 422, { audience: 'class', class_id: NO_ID, role: 'teacher' }, ['/role']],
    ['both for the whole school', 422, { class_id: NO_ID, role: 'teacher' }, ['/class_id', '/role']],
    ['a class that is none', 404, { audience: 'class', class_id: NO_ID }, ['/class_id']],
    ['an end before the beginning', 422, { publish_at: TOMORROW, expires_at: YESTERDAY }, ['/expires_at']],
    ['an end at the beginning', 422, { publish_at: TOMORROW, expires_at: TOMORROW }, ['/expires_at']],
    ['an end before now, which it begins', 422, { expires_at: YESTERDAY }, ['/expires_at']],
    ['a title that is too long', 400, { title: 'x'.repeat(LIMITS.announcements.title + 1) }, ['/title']],
    ['a body that is too long', 400, { body: 'x'.repeat(LIMITS.announcements.body + 1) }, ['/body']],
    ['blanks', 400, { title: '  ', body: '\n' }, ['/title', '/body']],
    ['a NUL', 400, { body: 'a\u0000b' }, ['/body']],
    ['an audience that is none', 400, { audience: 'everybody' }, ['/audience']],
    ['a role that is none', 400, { audience: 'role', role: 'system' }, ['/role']],
    ['an instant without a zone', 400, { publish_at: '2025-09-11T08:00:00' }, ['/publish_at']],
    ['a text for a boolean', 400, { is_pinned: 'yes' }, ['/is_pinned']],
    ['somebody else as its author', 400, { author_id: NO_ID }, ['/author_id']],
    ['fields that only the server writes', 400, { announced_at: NOW, version: 1 }, ['/announced_at', '/version']],
  ])('%s is answered with %i and named', async (_, status, fields, pointers) => {
    const answer = await post(admin, fields);
    expect(answer.status).toBe(status);
    expect(pointersOf(answer).sort()).toEqual([...pointers].sort());
    const scheduled = await made(admin, { publish_at: TOMORROW });
    const change = await patch(admin, scheduled, fields);
    expect(change.status).toBe(status);
  });

  it('names what a title, a body or an audience lacks, and an empty change', async () => {
    const answer = await admin('POST', '/announcements', { body: {} });
    expect(answer.status).toBe(400);
    expect(pointersOf(answer).sort()).toEqual(['/audience', '/body', '/title']);
    expect((await patch(admin, await made(admin), {})).status).toBe(400);
    expect((await patch(admin, 'x', { title: 'X' })).status).toBe(400);
  });

  it('a change is judged together with what is there', async () => {
    const id = await made(admin, { publish_at: TOMORROW });
    expect(pointersOf(await patch(admin, id, { expires_at: YESTERDAY }))).toEqual(['/expires_at']);
    expect(pointersOf(await patch(admin, id, { class_id: own.classId }))).toEqual(['/class_id']);
    expect(pointersOf(await patch(admin, id, { audience: 'role' }))).toEqual(['/role']);
  });
});
