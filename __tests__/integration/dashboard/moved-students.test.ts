import { beforeAll, describe, expect, it } from 'vitest';
import { namedId } from '../../../src/lib/ids.ts';
import { AttendanceStore } from '../../../src/services/attendance/attendance-store.ts';
import { quiet } from '../../support/freshness.ts';
import { type Answer, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

/* Students who change their class, and the rolls of the old one. */

const school = useSchool();
const admin = school.as('admin');
const YESTERDAY = '2025-09-09';
let classId: string;
let otherClass: string;
let classmates: string[];

beforeAll(async () => {
  classId = (await school.as('student0001')('GET', '/auth/me')).body.data.scopes.own_class.id;
  const classes: { id: string }[] = (await admin('GET', '/classes')).body.data;
  otherClass = classes.find(({ id }) => id !== classId)!.id;
  const roster: { student_id: string }[] = (await admin('GET', `/classes/${classId}/students`)).body.data;
  const own = namedId('student:student0001');
  classmates = roster.map(({ student_id }) => student_id).filter((id) => id !== own);
});

const ok = (answer: Answer): Answer => {
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer;
};
const roll = (student_id: string, status: string, on = TODAY, id = classId) =>
  admin('PUT', `/attendance/classes/${id}/sheets/${on}`, { body: { entries: [{ student_id, status }] } }).then(ok);
const move = (id: string) =>
  admin('POST', `/students/${id}/enrollments`, { body: { class_id: otherClass, starts_on: TODAY } }).then(ok);
const card = async (id: string) =>
  ok(await admin('GET', `/dashboard/student?student_id=${id}`)).body.data.cards.attendance;
const summary = async (id: string) => {
  const [term] = await school.rows('SELECT id FROM terms WHERE $1 BETWEEN starts_on AND ends_on', [TODAY]);
  return ok(await admin('GET', `/attendance/students/${id}/summary?term_id=${term!.id}`)).body.data;
};
const pointsOfToday = async (id: string): Promise<number[]> =>
  (
    await school.rows(
      "SELECT points FROM point_entries WHERE student_id = $1 AND source = 'attendance' AND effective_on = $2",
      [id, TODAY],
    )
  ).map(({ points }) => Number(points));

describe('a student who has moved', () => {
  it('DB1: sees a mark of the old class at once when it is corrected, saved and stored', async () => {
    const moved = classmates[0]!;
    await roll(moved, 'present', YESTERDAY);
    await school.sync();
    await move(moved);
    await quiet(school);
    const before = (await card(moved)).month_pct_bp;
    await roll(moved, 'absent', YESTERDAY);
    const after = (await card(moved)).month_pct_bp;
    expect(after).toBeLessThan(before);
    await school.sync();
    await quiet(school);
    expect((await card(moved)).month_pct_bp).toBe(after);
  });

  it('AT3, DB2: is counted once a day, by the roll of the class of that day', async () => {
    const moved = classmates[1]!;
    const before = await summary(moved);
    await roll(moved, 'late');
    await school.sync();
    await quiet(school);
    expect(await pointsOfToday(moved)).toEqual([1]);
    await move(moved);
    await quiet(school);
    expect(await card(moved)).toMatchObject({ today: 'late' });
    await roll(moved, 'present', TODAY, otherClass);
    const check = async () => {
      expect(await card(moved)).toMatchObject({ today: 'present' });
      expect(await summary(moved)).toMatchObject({ present: before.present + 1, late: before.late });
    };
    await check();
    await school.sync();
    await quiet(school);
    await check();
    expect(await pointsOfToday(moved)).toEqual([2]);
    const marked = new AttendanceStore(school.container.knex);
    expect(await marked.neverAbsent({ from: TODAY, to: TODAY }, 1)).toContain(moved);
    expect(await marked.neverAbsent({ from: TODAY, to: TODAY }, 2), 'one day is taken for two').toEqual([]);
  });

  it('DB2: keeps the bonus of a month when only the old class missed it on the day of the move', async () => {
    const [moved, missing] = classmates.slice(2, 4) as [string, string];
    await roll(moved, 'absent');
    await roll(missing, 'absent');
    await move(moved);
    await roll(moved, 'present', TODAY, otherClass);
    await school.sync();
    const never = await new AttendanceStore(school.container.knex).neverAbsent({ from: TODAY, to: TODAY }, 1);
    expect(never).toContain(moved);
    expect(never).not.toContain(missing);
  });
});
