import { beforeAll, describe, expect, it } from 'vitest';
import { classView } from '../../../src/services/school/class-schemas.ts';
import { subjectView, termView, yearView } from '../../../src/services/school/structure.routes.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { expectShape } from '../../support/shape.ts';

const school = useSchool();
let admin: Call;
let yearId: string;

const NEXT_YEAR = { name: '2026-27', starts_on: '2026-04-01', ends_on: '2027-03-31' };

beforeAll(async () => {
  admin = school.as('admin');
  yearId = (await admin('GET', '/academic-years')).body.data[0].id;
});

describe('subjects', () => {
  it('are added and changed, and shown at once', async () => {
    const before = (await admin('GET', '/subjects')).body.data;
    const added = await admin('POST', '/subjects', { body: { code: 'AST', name: 'Astronomy' } });
    expect(added.status).toBe(201);
    expectShape(subjectView, added.body.data);
    const { id } = added.body.data;
    expect((await admin('GET', '/subjects')).body.data).toHaveLength(before.length + 1);
    expect((await admin('GET', `/subjects/${id}`)).body.data).toEqual({
      id,
      code: 'AST',
      name: 'Astronomy',
      is_elective: false,
    });
    const changed = await admin('PATCH', `/subjects/${id}`, { body: { name: 'Stars' } });
    expect(changed).toMatchObject({ status: 200, body: { data: { name: 'Stars', code: 'AST' } } });
    expect((await admin('GET', `/subjects/${id}`)).body.data.name).toBe('Stars');
    const taken = await admin('POST', '/subjects', { body: { code: 'AST', name: 'Again' } });
    expect(taken).toMatchObject({ status: 409, body: { code: 'TAKEN', errors: [{ pointer: '/code' }] } });
    expect((await admin('PATCH', `/subjects/${crypto.randomUUID()}`, { body: { name: 'x' } })).status).toBe(404);
    expect((await school.as('principal01')('POST', '/subjects', { body: { code: 'X', name: 'x' } })).status).toBe(403);
  });
});

describe('classes', () => {
  const newClass = (fields: object = {}) => ({
    academic_year_id: yearId,
    grade: 9,
    section: 'Q',
    capacity: 30,
    ...fields,
  });

  it('are added to a year, changed under their version, and unique by grade and section', async () => {
    const added = await admin('POST', '/classes', { body: newClass() });
    expect(added.status).toBe(201);
    const { data } = added.body;
    expectShape(classView, data);
    expect(data).toMatchObject({ name: '9 Q', homeroom_staff_id: null, room: null });
    expect((await admin('GET', added.headers.get('location')!)).body.data).toEqual(data);
    expect((await admin('GET', '/classes')).body.data).toContainEqual(data);
    const path = `/classes/${data.id}`;
    const headers = { 'if-match': added.headers.get('etag')! };
    const changed = await admin('PATCH', path, { body: { room: 'R9' }, headers });
    expect(changed).toMatchObject({ status: 200, body: { data: { room: 'R9', capacity: 30 } } });
    expect((await admin('PATCH', path, { body: { room: 'R8' }, headers })).status).toBe(412);
    const taken = await admin('POST', '/classes', { body: newClass() });
    expect(taken).toMatchObject({ status: 409, body: { code: 'TAKEN', errors: [{ pointer: '/section' }] } });
    expect((await admin('POST', '/classes', { body: newClass({ grade: 13 }) })).status).toBe(400);
    const nowhere = await admin('POST', '/classes', { body: newClass({ academic_year_id: crypto.randomUUID() }) });
    expect(nowhere).toMatchObject({ status: 404, body: { errors: [{ pointer: '/academic_year_id' }] } });
  });

  it('give their homeroom to another teacher, whose login has it within a second', async () => {
    const teacher = school.as('teacher005');
    const { staff_id } = (await teacher('GET', '/auth/me')).body.data.scopes;
    const { data } = (await admin('POST', '/classes', { body: newClass({ section: 'H' }) })).body;
    await admin('PATCH', `/classes/${data.id}`, { body: { homeroom_staff_id: staff_id } });
    school.clock.set('2025-09-10T08:30:02+05:30');
    const homerooms = (await teacher('GET', '/auth/me')).body.data.scopes.homerooms;
    expect(homerooms.map(({ id }: { id: string }) => id)).toContain(data.id);
    const events = await school.rows('SELECT name, payload FROM outbox_events WHERE aggregate_id = $1 ORDER BY seq', [
      data.id,
    ]);
    expect(events).toMatchObject([
      { name: 'school.class.changed' },
      { name: 'school.assignment.changed', payload: { payload: { from: null, staff_id } } },
    ]);
    const nobody = await admin('PATCH', `/classes/${data.id}`, { body: { homeroom_staff_id: crypto.randomUUID() } });
    expect(nobody).toMatchObject({ status: 404, body: { errors: [{ pointer: '/homeroom_staff_id' }] } });
  });

  it('keep a teacher who leaves later until that day, and none who has left', async () => {
    const [teacher] = await school.rows(
      `SELECT u.id AS user_id, s.id, (SELECT class_id FROM class_subjects WHERE staff_id = s.id LIMIT 1) AS class_id
       FROM staff s JOIN users u ON u.id = s.user_id WHERE u.login = 'teacher005'`,
    );
    const patch = (staff: object) => admin('PATCH', `/users/${teacher!.user_id}`, { body: { person: { staff } } });
    const leave = (left_on: string) => patch({ left_on });
    const { data } = (await admin('GET', `/classes/${teacher!.class_id}/subjects`)).body;
    const subjects = data.map(({ subject_id, staff_id, weights }: Record<string, unknown>) => ({
      subject_id,
      staff_id,
      weights,
    }));
    const put = () => admin('PUT', `/classes/${teacher!.class_id}/subjects`, { body: { subjects } });
    const before = {
      status: 422,
      body: { errors: [{ pointer: '/person/staff/left_on', detail: 'is before the first day' }] },
    };
    expect(await leave('1999-01-01')).toMatchObject(before);
    await school.rows("UPDATE staff SET left_on = '1999-01-01' WHERE id = $1", [teacher!.id]);
    expect((await patch({ department: 'Science' })).status, 'dates from before the rule').toBe(200);
    expect((await leave('2025-09-10')).status).toBe(200);
    expect((await put()).status).toBe(200);
    expect((await leave('2025-09-09')).status).toBe(200);
    expect(await put()).toMatchObject({ status: 404, body: { errors: [{ detail: 'is nobody of the staff' }] } });
  });

  it('keep as many seats as are taken', async () => {
    const [first] = (await admin('GET', '/classes')).body.data;
    const taken = (await admin('GET', `/classes/${first.id}/students`)).body.data.length;
    const path = `/classes/${first.id}`;
    const few = await admin('PATCH', path, { body: { capacity: taken - 1 } });
    expect(few).toMatchObject({ status: 409, body: { code: 'HAS_DATA', errors: [{ pointer: '/capacity' }] } });
    expect((await admin('PATCH', path, { body: { capacity: taken } })).status).toBe(200);
  });
});

