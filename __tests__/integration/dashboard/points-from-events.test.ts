import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { buildClosedDay } from '../../support/documents.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const school = useSchool();
let teacher: Call;
let student: Call;
let studentId: string;
let classId: string;
let classSubjectId: string;

beforeAll(async () => {
  teacher = school.as('teacher001');
  student = school.as('student0001');
  classId = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
  const taught = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  classSubjectId = taught.find((subject: { class: { id: string } }) => subject.class.id === classId).id;
  const [row] = await school.rows(
    "SELECT s.id FROM students s JOIN users u ON u.id = s.user_id WHERE u.login = 'student0001'",
  );
  studentId = String(row!.id);
});

const give = async (fields: object): Promise<string> => {
  const { status, body } = await teacher('POST', '/homework', {
    body: {
      class_subject_ids: [classSubjectId],
      title: 'For points',
      due_at: `${TODAY}T18:00:00.000Z`,
      max_x100: 1_000,
      ...fields,
    },
  });
  expect(status).toBe(202);
  return body.data.id;
};
const handIn = async (id: string) => {
  const { status, body } = await student('PUT', `/homework/${id}/submission`, { body: { body: 'done', final: true } });
  expect(status, JSON.stringify(body)).toBe(202);
};
const entries = (source: string, sourceId?: string) =>
  school.rows(
    `SELECT points, effective_on::text AS on_date, source_id FROM point_entries WHERE student_id = $1 AND source = $2
     AND ($3::uuid IS NULL OR source_id = $3) AND effective_on >= $4`,
    [studentId, source, sourceId ?? null, TODAY],
  );
const arrives = (points: number, source: string, sourceId?: string) =>
  until('the points', async () => {
    const found = await entries(source, sourceId);
    if (points === 0) return found.length === 0 ? { on_date: null } : undefined;
    return found.length === 1 && found[0]!.points === points ? found[0] : undefined;
  });
/** Takes the roll, and has it stored: points follow from rows. */
const takeRoll = async (status: string): Promise<void> => {
  const answer = await teacher('PUT', `/attendance/classes/${classId}/sheets/${TODAY}`, {
    body: { entries: [{ student_id: studentId, status, minutes_late: null }] },
  });
  expect(answer.status).toBe(202);
  await school.sync();
};
const monthOnBoard = async () =>
  (await teacher('GET', `/leaderboards/classes/${classId}`)).body.data.rows.find(
    (row: { student: { id: string } }) => row.student.id === studentId,
  ).points;

describe('points for homework', () => {
  it('DB2: on time earns 10, late 4, on the day it is handed in', async () => {
    const before = await monthOnBoard();
    const onTime = await give({});
    await handIn(onTime);
    expect(await arrives(10, 'homework', onTime)).toMatchObject({ on_date: TODAY });
    const late = await give({
      publish_at: `${TODAY}T00:00:00.000Z`,
      due_at: `${TODAY}T01:00:00.000Z`,
      late_until_at: `${TODAY}T18:00:00.000Z`,
    });
    await handIn(late);
    await arrives(4, 'homework', late);
    await until('the leaderboard', async () => ((await monthOnBoard()) === before + 14 ? true : undefined));
  });

  it('DB3: a new revision replaces the entry, never adds one', async () => {
    const id = await give({ late_until_at: '2025-09-12T18:00:00.000Z' });
    await handIn(id);
    await arrives(10, 'homework', id);
    school.clock.set('2025-09-11T05:00:00.000Z');
    await handIn(id);
    expect(await arrives(4, 'homework', id)).toMatchObject({ on_date: TODAY });
    school.clock.set(`${TODAY}T08:30:00+05:30`);
  });

  it('DB3: a due date that moves later makes 10 of the 4 that late work has earned, H6: as its lateness goes', async () => {
    const id = await give({
      publish_at: `${TODAY}T00:00:00.000Z`,
      due_at: `${TODAY}T01:00:00.000Z`,
      late_until_at: '2025-09-14T18:00:00.000Z',
    });
    await handIn(id);
    await arrives(4, 'homework', id);
    const move = async (due_at: string) =>
      expect((await teacher('PATCH', `/homework/${id}`, { body: { due_at } })).status).toBe(202);
    await move(`${TODAY}T02:00:00.000Z`); // still an hour too late
    await move(`${TODAY}T18:00:00.000Z`);
    expect(await arrives(10, 'homework', id)).toMatchObject({ on_date: TODAY });
    await school.sync();
    expect(await entries('homework', id)).toHaveLength(1);
  });

  it('DB3: an event that comes late brings back nothing that a later one has replaced', async () => {
    const id = await give({});
    await handIn(id);
    await arrives(10, 'homework', id);
    const consumer = school.container.consumers.find(({ name }) => name === 'points')!;
    await consumer.handle({
      id: newId(),
      name: 'homework.submitted',
      aggregateId: `${id}:${studentId}`,
      payload: { homework_id: id, student_id: studentId, late: true, revision: 1 },
      v: 1,
      at: school.clock.now().toISOString(),
      actorId: null,
      requestId: null,
    });
    await arrives(10, 'homework', id);
  });

  it('DB2: a released mark of 90 % of the maximum earns 5 more, in the month of the homework', async () => {
    const id = await give({});
    await handIn(id);
    await arrives(10, 'homework', id);
    await school.sync();
    const grade = (final: number) =>
      school.rows(
        `INSERT INTO homework_grades (homework_id, student_id, status, raw_x100, final_x100, is_penalty_waived, graded_by, graded_at, released_at)
         SELECT $1, $2, 'graded', $3, $3, false, id, now(), now() FROM staff LIMIT 1
         ON CONFLICT (homework_id, student_id) DO UPDATE SET final_x100 = excluded.final_x100`,
        [id, studentId, final],
      );
    const release = () =>
      school.engine.eventLog.append([
        {
          id: newId(),
          name: 'homework.released',
          aggregateId: id,
          payload: { homework_id: id, student_ids: [studentId] },
          v: 1,
          at: '2025-10-02T06:00:00.000Z', // of the month after
          actorId: null,
          requestId: null,
        },
      ]);
    await grade(900);
    await release();
    expect(await arrives(15, 'homework', id)).toMatchObject({ on_date: TODAY });
    await grade(899);
    await release();
    await arrives(10, 'homework', id);
  });
});

