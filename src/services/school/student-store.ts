import type { Knex } from 'knex';
import type { Condition } from '../../lib/condition.ts';
import { conditionSql, named, type Position } from '../../stores/postgres/conditions.ts';
import { SCOPED_STUDENT } from './student-scope.ts';

export interface StudentRow {
  id: string;
  userId: string | null;
  admissionNo: string;
  fullName: string;
  birthOn: string;
  gender: string | null;
  house: string | null;
  admittedOn: string;
  leftOn: string | null;
  leaveReason: string | null;
  photoFileId: string | null;
  status: 'active' | 'left' | 'alumni';
  version: number;
  /** On the date asked for; null when in none. */
  classId: string | null;
  className: string | null;
  rollNo: number | null;
  /** What lists are sorted by. */
  sortName: string;
}

export interface EnrolmentRow {
  id: string;
  classId: string;
  className: string;
  rollNo: number;
  startsOn: string;
  endsOn: string | null;
}

export interface GuardianLink {
  guardianId: string;
  userId: string | null;
  fullName: string;
  phone: string;
  email: string | null;
  relation: string;
  isPrimary: boolean;
  isBlocked: boolean;
  canView: boolean;
  canPay: boolean;
  canPickup: boolean;
  isNotified: boolean;
}

export interface StudentFilter {
  q?: string;
  class_id?: string;
  status?: string;
  limit: number;
  after?: Position;
}

const COLUMNS = `s.id, s.user_id AS "userId", s.admission_no AS "admissionNo", s.full_name AS "fullName", s.birth_on AS "birthOn",
  s.gender, s.house, s.admitted_on AS "admittedOn", s.left_on AS "leftOn", s.leave_reason AS "leaveReason",
  s.photo_file_id AS "photoFileId", s.status, s.version, e.class_id AS "classId", c.name AS "className", e.roll_no AS "rollNo",
  lower(s.full_name) AS "sortName"`;

/** Students beside the class they are in on `:on`. */
const FROM = `FROM students s
  LEFT JOIN LATERAL (SELECT class_id, roll_no FROM enrollments
    WHERE student_id = s.id AND starts_on <= :on AND (ends_on IS NULL OR ends_on >= :on) LIMIT 1) e ON true
  LEFT JOIN classes c ON c.id = e.class_id`;

const likeText = (text: string): string => text.replace(/[\\%_]/g, '\\$&');

/** Questions about students; in a transaction when handed one. */
export class StudentStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** @param on school date of the class beside it */
  async find(id: string, on: string, knex: Knex = this.#knex): Promise<StudentRow | undefined> {
    const result = await knex.raw(`SELECT ${COLUMNS} ${FROM} WHERE s.id = :id`, { id, on });
    return result.rows[0];
  }

  /** Students with this photo. @param on school date of the class beside them */
  async listByPhoto(fileId: string, on: string): Promise<Pick<StudentRow, 'id' | 'classId'>[]> {
    const result = await this.#knex.raw(
      `SELECT s.id, e.class_id AS "classId" ${FROM} WHERE s.photo_file_id = :fileId`,
      {
        fileId,
        on,
      },
    );
    return result.rows;
  }

  async idsByAdmissionNo(numbers: readonly string[]): Promise<Map<string, string>> {
    const result = await this.#knex.raw(
      'SELECT admission_no AS number, id FROM students WHERE admission_no = ANY(?::text[])',
      [numbers as string[]],
    );
    return new Map((result.rows as { number: string; id: string }[]).map(({ number, id }) => [number, id]));
  }

  /**
   * Sorted by name; one row more than the page holds tells that there is another.
   *
   * @param inReach over `SCOPED_STUDENT`; all students without
   */
  async list(inReach: Condition | undefined, filter: StudentFilter, on: string): Promise<StudentRow[]> {
    const { q, class_id, status, limit, after } = filter;
    const where = ['true'];
    if (class_id) where.push('e.class_id = :classId');
    if (status) where.push('s.status = :status');
    // A beginning of the name, of a later word in it, or of the admission number. The database lowers both sides: which letters
    // have small ones depends on its locale.
    if (q)
      where.push(
        '(lower(s.full_name) LIKE lower(:start) OR lower(s.full_name) LIKE lower(:word) OR lower(s.admission_no) LIKE lower(:start))',
      );
    if (after)
      where.push(
        '(lower(s.full_name) COLLATE "C", s.id) > (CAST(:afterName AS text) COLLATE "C", CAST(:afterId AS uuid))',
      );
    const text = likeText(q ?? '');
    const scope = inReach ? named(conditionSql(SCOPED_STUDENT, inReach), 'scope') : { sql: 'true', bindings: {} };
    const result = await this.#knex.raw(
      `SELECT * FROM (SELECT ${COLUMNS} ${FROM} WHERE ${where.join(' AND ')}) AS student WHERE ${scope.sql}
       ORDER BY "sortName" COLLATE "C", id LIMIT :limit`,
      {
        ...scope.bindings,
        on,
        classId: class_id ?? null,
        status: status ?? null,
        start: `${text}%`,
        word: `% ${text}%`,
        afterName: String(after?.value ?? ''),
        afterId: after?.id ?? null,
        limit: limit + 1,
      },
    );
    return result.rows;
  }

  /** Oldest first. */
  async enrolments(studentId: string, knex: Knex = this.#knex): Promise<EnrolmentRow[]> {
    const result = await knex.raw(
      `SELECT e.id, e.class_id AS "classId", c.name AS "className", e.roll_no AS "rollNo", e.starts_on AS "startsOn", e.ends_on AS "endsOn"
       FROM enrollments e JOIN classes c ON c.id = e.class_id WHERE e.student_id = ? ORDER BY e.starts_on`,
      [studentId],
    );
    return result.rows;
  }

  /** The primary one first, then by name. */
  async guardians(studentId: string, knex: Knex = this.#knex): Promise<GuardianLink[]> {
    const result = await knex.raw(
      `SELECT g.id AS "guardianId", g.user_id AS "userId", g.full_name AS "fullName", g.phone, g.email, l.relation,
              l.is_primary AS "isPrimary", l.is_blocked AS "isBlocked", l.can_view AS "canView", l.can_pay AS "canPay",
              l.can_pickup AS "canPickup", l.is_notified AS "isNotified"
       FROM student_guardians l JOIN guardians g ON g.id = l.guardian_id WHERE l.student_id = ?
       ORDER BY l.is_primary DESC, g.full_name, g.id`,
      [studentId],
    );
    return result.rows;
  }
}