describe('academic years', () => {
  it('are added apart from each other', async () => {
    const added = await admin('POST', '/academic-years', { body: NEXT_YEAR });
    expect(added.status).toBe(201);
    expectShape(yearView, added.body.data);
    expect(added.body.data).toMatchObject({ ...NEXT_YEAR, is_current: false });
    expect((await admin('GET', '/academic-years')).body.data).toHaveLength(2);
    const again = await admin('POST', '/academic-years', {
      body: { ...NEXT_YEAR, starts_on: '2027-04-01', ends_on: '2028-03-31' },
    });
    expect(again).toMatchObject({ status: 409, body: { code: 'TAKEN', errors: [{ pointer: '/name' }] } });
    const overlap = await admin('POST', '/academic-years', {
      body: { ...NEXT_YEAR, name: 'x', starts_on: '2027-03-31', ends_on: '2028-03-31' },
    });
    expect(overlap).toMatchObject({ status: 409, body: { code: 'DATE_OVERLAP' } });
    const backwards = await admin('POST', '/academic-years', {
      body: { ...NEXT_YEAR, name: 'y', ends_on: '2026-04-01' },
    });
    expect(backwards).toMatchObject({ status: 422, body: { errors: [{ pointer: '/ends_on' }] } });
  });

  it('are the current one in turn: the classes are then those of that year', async () => {
    const next = (await admin('GET', '/academic-years')).body.data.find(
      ({ name }: { name: string }) => name === NEXT_YEAR.name,
    );
    const teacher = school.as('teacher001');
    const subjects = async () => (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects.length;
    expect(await subjects()).toBeGreaterThan(0);
    expect((await admin('PATCH', `/academic-years/${yearId}`, { body: { is_current: false } })).status).toBe(422);
    expect((await admin('PATCH', `/academic-years/${next.id}`, { body: { is_current: true } })).status).toBe(200);
    const years = (await admin('GET', '/academic-years')).body.data;
    expect(years.filter(({ is_current }: { is_current: boolean }) => is_current)).toMatchObject([{ id: next.id }]);
    expect((await admin('GET', '/classes')).body.data).toEqual([]);
    expect((await admin('GET', `/classes?academic_year_id=${yearId}`)).body.data.length).toBeGreaterThan(0);
    school.clock.set('2025-09-10T08:30:04+05:30');
    expect(await subjects()).toBe(0);
    expect((await admin('PATCH', `/academic-years/${yearId}`, { body: { is_current: true } })).status).toBe(200);
    school.clock.set('2025-09-10T08:30:06+05:30');
    expect(await subjects()).toBeGreaterThan(0);
  });

  it('keep their terms and memberships inside', async () => {
    const shorter = (body: object) => admin('PATCH', `/academic-years/${yearId}`, { body });
    expect(await shorter({ ends_on: '2026-03-30' })).toMatchObject({ status: 409, body: { code: 'HAS_DATA' } });
    expect(await shorter({ starts_on: '2025-04-02' })).toMatchObject({ status: 409, body: { code: 'HAS_DATA' } });
    expect((await shorter({ name: '2025/26' })).status).toBe(200);
    expect((await admin('PATCH', `/academic-years/${crypto.randomUUID()}`, { body: { name: 'x' } })).status).toBe(404);
  });
});

describe('terms', () => {
  it('are added to a year, in it and apart', async () => {
    const next = (await admin('GET', '/academic-years')).body.data.find(
      ({ name }: { name: string }) => name === NEXT_YEAR.name,
    );
    const add = (fields: object) =>
      admin('POST', '/terms', {
        body: {
          academic_year_id: next.id,
          seq: 1,
          name: 'Term 1',
          starts_on: '2026-04-01',
          ends_on: '2026-08-31',
          ...fields,
        },
      });
    const added = await add({});
    expect(added.status).toBe(201);
    expectShape(termView, added.body.data);
    expect((await admin('GET', added.headers.get('location')!)).body.data).toEqual(added.body.data);
    expect((await admin('GET', `/terms?academic_year_id=${next.id}`)).body.data).toEqual([added.body.data]);
    const second = { seq: 2, name: 'Term 2', starts_on: '2026-09-01', ends_on: '2026-12-31' };
    expect((await add({ ...second, seq: 1 })).body).toMatchObject({ code: 'TAKEN', errors: [{ pointer: '/seq' }] });
    expect((await add({ ...second, name: 'Term 1' })).body).toMatchObject({
      code: 'TAKEN',
      errors: [{ pointer: '/name' }],
    });
    expect((await add({ ...second, starts_on: '2026-08-31' })).body).toMatchObject({ code: 'DATE_OVERLAP' });
    expect((await add({ ...second, ends_on: '2027-04-01' })).body).toMatchObject({ code: 'RULE_BROKEN' });
    expect((await add({ ...second, ends_on: '2026-08-31' })).body).toMatchObject({ code: 'RULE_BROKEN' });
    const answers = await Promise.all([2, 3, 4].map((seq) => add({ ...second, seq, name: `Term ${seq}` })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    const moved = await admin('PATCH', `/terms/${added.body.data.id}`, { body: { ends_on: '2026-08-15' } });
    expect(moved).toMatchObject({ status: 200, body: { data: { ends_on: '2026-08-15', name: 'Term 1' } } });
  });

  it('are locked for good: what was accepted before is stored, nothing more is taken', async () => {
    const terms = (await admin('GET', '/terms')).body.data;
    const running = terms.find(
      (term: { starts_on: string; ends_on: string }) => term.starts_on <= '2025-09-10' && '2025-09-10' <= term.ends_on,
    );
    const teacher = school.as('teacher001');
    const { homerooms } = (await teacher('GET', '/auth/me')).body.data.scopes;
    const roll = () =>
      teacher('PUT', `/attendance/classes/${homerooms[0].id}/sheets/2025-09-10`, {
        body: { entries: [], rest: 'present' },
      });
    expect((await roll()).status).toBe(202);
    const locked = await admin('POST', `/terms/${running.id}/lock`);
    expect(locked.status).toBe(200);
    expect(locked.body.data.locked_at).toBe('2025-09-10T03:00:06.000Z');
    const stored = await school.rows(
      `SELECT status FROM attendance_sheets WHERE class_id = $1 AND on_date = '2025-09-10'`,
      [homerooms[0].id],
    );
    expect(stored).toEqual([{ status: 'open' }]);
    expect(await roll()).toMatchObject({ status: 422, body: { code: 'TERM_LOCKED' } });
    const again = await admin('POST', `/terms/${running.id}/lock`);
    expect(again.body.data).toEqual(locked.body.data);
    const change = await admin('PATCH', `/terms/${running.id}`, { body: { name: 'x' } });
    expect(change).toMatchObject({ status: 422, body: { code: 'TERM_LOCKED' } });
    expect((await admin('GET', '/admin/failed-writes')).body.data).toEqual([]);
    expect((await school.as('principal01')('POST', `/terms/${running.id}/lock`)).status).toBe(403);
    expect((await admin('POST', `/terms/${crypto.randomUUID()}/lock`)).status).toBe(404);
  });
});
