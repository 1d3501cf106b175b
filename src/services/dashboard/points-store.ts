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
/** A day of the whole school is thousands of rows, and a vacation that was a mistake many of them. */
const REPLACED_AT_ONCE = 1_000;

/** Points in PostgreSQL. */
export class PointsStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /**
   * DB3: one entry a student and source, replaced and never added. An entry that is there keeps its day, so that a later
   * revision or mark counts in the month in which the points were earned.
   */
  async replace(entries: readonly PointEntry[], at: Date, knex: Knex = this.#knex): Promise<void> {
    // In one order in every process: two statements that meet wait for each other instead of locking each other out.
    const placeOf = ({ studentId, source, sourceId }: PointEntry) => `${studentId}:${source}:${sourceId}`;
    const rows = [...entries].sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
    for (let start = 0; start < rows.length; start += REPLACED_AT_ONCE)
      await this.#replace(rows.slice(start, start + REPLACED_AT_ONCE), at, knex);
  }

  async #replace(rows: readonly PointEntry[], at: Date, knex: Knex): Promise<void> {
    await knex.raw(
      `WITH given AS (
         SELECT * FROM unnest(:ids::uuid[], :students::uuid[], :sources::text[], :sourceIds::uuid[], :points::int[], :reasons::text[],
           :days::date[], :authors::uuid[]) AS g (id, student_id, source, source_id, points, reason, effective_on, created_by)),
       taken AS (
         DELETE FROM point_entries p USING given g
         WHERE g.points = 0 AND p.student_id = g.student_id AND p.source = g.source AND p.source_id = g.source_id)
       INSERT INTO point_entries (id, student_id, source, source_id, points, reason, effective_on, created_by, created_at)
       SELECT id, student_id, source, source_id, points, reason, effective_on, created_by, :at FROM given WHERE points <> 0
       ON CONFLICT (student_id, source, source_id) DO UPDATE SET points = excluded.points, reason = excluded.reason
       WHERE (point_entries.points, point_entries.reason) IS DISTINCT FROM (excluded.points, excluded.reason)`,
      {
        ids: rows.map(() => newId()),
        students: rows.map(({ studentId }) => studentId),
        sources: rows.map(({ source }) => source),
        sourceIds: rows.map(({ sourceId }) => sourceId),
        points: rows.map(({ points }) => points),
        reasons: rows.map(({ reason }) => reason ?? null),
        days: rows.map(({ effectiveOn }) => effectiveOn),
        authors: rows.map(({ createdBy }) => createdBy ?? null),
        at,
      } as unknown as Record<string, Knex.Value>,
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

  /** Which entries of a source there are on a date; of some students when they are named. */
  async entriesOf(
    source: PointSource,
    on: string,
    studentIds?: readonly string[],
  ): Promise<Pick<PointEntry, 'studentId' | 'sourceId'>[]> {
    const { rows } = await this.#knex.raw(
      `SELECT student_id AS "studentId", source_id AS "sourceId" FROM point_entries
       WHERE source = :source AND effective_on = :on ${studentIds ? 'AND student_id = ANY(:studentIds::uuid[])' : ''}`,
      { source, on, ...(studentIds ? { studentIds: [...studentIds] } : {}) },
    );
    return rows;
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
   * The bonus of a month that is over, for those who have earned it; taken from all others. Doing it again changes nothing.
   *
   * @param month `YYYY-MM`
   */
  async awardBonuses(month: string, { to }: Period, studentIds: readonly string[], at: Date): Promise<void> {
    await this.#knex.raw(
      `WITH earned AS (SELECT unnest(:studentIds::uuid[]) AS student_id),
       lost AS (
         DELETE FROM point_entries p WHERE p.source = 'bonus' AND p.effective_on = :to
           AND NOT EXISTS (SELECT 1 FROM earned WHERE earned.student_id = p.student_id))
       INSERT INTO point_entries (id, student_id, source, source_id, points, effective_on, created_at)
       SELECT gen_random_uuid(), student_id, 'bonus', md5('bonus:' || :month || '-01')::uuid, ${BONUS_POINTS}, :to, :at FROM earned
       ON CONFLICT (student_id, source, source_id) DO NOTHING`,
      { month, to, studentIds: [...studentIds], at },
    );
  }
}
