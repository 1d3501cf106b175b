import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const school = useSchool();
let teacher: Call;
let admin: Call;
let classId: string;
let students: string[];

beforeAll(async () => {
  teacher = school.as('teacher001');
  admin = school.as('admin');
  classId = (await school.as('student0001')('GET', '/auth/me')).body.data.scopes.own_class.id;
  const roster = (await teacher('GET', `/classes/${classId}/students`)).body.data as { student_id: string }[];
  students = roster.map(({ student_id }) => student_id);
  await school.rows("DELETE FROM point_entries WHERE source = 'manual'");
});

interface Row {
  points: number;
  student: { id: string };
}

const give = (
  student_id: string | undefined,
  points: number,
  by: Call = teacher,
  headers: Record<string, string> = {},
) => by('POST', '/points', { body: { student_id, points, reason: 'Helped a classmate' }, headers });
const rowsOf = async (id: string): Promise<Row[]> =>
  (await admin('GET', `/leaderboards/classes/${id}?limit=100`)).body.data.rows;

describe('points by hand', () => {
  it('DB2: what is taken counts against the month’s hundred as what is given does', async () => {
    expect((await give(students[1], 50)).status).toBe(201);
    expect((await give(students[1], -40)).status).toBe(201);
    const refused = await give(students[1], -11);
    expect([refused.status, refused.body.code]).toEqual([422, 'POINTS_LIMIT']);
    expect((await give(students[1], 10)).status).toBe(201);
    expect((await give(students[2], 50)).status).toBe(201);
  });

  it('I8: take effect once for a repeated request', async () => {
    const key = { 'idempotency-key': newId() };
    const first = await give(students[4], 5, teacher, key);
    const second = await give(students[4], 5, teacher, key);
    expect(second.body.data).toEqual(first.body.data);
    const entries = await school.rows("SELECT 1 FROM point_entries WHERE student_id = $1 AND source = 'manual'", [
      students[4],
    ]);
    expect(entries).toHaveLength(1);
  });

  it('are for students of the caller’s classes who are still there', async () => {
    expect((await give(newId(), 5)).status).toBe(404);
    expect((await give(newId(), 5, admin)).status).toBe(404);
  });
});

describe('points and classes', () => {
  it('DB3: points follow a student to a new class', async () => {
    const moved = students[3]!;
    const [other] = await school.rows('SELECT id FROM classes WHERE id <> $1 LIMIT 1', [classId]);
    const otherId = String(other!.id);
    const before = (await rowsOf(classId)).find(({ student }) => student.id === moved);
    await rowsOf(otherId);
    await school.rows('UPDATE enrollments SET class_id = $1, roll_no = 90 WHERE student_id = $2 AND ends_on IS NULL', [
      otherId,
      moved,
    ]);
    await school.engine.eventLog.append([
      {
        id: newId(),
        name: 'school.enrollment.changed',
        aggregateId: moved,
        payload: { student_id: moved, from: classId, to: otherId },
        v: 1,
        at: `${TODAY}T06:00:00.000Z`,
        actorId: null,
        requestId: null,
      },
    ]);
    const after = await until('the moved student', async () =>
      (await rowsOf(otherId)).find(({ student }) => student.id === moved),
    );
    expect(after.points).toBe(before?.points);
    expect((await rowsOf(classId)).some(({ student }) => student.id === moved)).toBe(false);
  });
});
