import { beforeAll, describe, expect, it } from 'vitest';
import { whileDatabaseIsDown } from '../../support/database-outage.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

const school = useSchool();
let teacher: Call;
let admin: Call;
let classId: string;
/** By roll number; the third is on approved leave today (demo school). */
let students: string[];

const path = (date = TODAY, period = 0) =>
  `/attendance/classes/${classId}/sheets/${date}${period ? `?period=${period}` : ''}`;
const mark = (index: number, status: string, more: object = {}) => ({
  entries: [{ student_id: students[index], status, ...more }],
});

/** In the class since today. */
let newcomer: string;

interface Line {
  student_id: string;
  status: string | null;
  prefill: string | null;
}

const lineOf = (sheet: { entries: Line[] }, index: number): Line =>
  sheet.entries.find(({ student_id }) => student_id === students[index])!;

beforeAll(async () => {
  const [row] = await school.rows(
    `UPDATE enrollments SET starts_on = $1 WHERE id = (
       SELECT e.id FROM enrollments e JOIN classes c ON c.id = e.class_id JOIN staff s ON s.id = c.homeroom_staff_id
       JOIN users u ON u.id = s.user_id WHERE u.login = 'teacher001' AND e.ends_on IS NULL ORDER BY e.roll_no DESC LIMIT 1)
     RETURNING student_id`,
    [TODAY],
  );
  newcomer = String(row!.student_id);
  teacher = school.as('teacher001');
  admin = school.as('admin');
  classId = (await teacher('GET', '/auth/me')).body.data.scopes.homerooms[0].id;
  students = (await teacher('GET', `/classes/${classId}/students`)).body.data.map(
    (line: { student_id: string }) => line.student_id,
  );
});

describe('AT2 prefill', () => {
  it('proposes leave, leaves the unmentioned unmarked, and with rest fills them, the leave first', async () => {
    const before = (await teacher('GET', path())).body.data;
    expect(before).toMatchObject({ status: 'not_taken', is_complete: false });
    expect(lineOf(before, 2)).toMatchObject({ status: null, prefill: 'excused' });

    const some = (await teacher('PUT', path(), { body: mark(0, 'late', { minutes_late: 3 }) })).body.data;
    expect(some.is_complete).toBe(false);
    expect(some.entries.filter(({ status }: Line) => status !== null)).toHaveLength(1);

    const all = (await teacher('PUT', path(), { body: { ...mark(1, 'absent'), rest: 'present' } })).body.data;
    expect(all.is_complete).toBe(true);
    expect([0, 1, 2, 3].map((index) => lineOf(all, index).status)).toEqual(['late', 'absent', 'excused', 'present']);
  });

  it('AT5 keeps a present mark in spite of a leave, and makes absent excused', async () => {
    expect(lineOf((await teacher('PUT', path(), { body: mark(2, 'present') })).body.data, 2).status).toBe('present');
    expect(lineOf((await teacher('PUT', path(), { body: mark(2, 'absent') })).body.data, 2).status).toBe('excused');
  });
});

describe('AT1 window', () => {
  it('lets an admin change what is too old for the teacher, but nothing after the term lock', async () => {
    const old = mark(0, 'excused');
    expect(await teacher('PUT', path('2025-09-04'), { body: old })).toMatchObject({
      status: 422,
      body: { code: 'EDIT_WINDOW_OVER' },
    });
    expect((await admin('PUT', path('2025-09-04'), { body: old })).status).toBe(202);
    expect(await admin('PUT', path('2025-07-02'), { body: old })).toMatchObject({
      status: 422,
      body: { code: 'TERM_LOCKED' },
    });
    await school.sync();
  });

  it('takes students of that day only', async () => {
    const fresh = { entries: [{ student_id: newcomer, status: 'present' }] };
    const before = (await teacher('GET', path('2025-09-09'))).body.data.entries;
    expect(before.map(({ student_id }: Line) => student_id)).not.toContain(newcomer);
    expect(await teacher('PUT', path('2025-09-09'), { body: fresh })).toMatchObject({
      status: 422,
      body: { code: 'NOT_ENROLLED', errors: [{ pointer: '/entries/0/student_id' }] },
    });
    expect((await teacher('PUT', path(), { body: fresh })).status).toBe(202);
  });
});

