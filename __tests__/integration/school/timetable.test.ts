import { beforeAll, describe, expect, it } from 'vitest';
import { classSubjectView, slotView, substitutionView } from '../../../src/services/school/class-schemas.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { expectShape } from '../../support/shape.ts';
import { until } from '../../support/until.ts';

const school = useSchool();
let admin: Call;
let classes: string[];

interface ClassSubject {
  id: string;
  subject_id: string;
  staff_id: string;
  weights: Record<string, number>;
}
const subjectsOf = async (id: string): Promise<ClassSubject[]> =>
  (await admin('GET', `/classes/${id}/subjects`)).body.data;
const weekOf = async (id: string) => (await admin('GET', `/classes/${id}/timetable`)).body;
const lesson = (class_subject_id: string, weekday: number, period_no: number) => ({
  class_subject_id,
  weekday,
  period_no,
  starts_at: `${String(7 + period_no).padStart(2, '0')}:00`,
  ends_at: `${String(7 + period_no).padStart(2, '0')}:45`,
});
const put = (id: string, slots: object[], headers = {}) =>
  admin('PUT', `/classes/${id}/timetable`, { body: { slots }, headers });
const wanted = (rows: ClassSubject[]) =>
  rows.map(({ subject_id, staff_id, weights }) => ({ subject_id, staff_id, weights }));

beforeAll(async () => {
  admin = school.as('admin');
  classes = (await admin('GET', '/classes')).body.data.map(({ id }: { id: string }) => id);
});

describe('the timetable of a class', () => {
  it('has the seeded week, without a teacher in two places', async () => {
    const { data, meta } = await weekOf(classes[0]!);
    expect(data).toHaveLength(44);
    for (const slot of data) expectShape(slotView, slot);
    expect(data[0]).toMatchObject({ weekday: 1, period_no: 1, starts_at: '08:45', ends_at: '09:25' });
    expect(meta).toEqual({});
  });

  it('is replaced as a whole, under the version of the class', async () => {
    const [first] = await subjectsOf(classes[0]!);
    await put(classes[1]!, []);
    await put(classes[2]!, []);
    await put(classes[3]!, []);
    const { headers } = await admin('GET', `/classes/${classes[0]}/timetable`);
    const slots = [lesson(first!.id, 1, 1), lesson(first!.id, 1, 2)];
    const answer = await put(classes[0]!, slots, { 'if-match': headers.get('etag')! });
    expect(answer.status).toBe(200);
    expect(answer.body.data).toMatchObject(slots);
    expect((await weekOf(classes[0]!)).data).toEqual(answer.body.data);
    expect((await put(classes[0]!, [], { 'if-match': headers.get('etag')! })).status).toBe(412);
  });

  it('refuses a teacher who has another lesson then, and says where', async () => {
    const [here] = await subjectsOf(classes[0]!);
    const there = (await subjectsOf(classes[1]!)).find(({ staff_id }) => staff_id === here!.staff_id);
    expect((await put(classes[0]!, [lesson(here!.id, 2, 1)])).status).toBe(200);
    const clash = await put(classes[1]!, [lesson(there!.id, 2, 1)]);
    expect(clash).toMatchObject({ status: 409, body: { code: 'TEACHER_CLASH' } });
    expect(clash.body.detail).toMatch(/weekday 2, period 1: teaches in 6 A/);
    expect((await weekOf(classes[1]!)).data).toEqual([]);
    expect((await put(classes[1]!, [lesson(there!.id, 2, 2)])).status).toBe(200);
  });

  it('never gives a teacher two lessons at a time, whoever asks at once', async () => {
    const [here] = await subjectsOf(classes[0]!);
    const same = await Promise.all(
      classes.map(async (id) => (await subjectsOf(id)).find(({ staff_id }) => staff_id === here!.staff_id)!),
    );
    for (let round = 1; round <= 5; round++) {
      await Promise.all(classes.map((id) => put(id, [])));
      const answers = await Promise.all(classes.map((id, index) => put(id, [lesson(same[index]!.id, round, 3)])));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
    }
  });

  it.each([
    ['a lesson twice', (id: string) => [lesson(id, 1, 1), lesson(id, 1, 1)], 400],
    ['a lesson that ends before it begins', (id: string) => [{ ...lesson(id, 1, 1), ends_at: '07:00' }], 422],
    ['lessons in another order', (id: string) => [lesson(id, 1, 1), { ...lesson(id, 1, 2), starts_at: '08:30' }], 422],
    ['period 13', (id: string) => [{ ...lesson(id, 1, 1), period_no: 13 }], 400],
    ['no time of day', (id: string) => [{ ...lesson(id, 1, 1), starts_at: '24:00' }], 400],
    ['what another class is taught', () => [lesson(crypto.randomUUID(), 1, 1)], 404],
  ])('refuses %s', async (_, slots, status) => {
    const [first] = await subjectsOf(classes[0]!);
    expect((await put(classes[0]!, slots(first!.id))).status).toBe(status);
  });

  it('is read by whom the class concerns, and written by admins', async () => {
    const own = (await school.as('student0001')('GET', '/auth/me')).body.data.scopes.own_class.id;
    const other = classes.find((id) => id !== own);
    expect((await school.as('student0001')('GET', `/classes/${own}/timetable`)).status).toBe(200);
    expect((await school.as('student0001')('GET', `/classes/${other}/timetable`)).status).toBe(404);
    expect((await school.as('teacher001')('PUT', `/classes/${own}/timetable`, { body: { slots: [] } })).status).toBe(
      403,
    );
  });
});

