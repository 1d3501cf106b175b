import { createHash } from 'node:crypto';
import { attendancePoints, homeworkPoints } from '../src/services/dashboard/leaderboard-rules.ts';
import type { AttendanceRows } from './attendance.ts';
import { addDays, instantAt, schoolDateOf } from './dates.ts';
import type { HomeworkRows } from './homework.ts';
import { timedId } from './ids.ts';
import type { Row } from './rows.ts';
import type { SchoolYear } from './school-year.ts';

const BONUS = { points: 20, days: 15 };

/** The source that the bonuses of a month share, as the nightly award has it. */
function bonusSource(month: string): string {
  const hex = createHash('md5').update(`bonus:${month}-01`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** What the rolls and homework of the demo school are worth (DB2), as if each had been counted on its day. */
export function createPoints(attendance: AttendanceRows, homework: HomeworkRows, year: SchoolYear): Row[] {
  const rows: Row[] = [];
  const add = (studentId: unknown, source: string, sourceId: unknown, points: number, on: string, at: string): void => {
    if (points === 0) return;
    rows.push({
      id: timedId(`points:${studentId}:${source}:${sourceId}`, at),
      student_id: studentId,
      source,
      source_id: sourceId,
      points,
      reason: null,
      effective_on: on,
      created_by: null,
      created_at: at,
    });
  };

  const months = new Map<string, { student: string; month: string; marked: number; isAbsent: boolean }>();
  for (const { sheet_id, student_id, on_date, status, marked_at } of attendance.attendance_entries) {
    const on = String(on_date);
    add(student_id, 'attendance', sheet_id, attendancePoints(String(status)), on, String(marked_at));
    const name = `${student_id} ${on.slice(0, 7)}`;
    const month = months.get(name) ?? {
      student: String(student_id),
      month: on.slice(0, 7),
      marked: 0,
      isAbsent: false,
    };
    month.marked++;
    month.isAbsent ||= status === 'absent';
    months.set(name, month);
  }
  for (const { student, month, marked, isAbsent } of months.values()) {
    if (month >= year.today.slice(0, 7) || marked < BONUS.days || isAbsent) continue;
    const next = `${addDays(`${month}-01`, 31).slice(0, 7)}-01`;
    add(student, 'bonus', bonusSource(month), BONUS.points, addDays(next, -1), instantAt(next, '01:00'));
  }

  const maxima = new Map(homework.homework.map(({ id, max_x100 }) => [id, max_x100 as number | null]));
  const released = new Map(
    homework.homework_grades
      .filter(({ status, released_at }) => status === 'graded' && released_at !== null)
      .map(({ homework_id, student_id, final_x100 }) => [`${homework_id}:${student_id}`, final_x100 as number]),
  );
  for (const { homework_id, student_id, is_late, submitted_at } of homework.homework_submissions) {
    const final = released.get(`${homework_id}:${student_id}`) ?? null;
    const points = homeworkPoints(is_late === true, final, maxima.get(homework_id) ?? null);
    const at = String(submitted_at);
    add(student_id, 'homework', homework_id, points, schoolDateOf(new Date(at)), at);
  }
  return rows;
}
