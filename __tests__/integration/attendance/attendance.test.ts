import { beforeAll, describe, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

const school = useSchool();
let teacher: Call;
let classId: string;
let students: string[];
const path = (date = TODAY) => `/attendance/classes/${classId}/sheets/${date}`;

beforeAll(async () => {
  teacher = school.as('teacher001');
  classId = (await teacher('GET', '/auth/me')).body.data.scopes.homerooms[0].id;
  students = (await teacher('GET', `/classes/${classId}/students`)).body.data.map(
    (line: { student_id: string }) => line.student_id,
  );
});

describe('attendance', () => {
  it('marks a class, fills the rest, is read at once and fans out to its two tables', async () => {
    const saved = await teacher('PUT', path(), {
      body: {
        entries: [
          { student_id: students[0], status: 'absent' },
          { student_id: students[1], status: 'late', minutes_late: 7 },
        ],
        rest: 'present',
      },
    });
    expect(saved.status).toBe(202);
    expect(saved.body.data.is_complete).toBe(true);
    expect((await teacher('GET', path())).body.meta).toEqual({ source: 'buffer', pending: true });
    const run = await school.sync();
    expect(run.failed).toBe(0);
    const entries = await school.rows(
      'SELECT e.status, e.minutes_late FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id WHERE s.class_id = $1 AND s.on_date = $2 AND e.student_id = ANY($3)',
      [classId, TODAY, students.slice(0, 2)],
    );
    expect(entries).toEqual(
      expect.arrayContaining([
        { status: 'absent', minutes_late: null },
        { status: 'late', minutes_late: 7 },
      ]),
    );
    const again = (await teacher('GET', path())).body;
    expect(again.data).toMatchObject({ is_complete: true, pending: false });
    expect(again.meta).toEqual({ source: expect.stringMatching(/^(cache|db)$/), pending: false });
  });

  it('AT4 merges by student: two teachers marking different students lose nothing, before and after a sync', async () => {
    await teacher('PUT', path(), { body: { entries: [{ student_id: students[6], status: 'absent' }] } });
    const admin = school.as('admin');
    await admin('PUT', path(), { body: { entries: [{ student_id: students[3], status: 'late', minutes_late: 5 }] } });
    const statusOf = async (id: string) =>
      (await teacher('GET', path())).body.data.entries.find((entry: { student_id: string }) => entry.student_id === id)
        .status;
    expect([await statusOf(students[6]!), await statusOf(students[3]!)]).toEqual(['absent', 'late']);
    await school.sync();
    await teacher('PUT', path(), { body: { entries: [{ student_id: students[6], status: 'present' }] } });
    expect([await statusOf(students[6]!), await statusOf(students[3]!)]).toEqual(['present', 'late']);
    await school.sync();
    expect([await statusOf(students[6]!), await statusOf(students[3]!)]).toEqual(['present', 'late']);
  });

  it('AT1 refuses the future, closed days, strangers and days beyond the edit window, and stores nothing of it', async () => {
    const one = { entries: [{ student_id: students[0], status: 'present' }] };
    expect((await teacher('PUT', path('2025-09-11'), { body: one })).body.code).toBe('FUTURE_DATE');
    expect((await teacher('PUT', path('2025-09-07'), { body: one })).body.code).toBe('NOT_SCHOOL_DAY');
    expect((await teacher('PUT', path('2025-09-04'), { body: one })).body.code).toBe('EDIT_WINDOW_OVER');
    expect((await teacher('PUT', path('2025-08-20'), { body: one })).body.code).toBe('TERM_LOCKED');
    const stranger = await teacher('PUT', path(), {
      body: { entries: [...one.entries, { student_id: '00000000-0000-4000-8000-000000000001', status: 'absent' }] },
    });
    expect(stranger).toMatchObject({
      status: 422,
      body: { code: 'NOT_ENROLLED', errors: [{ pointer: '/entries/1/student_id' }] },
    });
    expect((await school.as('teacher002')('PUT', path(), { body: one })).status).toBe(404);
  });

  it('counts pending marks in summaries and lists (I4)', async () => {
    await teacher('PUT', path(), { body: { entries: [{ student_id: students[4], status: 'absent' }] } });
    const absent = (await teacher('GET', `/attendance/absentees?date=${TODAY}`)).body.data.map(
      (line: { student_id: string }) => line.student_id,
    );
    expect(absent).toContain(students[4]);
    const days = (await teacher('GET', `/attendance/students/${students[4]}?from=${TODAY}&to=${TODAY}`)).body.data;
    expect(days).toMatchObject([{ date: TODAY, status: 'absent' }]);
    expect(
      (await teacher('GET', `/attendance/missing?date=${TODAY}`)).body.data.map(
        (line: { class_id: string }) => line.class_id,
      ),
    ).not.toContain(classId);
  });

  it('keeps before and after of every change in the activity log', async () => {
    await teacher('PUT', path(), { body: { entries: [{ student_id: students[5], status: 'absent' }] } });
    await teacher('PUT', path(), { body: { entries: [{ student_id: students[5], status: 'late', minutes_late: 3 }] } });
    const admin = school.as('admin');
    const [last] = (await admin('GET', '/activity-logs?action=attendance.save&limit=1')).body.data;
    expect(last).toMatchObject({
      before: [{ student_id: students[5], status: 'absent' }],
      after: [{ status: 'late', minutes_late: 3 }],
    });
    await school.sync();
    const [stored] = (await admin('GET', '/activity-logs?action=attendance.save&limit=1')).body.data;
    expect(stored).toMatchObject({ id: last.id, after: [{ status: 'late' }] });
  });
});