describe('what is taught in a class', () => {
  it('moves to another teacher, whose login reaches it within a second, with an event', async () => {
    const before = await subjectsOf(classes[3]!);
    for (const row of before) expectShape(classSubjectView, row);
    const [free] = await school.rows(
      `INSERT INTO staff (id, user_id, employee_no, full_name, designation, joined_on)
       SELECT gen_random_uuid(), id, 'X1', 'Principal Teaching', 'x', '2020-01-01' FROM users WHERE login = 'student0099'
       RETURNING id`,
    );
    await put(classes[3]!, []);
    const teacher = school.as('teacher001');
    const mine = (await teacher('GET', '/auth/me')).body.data.scopes;
    const moved = before.find(({ staff_id }) => staff_id === mine.staff_id)!;
    const body = {
      subjects: wanted(before.map((row) => (row === moved ? { ...row, staff_id: String(free!.id) } : row))),
    };
    const answer = await admin('PUT', `/classes/${classes[3]}/subjects`, { body });
    expect(answer.status).toBe(200);
    expect(answer.body.data.find((row: ClassSubject) => row.id === moved.id).staff_id).toBe(free!.id);
    const events = await school.rows('SELECT payload FROM outbox_events WHERE aggregate_id = $1', [moved.id]);
    expect(events).toMatchObject([
      { payload: { payload: { class_subject_id: moved.id, from: mine.staff_id, staff_id: free!.id } } },
    ]);
    school.clock.set('2025-09-10T08:30:02+05:30');
    const after = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
    expect(after.map(({ id }: { id: string }) => id)).not.toContain(moved.id);
  });

  it('keeps a subject that is in use, in the tables or still in the buffer', async () => {
    const rows = await subjectsOf(classes[0]!);
    const stored = await admin('PUT', `/classes/${classes[0]}/subjects`, { body: { subjects: [] } });
    expect(stored).toMatchObject({ status: 409, body: { code: 'HAS_DATA' } });
    const [subject] = (await admin('GET', '/subjects')).body.data.filter(
      ({ id }: { id: string }) => !rows.some(({ subject_id }) => subject_id === id),
    );
    const more = [...wanted(rows), { subject_id: subject.id, staff_id: rows[0]!.staff_id }];
    const added = await admin('PUT', `/classes/${classes[0]}/subjects`, { body: { subjects: more } });
    expect(added.status).toBe(200);
    const fresh = added.body.data.find((row: ClassSubject) => row.subject_id === subject.id);
    expect(fresh.weights).toEqual({ quiz: 2_000, homework: 2_000, exam: 6_000 });
    const given = { class_subject_ids: [fresh.id], title: 'pending', due_at: '2025-09-12T18:00:00Z' };
    expect((await admin('POST', '/homework', { body: given })).status).toBe(202);
    const back = () => admin('PUT', `/classes/${classes[0]}/subjects`, { body: { subjects: wanted(rows) } });
    expect(await back()).toMatchObject({ status: 409, body: { code: 'HAS_DATA' } });
    // It was stored to find that out.
    expect(await school.rows('SELECT title FROM homework WHERE class_subject_id = $1', [fresh.id])).toEqual([
      { title: 'pending' },
    ]);
    expect(await subjectsOf(classes[0]!)).toHaveLength(rows.length + 1);
  });

  it('lets an unused subject go, with its lessons', async () => {
    const rows = await subjectsOf(classes[2]!);
    const [subject] = (await admin('GET', '/subjects')).body.data.filter(
      ({ id }: { id: string }) => !rows.some(({ subject_id }) => subject_id === id),
    );
    const path = `/classes/${classes[2]}/subjects`;
    const more = [...wanted(rows), { subject_id: subject.id, staff_id: rows[0]!.staff_id }];
    const added = await admin('PUT', path, { body: { subjects: more } });
    const fresh = added.body.data.find((row: ClassSubject) => row.subject_id === subject.id);
    expect((await put(classes[2]!, [lesson(fresh.id, 7, 1)])).status).toBe(200);
    expect((await admin('PUT', path, { body: { subjects: wanted(rows) } })).status).toBe(200);
    expect((await weekOf(classes[2]!)).data).toEqual([]);
  });

  it('refuses a teacher who is elsewhere in one of its lessons, weights that are not whole, and strangers', async () => {
    const [here, there] = [await subjectsOf(classes[0]!), await subjectsOf(classes[1]!)];
    const [a, b] = [here[0]!, there[1]!];
    expect(a.staff_id).not.toBe(b.staff_id);
    await put(classes[0]!, [lesson(a.id, 4, 4)]);
    await put(classes[1]!, [lesson(b.id, 4, 4)]);
    const path = `/classes/${classes[1]}/subjects`;
    const withStaff = (staff_id: string) => wanted(there.map((row) => (row === b ? { ...row, staff_id } : row)));
    const clash = await admin('PUT', path, { body: { subjects: withStaff(a.staff_id) } });
    expect(clash).toMatchObject({ status: 409, body: { code: 'TEACHER_CLASH' } });
    const stranger = await admin('PUT', path, { body: { subjects: withStaff(crypto.randomUUID()) } });
    expect(stranger).toMatchObject({ status: 404, body: { errors: [{ pointer: '/subjects/1/staff_id' }] } });
    const half = [{ ...wanted(there)[0], weights: { exam: 5_000 } }];
    expect((await admin('PUT', path, { body: { subjects: half } })).status).toBe(422);
    expect(await subjectsOf(classes[1]!)).toEqual(there);
  });
});

