import type { Knex } from 'knex';
import type { AttendanceStatus } from './attendance.entity.ts';

export interface StoredMark {
  classId: string;
  onDate: string;
  studentId: string;
  status: AttendanceStatus;
  minutesLate: number | null;
  remark: string | null;
}

export interface MarkQuery {
  classId?: string;
  studentIds?: readonly string[];
  /** Dates, both included. */
  from: string;
  to: string;
}

/** Attendance's own questions to PostgreSQL; only the day's roll (period 0) counts (AT3). */
export class AttendanceStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** Rolls that are not void, of a class or of some students, in a range of dates. */
  async marks({ classId, studentIds, from, to }: MarkQuery): Promise<StoredMark[]> {
    const conditions = ["s.period_no = 0 AND s.status <> 'void' AND s.on_date BETWEEN :from AND :to"];
    if (classId) conditions.push('s.class_id = :classId');
    if (studentIds) conditions.push('e.student_id = ANY(:studentIds::uuid[])');
    const result = await this.#knex.raw(
      `SELECT s.class_id AS "classId", s.on_date AS "onDate", e.student_id AS "studentId", e.status, e.minutes_late AS "minutesLate", e.remark
       FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id WHERE ${conditions.join(' AND ')}`,
      { from, to, ...(classId ? { classId } : {}), ...(studentIds ? { studentIds: [...studentIds] } : {}) },
    );
    return result.rows;
  }

  /**
   * Students who were marked on so many days at least of a range of dates, and absent on none of them; on a day with marks of two
   * classes that of the class they are in then counts (A7).
   *
   * @param from dates, both included
   */
  async neverAbsent({ from, to }: { from: string; to: string }, leastDays: number): Promise<string[]> {
    const result = await this.#knex.raw(
      `SELECT student_id FROM (
         SELECT DISTINCT ON (e.student_id, e.on_date) e.student_id, e.status
         FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id
         LEFT JOIN enrollments m ON m.student_id = e.student_id AND m.class_id = s.class_id
           AND m.starts_on <= e.on_date AND (m.ends_on IS NULL OR m.ends_on >= e.on_date)
         WHERE e.on_date BETWEEN ? AND ? AND s.period_no = 0 AND s.status <> 'void'
         ORDER BY e.student_id, e.on_date, m.id IS NULL
       ) days
       GROUP BY student_id HAVING count(*) >= ? AND count(*) FILTER (WHERE status = 'absent') = 0`,
      [from, to, leastDays],
    );
    return result.rows.map(({ student_id }: { student_id: string }) => student_id);
  }

  /** Classes whose roll of a date is stored. */
  async takenClasses(on: string): Promise<string[]> {
    const result = await this.#knex.raw(
      `SELECT class_id FROM attendance_sheets WHERE on_date = ? AND period_no = 0 AND status <> 'void'`,
      [on],
    );
    return result.rows.map((row: { class_id: string }) => row.class_id);
  }
}