describe('sheets', () => {
  it('are refused when nobody is marked, or minutes belong to somebody who is not late', async () => {
    expect(await teacher('PUT', path(), { body: { entries: [] } })).toMatchObject({
      status: 400,
      body: { code: 'VALIDATION_FAILED' },
    });
    expect(await teacher('PUT', path(), { body: mark(0, 'absent', { minutes_late: 5 }) })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/entries/0/minutes_late' }] },
    });
    expect(
      await teacher('PUT', path(), { body: { entries: [...mark(0, 'late').entries, ...mark(0, 'absent').entries] } }),
    ).toMatchObject({ status: 400 });
  });

  it('answer a stale If-Match with 412 and change nothing', async () => {
    const first = (await teacher('PUT', path(), { body: mark(4, 'present') })).body.data;
    const second = await teacher('PUT', path(), {
      body: mark(4, 'late'),
      headers: { 'if-match': `"${first.version}"` },
    });
    expect(second.status).toBe(202);
    const stale = await teacher('PUT', path(), {
      body: mark(4, 'absent'),
      headers: { 'if-match': `"${first.version}"` },
    });
    expect(stale).toMatchObject({
      status: 412,
      body: { code: 'VERSION_CONFLICT', currentVersion: second.body.data.version },
    });
    expect(lineOf((await teacher('GET', path())).body.data, 4).status).toBe('late');
  });

  it('that are closed take nothing more, at acceptance and at the flush', async () => {
    await teacher('PUT', path('2025-09-09'), { body: mark(5, 'present') });
    await school.sync();
    await teacher('PUT', path('2025-09-09'), { body: mark(5, 'absent') });
    await school.rows(`UPDATE attendance_sheets SET status = 'closed' WHERE class_id = $1 AND on_date = '2025-09-09'`, [
      classId,
    ]);
    const run = await school.sync();
    expect(run.failed).toBe(1);
    const [failed] = (await admin('GET', '/admin/failed-writes?entity=attendance')).body.data;
    expect(failed).toMatchObject({ key: `${classId}:2025-09-09:0`, code: 'SHEET_CLOSED' });
    await admin('DELETE', `/admin/failed-writes/${failed.id}?reason=closed%20meanwhile`);
    await school.engine.buffer.dropWarm('attendance', [failed.key]);
    expect(await teacher('PUT', path('2025-09-09'), { body: mark(5, 'absent') })).toMatchObject({
      status: 409,
      body: { code: 'SHEET_CLOSED' },
    });
    const [stored] = await school.rows(
      `SELECT e.status FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id WHERE s.class_id = $1 AND s.on_date = '2025-09-09' AND e.student_id = $2`,
      [classId, students[5]],
    );
    expect(stored).toEqual({ status: 'present' });
  });

  it('fail when their term was locked before they were stored', async () => {
    await teacher('PUT', path('2025-09-08', 0), { body: mark(6, 'present') });
    await school.rows(`UPDATE terms SET locked_at = now() WHERE $1::date BETWEEN starts_on AND ends_on`, [TODAY]);
    try {
      expect((await school.sync()).failed).toBe(1);
      const [failed] = (await admin('GET', '/admin/failed-writes?entity=attendance')).body.data;
      expect(failed).toMatchObject({ code: 'SHEET_CLOSED' });
      await admin('DELETE', `/admin/failed-writes/${failed.id}?reason=term%20is%20locked`);
    } finally {
      await school.rows(`UPDATE terms SET locked_at = NULL WHERE $1::date BETWEEN starts_on AND ends_on`, [TODAY]);
    }
  });
});

describe('who sees and takes what', () => {
  it('a subject teacher takes periods, not the roll; others find nothing', async () => {
    const [other] = await school.rows(
      `SELECT u.login FROM class_subjects cs JOIN staff s ON s.id = cs.staff_id JOIN users u ON u.id = s.user_id
       WHERE cs.class_id = $1 AND u.login <> 'teacher001' LIMIT 1`,
      [classId],
    );
    const colleague = school.as(String(other!.login));
    expect((await colleague('PUT', path(), { body: mark(0, 'absent') })).status).toBe(404);
    expect((await colleague('GET', path())).status).toBe(404);
    const period = await colleague('PUT', path(TODAY, 2), { body: mark(0, 'absent') });
    expect(period).toMatchObject({ status: 202, body: { data: { period_no: 2 } } });
    expect(period.headers.get('location')).toBe(`/api/v1${path(TODAY, 2)}`);
    expect(lineOf((await colleague('GET', path(TODAY, 2))).body.data, 0).status).toBe('absent');
    await school.sync();
    const [sheet] = await school.rows(
      'SELECT class_subject_id IS NOT NULL AS taught FROM attendance_sheets WHERE class_id = $1 AND period_no = 2',
      [classId],
    );
    expect(sheet).toEqual({ taught: true });
  });

  it("a period never counts in a student's days (AT3)", async () => {
    const days = (await teacher('GET', `/attendance/students/${students[0]}?from=${TODAY}&to=${TODAY}`)).body.data;
    expect(days).toMatchObject([{ date: TODAY, status: 'late', minutes_late: 3 }]);
  });

  it('families see their own days only, and no sheet', async () => {
    const student = school.as('student0001');
    const { student_id: own, own_class } = (await student('GET', '/auth/me')).body.data.scopes;
    expect((await student('GET', `/attendance/students/${own}?from=2025-09-01&to=${TODAY}`)).status).toBe(200);
    const mate = (await admin('GET', `/classes/${own_class.id}/students`)).body.data.find(
      (line: Line) => line.student_id !== own,
    ).student_id;
    expect((await student('GET', `/attendance/students/${mate}?from=2025-09-01&to=${TODAY}`)).status).toBe(404);
    expect((await student('GET', `/attendance/classes/${own_class.id}/sheets/${TODAY}`)).status).toBe(403);
    expect((await student('GET', `/attendance/absentees?date=${TODAY}`)).status).toBe(403);
    expect((await student('GET', `/classes/${own_class.id}/students`)).body.data).toMatchObject([{ student_id: own }]);
  });
});

