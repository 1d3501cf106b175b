import { beforeAll, describe, expect, it } from 'vitest';
import { rosterView } from '../../../src/services/school/class-schemas.ts';
import {
  guardianView,
  studentDetail,
  studentListView,
  studentView,
} from '../../../src/services/school/student-schemas.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { expectShape } from '../../support/shape.ts';

const school = useSchool();
let admin: Call;
let classes: { id: string; name: string }[];
let number = 0;

const newStudent = (fields: object = {}) => ({
  admission_no: `T-${++number}`,
  full_name: 'Asha Verma',
  birth_on: '2013-05-01',
  admitted_on: '2025-06-16',
  ...fields,
});
const admit = (fields: object = {}) => admin('POST', '/students', { body: newStudent(fields) });
const idOf = async (login: string): Promise<string> => {
  const [row] = await school.rows('SELECT s.id FROM students s JOIN users u ON u.id = s.user_id WHERE u.login = $1', [
    login,
  ]);
  return row!.id as string;
};

beforeAll(async () => {
  admin = school.as('admin');
  classes = (await admin('GET', '/classes')).body.data;
});

describe('admitting a student', () => {
  it('stores the row, its guardians and its seat together, with an event and an audit line', async () => {
    const answer = await admit({
      class_id: classes[0]!.id,
      starts_on: '2025-09-01',
      guardians: [
        { full_name: 'Meera Verma', phone: '+91 98765 43210', relation: 'mother', is_primary: true, can_pay: true },
      ],
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('sync-status')).toBe('stored');
    const { data } = answer.body;
    expectShape(studentDetail, data);
    expect(answer.headers.get('location')).toBe(`/api/v1/students/${data.id}`);
    expect(answer.headers.get('etag')).toBe(`"${data.version}"`);
    expect(data).toMatchObject({
      status: 'active',
      class: { id: classes[0]!.id },
      guardians: [{ full_name: 'Meera Verma', is_primary: true, can_view: true, can_pay: true, can_pickup: false }],
      enrollments: [{ starts_on: '2025-09-01', ends_on: null }],
    });
    expect((await admin('GET', `/students/${data.id}`)).body.data).toEqual(data);
    const roster = await admin('GET', `/classes/${classes[0]!.id}/students`);
    expectShape(rosterView, roster.body.data);
    expect(roster.body.data.map((line: { student_id: string }) => line.student_id)).toContain(data.id);
    const events = await school.rows('SELECT name, payload FROM outbox_events WHERE aggregate_id = $1', [data.id]);
    expect(events).toMatchObject([
      {
        name: 'school.enrollment.changed',
        payload: { payload: { student_id: data.id, from: null, to: classes[0]!.id } },
      },
    ]);
    const log = (await admin('GET', `/activity-logs?entity=${data.id}`)).body.data;
    expect(log).toMatchObject([{ action: 'student.create' }]);
    expect(JSON.stringify(log)).not.toContain('Verma');
  });

  it('refuses a taken admission number, and keeps nothing of what it refuses', async () => {
    const { admission_no } = (await admit()).body.data;
    const again = await admin('POST', '/students', {
      body: newStudent({
        admission_no,
        guardians: [{ full_name: 'Nobody Kept', phone: '12345', relation: 'aunt', is_primary: true }],
      }),
    });
    expect(again).toMatchObject({ status: 409, body: { code: 'TAKEN', errors: [{ pointer: '/admission_no' }] } });
    const unknownClass = await admit({ full_name: 'Nobody Kept', class_id: crypto.randomUUID() });
    expect(unknownClass).toMatchObject({ status: 404, body: { errors: [{ pointer: '/class_id' }] } });
    expect(await school.rows(`SELECT id FROM guardians WHERE full_name = 'Nobody Kept'`)).toEqual([]);
    expect(await school.rows(`SELECT id FROM students WHERE full_name = 'Nobody Kept'`)).toEqual([]);
  });

  it.each([
    ['no name', { full_name: '   ' }, '/full_name'],
    ['a date that is none', { birth_on: '2013-02-30' }, '/birth_on'],
    ['an unknown field', { status: 'left' }, '/status'],
    [
      'a guardian who is known and new at once',
      { guardians: [{ ...primary('a'), guardian_id: crypto.randomUUID() }] },
      '/guardians/0',
    ],
    ['a line break in a name', { full_name: 'Asha\nVerma' }, '/full_name'],
    ['commands for a screen in a name', { full_name: 'Asha\u001b[2J' }, '/full_name'],
    ['dashes for a phone', { guardians: [{ ...primary('a'), phone: '-----' }] }, '/guardians/0/phone'],
    ['a first day without a class', { starts_on: '2025-09-01' }, ''],
  ])('refuses %s', async (_, fields, pointer) => {
    const answer = await admit(fields);
    expect(answer).toMatchObject({ status: 400, body: { code: 'VALIDATION_FAILED' } });
    expect(answer.body.errors[0].pointer).toBe(pointer);
  });

  it.each([
    ['no primary guardian', [{ ...primary('a'), is_primary: false }]],
    ['two primary guardians', ['a', 'b'].map(primary)],
    ['a blocked primary guardian', [{ ...primary('a'), is_blocked: true }]],
  ])('has a rule against %s', async (_, guardians) => {
    const answer = await admit({ guardians });
    expect(answer).toMatchObject({
      status: 422,
      body: { code: 'RULE_BROKEN', errors: [{ pointer: '/guardians' }] },
    });
  });

  it.each([
    ['a birth to come', { birth_on: '2030-01-01', admitted_on: '2031-01-01' }, 'is in the future'],
    ['a birth after the admission', { birth_on: '2025-07-01' }, 'is after the admission'],
  ])('has a rule against %s', async (_, fields, detail) => {
    const refused = { status: 422, body: { code: 'RULE_BROKEN', errors: [{ pointer: '/birth_on', detail }] } };
    expect(await admit(fields)).toMatchObject(refused);
    const { id } = (await admit()).body.data;
    expect(await admin('PATCH', `/students/${id}`, { body: fields })).toMatchObject(refused);
  });

  it('judges dates by a change of dates only: others have been there for longer than the rule', async () => {
    const { id } = (await admit()).body.data;
    await school.rows('UPDATE students SET birth_on = admitted_on + 1 WHERE id = $1', [id]);
    const patch = (body: object) => admin('PATCH', `/students/${id}`, { body });
    expect((await patch({ full_name: 'Asha Rao' })).status).toBe(200);
    expect((await patch({ admitted_on: '2025-06-02' })).status).toBe(422);
  });

  it('takes effect once for the same Idempotency-Key', async () => {
    const body = newStudent();
    const headers = { 'idempotency-key': 'admission-1' };
    const first = await admin('POST', '/students', { body, headers });
    const again = await admin('POST', '/students', { body, headers });
    expect(again.status).toBe(201);
    expect(again.body.data.id).toBe(first.body.data.id);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  });
});

function primary(name: string) {
  return { full_name: name, phone: '12345', relation: 'mother', is_primary: true };
}

describe('changing a student', () => {
  it('writes single fields, raises the version and refuses a stale one', async () => {
    const { data } = (await admit()).body;
    const path = `/students/${data.id}`;
    const changed = await admin('PATCH', path, {
      body: { house: 'Ganga' },
      headers: { 'if-match': `"${data.version}"` },
    });
    expect(changed).toMatchObject({ status: 200, body: { data: { house: 'Ganga', full_name: data.full_name } } });
    expect(changed.body.data.version).toBeGreaterThan(data.version);
    const stale = await admin('PATCH', path, {
      body: { house: 'Yamuna' },
      headers: { 'if-match': `"${data.version}"` },
    });
    expect(stale).toMatchObject({ status: 412, body: { currentVersion: changed.body.data.version } });
    expect((await admin('PATCH', `/students/${crypto.randomUUID()}`, { body: { house: 'x' } })).status).toBe(404);
    expect((await admin('PATCH', path, { body: {} })).status).toBe(400);
  });

  it('shows a new name in the class list at once', async () => {
    const { data } = (await admit({ class_id: classes[1]!.id })).body;
    const list = async () => (await admin('GET', `/classes/${classes[1]!.id}/students`)).body.data;
    expect(await list()).toContainEqual(expect.objectContaining({ student_id: data.id, full_name: 'Asha Verma' }));
    await admin('PATCH', `/students/${data.id}`, { body: { full_name: 'Asha Rao' } });
    expect(await list()).toContainEqual(expect.objectContaining({ student_id: data.id, full_name: 'Asha Rao' }));
  });

  it('keeps the admission before the first day in a class', async () => {
    const { data } = (await admit({ class_id: classes[1]!.id, starts_on: '2025-07-01' })).body;
    const late = await admin('PATCH', `/students/${data.id}`, { body: { admitted_on: '2025-07-02' } });
    expect(late).toMatchObject({ status: 409, body: { code: 'HAS_DATA', errors: [{ pointer: '/admitted_on' }] } });
  });
});

describe('the list of students', () => {
  it('pages by name, filters by class, status and the beginning of names', async () => {
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await admin('GET', `/students?class_id=${classes[2]!.id}&limit=7${cursor && `&cursor=${cursor}`}`);
      expect(page.body.data.length).toBeLessThanOrEqual(7);
      expectShape(studentListView, page.body.data);
      seen.push(...page.body.data.map((item: { id: string }) => item.id));
      cursor = page.body.meta.next_cursor ?? '';
    } while (cursor);
    const members = await school.rows(
      `SELECT s.id FROM enrollments e JOIN students s ON s.id = e.student_id WHERE e.class_id = $1 AND e.ends_on IS NULL
       ORDER BY lower(s.full_name) COLLATE "C", s.id`,
      [classes[2]!.id],
    );
    expect(seen).toEqual(members.map(({ id }) => id));
    await admit({ full_name: '100%_Sure Thing' });
    const named = async (q: string) =>
      (await admin('GET', `/students?q=${encodeURIComponent(q)}`)).body.data.map(
        ({ full_name }: { full_name: string }) => full_name,
      );
    expect(await named('100%_')).toEqual(['100%_Sure Thing']);
    expect(await named('thin')).toEqual(['100%_Sure Thing']);
    expect(await named('%')).toEqual([]);
    expect((await admin('GET', '/students?status=left')).body.data).toEqual([]);
  });

  it.each([['!!'], [Buffer.from('["a\\u0000","x"]').toString('base64url')], [cursorOf('a', '0'.repeat(36))]])(
    'refuses the cursor %s',
    async (cursor) => {
      expect((await admin('GET', `/students?cursor=${cursor}`)).status).toBe(400);
    },
  );

  it('finds names in letters of any script', async () => {
    for (const full_name of ['Änne Özil', 'आशा वर्मा', 'ΣΟΦΙΑ ΠΑΠΠΑ']) {
      const { id } = (await admit({ full_name })).body.data;
      for (const q of [full_name, full_name.split(' ')[1]!, full_name.slice(0, 2)]) {
        const found = (await admin('GET', `/students?q=${encodeURIComponent(q)}`)).body.data;
        expect(found.map((student: { id: string }) => student.id)).toContain(id);
      }
    }
  });

  it('shows each role its own rows', async () => {
    const own = await idOf('student0001');
    const idsFor = async (login: string) =>
      (await school.as(login)('GET', '/students?limit=100')).body.data.map((item: { id: string }) => item.id);
    expect(await idsFor('student0001')).toEqual([own]);
    expect(await idsFor('parent0001')).toContain(own);
    const children = (await school.as('parent0001')('GET', '/auth/me')).body.data.scopes.children;
    expect(await idsFor('parent0001')).toHaveLength(children.length);
    expect(await idsFor('driver01')).toEqual([]);
    const other = await idOf('student0002');
    expect((await school.as('student0001')('GET', `/students/${other}`)).status).toBe(404);
    expect((await school.as('driver01')('GET', `/students/${other}`)).status).toBe(404);
    expect((await school.as('teacher001')('GET', `/students/${own}`)).status).toBe(200);
    expect((await school.as('teacher001')('PATCH', `/students/${own}`, { body: { house: 'x' } })).status).toBe(403);
  });

  it('gives a storekeeper name and class, and nothing else', async () => {
    const storekeeper = school.as('storekeeper01');
    const { data } = await storekeeper('GET', '/students?limit=3').then(({ body }) => body);
    expectShape(studentListView, data);
    for (const item of data) expect(Object.keys(item)).toEqual(['id', 'full_name', 'class']);
    const one = await storekeeper('GET', `/students/${data[0].id}`);
    expectShape(studentView, one.body.data);
    expect(one.body.data).toEqual(data[0]);
    expect(one.headers.get('etag')).toBeNull();
    expect((await school.as('accountant01')('GET', `/students/${data[0].id}`)).body.data.guardians).toBeDefined();
  });
});

