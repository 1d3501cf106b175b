import type { Knex } from 'knex';
import { newId } from '../../lib/ids.ts';

export type PointSource = 'quiz' | 'homework' | 'attendance' | 'bonus' | 'manual';

export interface PointEntry {
  studentId: string;
  source: PointSource;
  sourceId: string;
  /** 0 takes the entry away. */
  points: number;
  reason?: string | null;
  /** School date. */
  effectiveOn: string;
  createdBy?: string | null;
}

export interface Period {
  from: string;
  to: string;
}

const MANUAL_MOST = 100;
const BONUS_POINTS = 20;
const BONUS_DAYS = 15;

/** Points in PostgreSQL. */
export class PointsStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** DB3: one entry a student and source, replaced and never added. */
  async replace(entry: PointEntry, at: Date, knex: Knex = this.#knex): Promise<void> {
    const { studentId, source, sourceId, points, reason = null, effectiveOn, createdBy = null } = entry;
    if (points === 0) {
      await knex('point_entries').where({ student_id: studentId, source, source_id: sourceId }).delete();
      return;
    }
    await knex.raw(
      `INSERT INTO point_entries (id, student_id, source, source_id, points, reason, effective_on, created_by, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (student_id, source, source_id) DO UPDATE SET points = excluded.points, reason = excluded.reason,
         effective_on = excluded.effective_on, created_by = excluded.created_by, created_at = excluded.created_at`,
      [newId(), studentId, source, sourceId, points, reason, effectiveOn, createdBy, at],
    );
  }

  /**
   * Whether an author may give a student so many points in the month (DB2). Other requests of the same three wait until
   * this transaction ends, so that together they cannot pass the limit.
   */
  async hasRoom(
    transaction: Knex.Transaction,
    { authorId, studentId, points, on }: { authorId: string; studentId: string; points: number; on: string },
  ): Promise<boolean> {
    const month = on.slice(0, 7);
    await transaction.raw('SELECT pg_advisory_xact_lock(hashtextextended(?, 0))', [
      `points:${authorId}:${studentId}:${month}`,
    ]);
    const { rows } = await transaction.raw(
      `SELECT coalesce(sum(abs(points)), 0)::int AS given FROM point_entries
       WHERE student_id = ? AND source = 'manual' AND created_by = ?
         AND effective_on BETWEEN ?::date AND (?::date + interval '1 month - 1 day')::date`,
      [studentId, authorId, `${month}-01`, `${month}-01`],
    );
    return rows[0].given + Math.abs(points) <= MANUAL_MOST;
  }

  /** What a released mark is; none while it is not released. */
  async releasedMark(
    homeworkId: string,
    studentId: string,
  ): Promise<{ finalX100: number | null; maxX100: number | null; isLate: boolean } | undefined> {
    const { rows } = await this.#knex.raw(
      `SELECT g.final_x100 AS "finalX100", h.max_x100 AS "maxX100", s.is_late AS "isLate"
       FROM homework_grades g JOIN homework h ON h.id = g.homework_id
       JOIN homework_submissions s ON s.homework_id = g.homework_id AND s.student_id = g.student_id AND s.status <> 'draft'
       WHERE g.homework_id = ? AND g.student_id = ? AND g.released_at IS NOT NULL AND g.status = 'graded'`,
      [homeworkId, studentId],
    );
    return rows[0];
  }

  /** Sums of the active students of a class on a date; of some of them when they are named. */
  async totals(
    classId: string,
    on: string,
    { from, to }: Period,
    studentIds?: readonly string[],
  ): Promise<{ studentId: string; points: number }[]> {
    const { rows } = await this.#knex.raw(
      `SELECT e.student_id AS "studentId", coalesce(sum(p.points), 0)::int AS points
       FROM enrollments e JOIN students s ON s.id = e.student_id AND s.status = 'active'
       LEFT JOIN point_entries p ON p.student_id = e.student_id AND p.effective_on BETWEEN :from AND :to
       WHERE e.class_id = :classId AND e.starts_on <= :on AND (e.ends_on IS NULL OR e.ends_on >= :on)
         ${studentIds ? 'AND e.student_id = ANY(:studentIds::uuid[])' : ''}
       GROUP BY e.student_id`,
      { classId, on, from, to, ...(studentIds ? { studentIds: [...studentIds] } : {}) },
    );
    return rows;
  }

  /**
   * DB2: the bonus of a month that is over, for those with 15 marked days and no absence; taken from those who no longer
   * have it. Doing it again changes nothing.
   *
   * @param month `YYYY-MM`
   */
  async awardBonuses(month: string, at: Date): Promise<void> {
    const from = `${month}-01`;
    await this.#knex.raw(
      `WITH month AS (SELECT :from::date AS from_on, (:from::date + interval '1 month - 1 day')::date AS to_on),
       earned AS (
         SELECT e.student_id FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id, month
         WHERE e.on_date BETWEEN from_on AND to_on AND s.period_no = 0 AND s.status <> 'void'
         GROUP BY e.student_id HAVING count(*) >= ${BONUS_DAYS} AND count(*) FILTER (WHERE e.status = 'absent') = 0),
       lost AS (
         DELETE FROM point_entries p USING month WHERE p.source = 'bonus' AND p.effective_on = to_on
           AND NOT EXISTS (SELECT 1 FROM earned WHERE earned.student_id = p.student_id))
       INSERT INTO point_entries (id, student_id, source, source_id, points, effective_on, created_at)
       SELECT gen_random_uuid(), student_id, 'bonus', md5('bonus:' || :from)::uuid, ${BONUS_POINTS}, to_on, :at FROM earned, month
       ON CONFLICT (student_id, source, source_id) DO NOTHING`,
      { from, at },
    );
  }
}