describe('sums', () => {
  it('AT3 counts stored and pending rolls of a term, and reports unmarked days', async () => {
    const terms = (await teacher('GET', '/terms')).body.data as { id: string; starts_on: string; ends_on: string }[];
    const term = terms.find(({ starts_on, ends_on }) => starts_on <= TODAY && TODAY <= ends_on)!;
    const summary = async () =>
      (await teacher('GET', `/attendance/students/${students[7]}/summary?term_id=${term.id}`)).body.data;
    await admin('PUT', path(), { body: mark(7, 'present') });
    await school.sync();
    const before = await summary();
    await admin('PUT', path(), { body: mark(7, 'half_day') });
    const after = await summary();
    expect(after).toMatchObject({
      present: before.present - 1,
      half_day: before.half_day + 1,
      unmarked: before.unmarked,
    });
    const { present, late, half_day, absent, on_duty } = after;
    const marked = present + late + half_day + absent + on_duty;
    expect(after.pct_bp).toBe(Math.round((10_000 * (present + late + on_duty + half_day / 2)) / marked));
    const [open] = await school.rows(
      'SELECT count(*)::int AS days FROM school_days WHERE is_open AND on_date BETWEEN $1 AND $2',
      [term.starts_on, TODAY],
    );
    expect(marked + after.excused + after.unmarked).toBe(open!.days);
    const month = (await teacher('GET', `/attendance/classes/${classId}/summary?month=2025-09`)).body.data;
    expect(month.find((line: Line) => line.student_id === students[7])).toMatchObject({ half_day: 1 });
  });

  it('AT7 lists who is absent on each of the last open days', async () => {
    for (const date of ['2025-09-08', TODAY]) await admin('PUT', path(date), { body: mark(8, 'absent') });
    const runOf = async (days: number) =>
      (await teacher('GET', `/attendance/consecutive?days=${days}`)).body.data.map((line: Line) => line.student_id);
    expect(await runOf(2)).not.toContain(students[8]);
    await school.rows(`UPDATE attendance_sheets SET status = 'open' WHERE class_id = $1 AND on_date = '2025-09-09'`, [
      classId,
    ]);
    await school.engine.buffer.dropWarm('attendance', [`${classId}:2025-09-09:0`]);
    await admin('PUT', path('2025-09-09'), { body: mark(8, 'absent') });
    expect(await runOf(3)).toContain(students[8]);
    expect(await runOf(3)).not.toContain(students[7]);
    const absent = (await teacher('GET', `/attendance/absentees?date=${TODAY}`)).body.data;
    expect(absent.find((line: Line) => line.student_id === students[8])).toMatchObject({
      roll_no: 9,
      class_id: classId,
      full_name: expect.any(String),
    });
  });
});

it('a roll is taken while PostgreSQL is down, on a day that nobody has looked at, and stored afterwards', async () => {
  await admin('GET', path('2025-09-09')); // reference data of the class is known
  await school.sync();
  const date = '2025-09-08';
  await whileDatabaseIsDown(school, async () => {
    const saved = await teacher('PUT', path(date), {
      body: { ...mark(9, 'late', { minutes_late: 2 }), rest: 'present' },
    });
    expect(saved).toMatchObject({ status: 202, body: { data: { is_complete: true } } });
  });
  await school.sync();
  const days = (await teacher('GET', `/attendance/students/${students[9]}?from=${date}&to=${date}`)).body.data;
  expect(days).toMatchObject([{ status: 'late', minutes_late: 2 }]);
});