describe('a substitution', () => {
  it('gives T and H of the class to the substitute, on that date only', async () => {
    const rows = await subjectsOf(classes[0]!);
    const substitute = school.as('accountant01');
    await school.rows(
      `INSERT INTO user_roles (user_id, role, granted_by, granted_at)
       SELECT id, 'teacher', id, now() FROM users WHERE login = 'accountant01'`,
    );
    const [staff] = await school.rows(
      `SELECT s.id FROM staff s JOIN users u ON u.id = s.user_id WHERE u.login = 'accountant01'`,
    );
    school.clock.set('2025-09-10T08:30:00+05:30');
    const roll = (on: string) =>
      substitute('PUT', `/attendance/classes/${classes[0]}/sheets/${on}`, { body: { entries: [], rest: 'present' } });
    expect((await roll('2025-09-10')).status).toBe(404);
    const body = { on_date: '2025-09-10', absent_staff_id: rows[0]!.staff_id, staff_id: staff!.id };
    const answer = await admin('POST', `/classes/${classes[0]}/substitutions`, { body });
    expect(answer.status).toBe(201);
    expectShape(substitutionView, answer.body.data);
    school.clock.set('2025-09-10T08:30:02+05:30');
    expect((await roll('2025-09-10')).status).toBe(202);
    const given = { class_subject_ids: [rows[3]!.id], title: 'by the substitute', due_at: '2025-09-10T04:00:00Z' };
    const [pupil] = await school.rows(
      `SELECT u.login FROM enrollments e JOIN students s ON s.id = e.student_id JOIN users u ON u.id = s.user_id
       WHERE e.class_id = $1 AND e.ends_on IS NULL AND u.status = 'active' LIMIT 1`,
      [classes[0]],
    );
    const due = async () => {
      const { body: dashboard } = await school.as(String(pupil!.login))('GET', '/dashboard/student');
      return dashboard.data.cards.homework.next_due.map(({ title }: { title: string }) => title);
    };
    // Nothing else is to touch the dashboard between the two looks.
    await until('the events of the roll to be handled', async () => {
      await school.engine.eventLog.trim(0, Date.now());
      return (await school.engine.eventLog.length()) === 0 ? true : undefined;
    });
    expect(await due()).not.toContain('by the substitute');
    expect((await substitute('POST', '/homework', { body: given })).status).toBe(202);
    expect(await due()).toContain('by the substitute');
    // Another class, and the same class on the next day, though the login is the same.
    expect(
      (
        await substitute('POST', '/homework', {
          body: { ...given, class_subject_ids: [(await subjectsOf(classes[1]!))[0]!.id] },
        })
      ).status,
    ).toBe(404);
    school.clock.set('2025-09-11T00:00:30+05:30');
    expect((await roll('2025-09-10')).status).toBe(404);
    expect((await substitute('POST', '/homework', { body: given })).status).toBe(404);
    const again = await admin('POST', `/classes/${classes[0]}/substitutions`, {
      body: { ...body, on_date: '2025-09-12' },
    });
    expect(again.status).toBe(201);
    school.clock.set('2025-09-11T00:00:32+05:30');
    expect((await roll('2025-09-11')).status).toBe(404);
    school.clock.set('2025-09-12T08:00:00+05:30');
    expect((await roll('2025-09-12')).status).toBe(202);
  });

  it('is shown to the substitute beside what they teach: today and later, a class and date once', async () => {
    school.clock.set('2025-09-10T08:40:00+05:30');
    const rows = await subjectsOf(classes[2]!);
    const [staff] = await school.rows(
      `SELECT s.id FROM staff s JOIN users u ON u.id = s.user_id WHERE u.login = 'driver01'`,
    );
    const substitute = school.as('driver01');
    const shown = async () => (await substitute('GET', '/auth/me')).body.data.scopes;
    expect((await shown()).substitutions).toEqual([]);
    const absent = [...new Set(rows.map(({ staff_id }) => staff_id))];
    const { name } = (await admin('GET', `/classes/${classes[2]}`)).body.data;
    for (const [on_date, absent_staff_id] of [
      ['2025-09-12', absent[0]],
      ['2025-09-10', absent[0]],
      ['2025-09-10', absent[1]],
    ]) {
      const body = { on_date, absent_staff_id, staff_id: staff!.id };
      expect((await admin('POST', `/classes/${classes[2]}/substitutions`, { body })).status).toBe(201);
    }
    school.clock.set('2025-09-10T08:40:02+05:30');
    const [today, friday] = ['2025-09-10', '2025-09-12'].map((on_date) => ({
      class: { id: classes[2], name },
      on_date,
    }));
    expect(await shown()).toMatchObject({ substitutions: [today, friday], class_subjects: [], homerooms: [] });
    school.clock.set('2025-09-10T08:50:00+05:30');
    await shown(); // the login is kept now
    school.clock.set('2025-09-11T00:00:30+05:30');
    expect((await shown()).substitutions).toEqual([friday]);
    school.clock.set('2025-09-10T08:30:00+05:30');
  });

  it('is granted once, for days to come, for somebody who works there', async () => {
    school.clock.set('2025-09-10T08:30:00+05:30');
    const rows = await subjectsOf(classes[1]!);
    const [absent, staff, other] = [rows[0]!.staff_id, rows[1]!.staff_id, rows[2]!.staff_id];
    const ask = (fields: object) =>
      admin('POST', `/classes/${classes[1]}/substitutions`, {
        body: { on_date: '2025-09-15', absent_staff_id: absent, staff_id: staff, ...fields },
      });
    expect((await ask({})).status).toBe(201);
    expect(await ask({ staff_id: other })).toMatchObject({
      status: 409,
      body: { code: 'TAKEN', errors: [{ pointer: '/absent_staff_id' }] },
    });
    expect(await ask({ on_date: '2025-09-09' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/on_date' }] },
    });
    expect((await ask({ on_date: '2027-01-01' })).status).toBe(422);
    expect((await ask({ staff_id: absent })).status).toBe(422);
    expect((await ask({ staff_id: crypto.randomUUID() })).status).toBe(404);
    const [office] = await school.rows(
      `SELECT s.id FROM staff s JOIN users u ON u.id = s.user_id WHERE u.login = 'storekeeper01'`,
    );
    expect(await ask({ absent_staff_id: office!.id })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/absent_staff_id' }] },
    });
    const answers = await Promise.all(Array.from({ length: 4 }, () => ask({ on_date: '2025-09-16' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
  });
});