describe('points for attendance', () => {
  it('DB2: present and on duty earn 2, late and half a day 1, DB3: replaced when the roll is corrected', async () => {
    for (const [status, points] of [
      ['present', 2],
      ['late', 1],
      ['on_duty', 2],
      ['half_day', 1],
      ['absent', 0],
      ['present', 2],
      ['excused', 0],
    ] as const) {
      await takeRoll(status);
      await arrives(points, 'attendance');
    }
  });

  it('DB2: only the day’s roll counts', async () => {
    await takeRoll('present');
    await arrives(2, 'attendance');
    const period = await teacher('PUT', `/attendance/classes/${classId}/sheets/${TODAY}?period=1`, {
      body: { entries: [{ student_id: studentId, status: 'absent' }] },
    });
    expect(period.status).toBe(202);
    await takeRoll('late');
    await arrives(1, 'attendance');
    expect(await entries('attendance')).toHaveLength(1);
  });

  it('DB3: the same event again changes nothing', async () => {
    await takeRoll('present');
    await arrives(2, 'attendance');
    const consumer = school.container.consumers.find(({ name }) => name === 'points')!;
    const event = {
      id: newId(),
      name: 'attendance.stored' as const,
      aggregateId: `${classId}:${TODAY}:0`,
      payload: {
        class_id: classId,
        date: TODAY,
        period: 0,
        changed: [{ student: studentId, old: null, new: 'present' }],
      },
      v: 1,
      at: school.clock.now().toISOString(),
      actorId: null,
      requestId: null,
    };
    const before = await school.rows('SELECT * FROM point_entries ORDER BY id');
    await Promise.all([consumer.handle(event), consumer.handle(event)]);
    expect(await school.rows('SELECT * FROM point_entries ORDER BY id')).toEqual(before);
  });

  it('AT8: a day that becomes closed earns nothing, and what it did when it is open again', async () => {
    await takeRoll('present');
    await arrives(2, 'attendance');
    const admin = school.as('admin');
    const body = buildClosedDay('Storm', TODAY, { status: 'published' });
    const closing = await admin('POST', '/events', { body });
    expect(closing.status).toBe(201);
    await arrives(0, 'attendance');
    expect((await admin('DELETE', `/events/${closing.body.data.event.id}`)).status).toBeLessThan(300);
    await arrives(2, 'attendance');
  });

  it('AT8: a closing that is told once more late takes nothing from a day that is open again', async () => {
    await takeRoll('present');
    await arrives(2, 'attendance');
    const consumer = school.container.consumers.find(({ name }) => name === 'points')!;
    await consumer.handle({
      id: newId(),
      name: 'calendar.holiday.changed',
      aggregateId: 'school_days',
      payload: { dates: [TODAY], closed: [TODAY], opened: [] },
      v: 1,
      at: school.clock.now().toISOString(),
      actorId: null,
      requestId: null,
    });
    await arrives(2, 'attendance');
  });

  it('DB2: what is not stored yet earns nothing, and what the database refuses never does', async () => {
    await takeRoll('absent');
    await arrives(0, 'attendance');
    const [term] = await school.rows(
      'UPDATE terms SET locked_at = now() WHERE $1 BETWEEN starts_on AND ends_on RETURNING id',
      [TODAY],
    );
    // Accepted by a process that has not heard of the lock.
    await takeRoll('present');
    await school.rows('UPDATE terms SET locked_at = NULL WHERE id = $1', [term!.id]);
    const other = (await teacher('GET', `/classes/${classId}/students`)).body.data.find(
      ({ student_id }: { student_id: string }) => student_id !== studentId,
    ).student_id;
    expect(await entries('attendance')).toEqual([]);
    const failed = (await school.as('admin')('GET', '/admin/failed-writes?entity=attendance')).body.data;
    expect(failed).toMatchObject([{ code: 'SHEET_CLOSED' }]);
    // A newer save takes the failed one's place, and both students' marks are stored.
    await teacher('PUT', `/attendance/classes/${classId}/sheets/${TODAY}`, {
      body: { entries: [{ student_id: other, status: 'present', minutes_late: null }] },
    });
    await school.sync();
    await arrives(2, 'attendance');
  });
});