function cursorOf(value: string, id: string): string {
  return Buffer.from(JSON.stringify([value, id])).toString('base64url');
}

describe('guardians', () => {
  it('are replaced as a whole; a blocked one loses the child within a second', async () => {
    const student = await idOf('student0001');
    const parent = school.as('parent0001');
    expect((await parent('GET', `/students/${student}`)).status).toBe(200);
    const { guardians, version } = (await admin('GET', `/students/${student}`)).body.data;
    const mine = guardians.find((link: { relation: string }) => link.relation === 'father');
    const rest = guardians.filter((link: object) => link !== mine);
    const known = ({ full_name: _, phone: _p, email: _e, ...link }: Record<string, unknown>) => link;
    const body = {
      guardians: [
        { ...known(mine), is_primary: false, is_blocked: true },
        ...rest.map((link: Record<string, unknown>) => known(link)),
        { full_name: 'Grand Mother', phone: '+91 98', relation: 'grandmother', is_primary: true },
      ],
    };
    for (const link of body.guardians.slice(1, -1)) (link as { is_primary: boolean }).is_primary = false;
    const put = await admin('PUT', `/students/${student}/guardians`, { body, headers: { 'if-match': `"${version}"` } });
    expect(put).toMatchObject({ status: 200 });
    for (const link of put.body.data) expectShape(guardianView, link);
    expect(put.body.data[0]).toMatchObject({ full_name: 'Grand Mother', is_primary: true });
    school.clock.set('2025-09-10T08:30:02+05:30');
    expect((await parent('GET', `/students/${student}`)).status).toBe(404);
    expect(
      (await parent('GET', '/auth/me')).body.data.scopes.children.map((c: { student_id: string }) => c.student_id),
    ).not.toContain(student);
    // The student is not told whom the school keeps away.
    const seen = (await school.as('student0001')('GET', `/students/${student}`)).body.data.guardians;
    expect(seen.map(({ relation }: { relation: string }) => relation)).not.toContain('father');
    const again = await admin('PUT', `/students/${student}/guardians`, {
      body,
      headers: { 'if-match': `"${version}"` },
    });
    expect(again.status).toBe(412);
    const events = await school.rows(`SELECT payload FROM outbox_events WHERE name = 'auth.user.changed'`);
    expect(events.length).toBeGreaterThan(0);
  });

  it('are the same people when the same list is put again', async () => {
    const student = await idOf('student0006');
    const body = { guardians: [{ full_name: 'Put Twice', phone: '+91 2222', relation: 'uncle', is_primary: true }] };
    const put = async () => (await admin('PUT', `/students/${student}/guardians`, { body })).body.data;
    expect(await put()).toEqual(await put());
    expect(await school.rows(`SELECT count(*)::int AS n FROM guardians WHERE full_name = 'Put Twice'`)).toEqual([
      { n: 1 },
    ]);
    // Named once as known and once as new, they are two.
    const [{ guardian_id }] = await put();
    const [person] = body.guardians;
    const twice = [{ guardian_id, relation: 'uncle' }, person, { ...person, is_primary: false }];
    const answer = await admin('PUT', `/students/${student}/guardians`, { body: { guardians: twice } });
    expect(answer.status).toBe(200);
    expect(new Set(answer.body.data.map((link: { guardian_id: string }) => link.guardian_id)).size).toBe(3);
  });

  it('get another address when the list says so, and keep theirs when it says nothing', async () => {
    const person = { full_name: 'Moved Mail', phone: '+91 4444', relation: 'aunt', is_primary: true };
    const { id } = (await admit({ guardians: [{ ...person, email: 'old@example.org' }] })).body.data;
    const put = async (fields: object) => {
      const body = { guardians: [{ ...person, ...fields }] };
      return (await admin('PUT', `/students/${id}/guardians`, { body })).body.data[0];
    };
    const { guardian_id } = await put({});
    expect(await put({})).toMatchObject({ guardian_id, email: 'old@example.org' });
    expect(await put({ email: 'new@example.org' })).toMatchObject({ guardian_id, email: 'new@example.org' });
    expect(await put({ email: null })).toMatchObject({ guardian_id, email: null });
  });

  it('may be unblocked, and then see the child again', async () => {
    const parent = school.as('parent0085');
    const child = await idOf('student0003');
    expect((await parent('GET', `/students/${child}`)).status).toBe(404);
    const { guardians } = (await admin('GET', `/students/${child}`)).body.data;
    const body = {
      guardians: guardians.map(({ full_name: _, phone: _p, email: _e, ...link }: Record<string, unknown>) => ({
        ...link,
        is_blocked: false,
        can_view: true,
      })),
    };
    expect((await admin('PUT', `/students/${child}/guardians`, { body })).status).toBe(200);
    school.clock.set('2025-09-10T08:30:04+05:30');
    expect((await parent('GET', `/students/${child}`)).status).toBe(200);
  });

  it('must be people the school knows', async () => {
    const student = await idOf('student0001');
    const guardian_id = crypto.randomUUID();
    const body = { guardians: [{ guardian_id, relation: 'aunt', is_primary: true }] };
    const answer = await admin('PUT', `/students/${student}/guardians`, { body });
    expect(answer).toMatchObject({ status: 404, body: { errors: [{ pointer: '/guardians/0/guardian_id' }] } });
    expect((await admin('GET', `/students/${student}`)).body.data.guardians.length).toBeGreaterThan(0);
  });
});

describe('a student who has left', () => {
  it('keeps the admission before the leaving', async () => {
    const { id } = (await admit()).body.data;
    await admin('POST', `/students/${id}/leave`, { body: { left_on: '2025-08-01', reason: 'Moved' } });
    const answer = await admin('PATCH', `/students/${id}`, { body: { admitted_on: '2025-08-02' } });
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ pointer: '/admitted_on' }] } });
  });
});
