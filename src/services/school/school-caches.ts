import type { Knex } from 'knex';
import type { Sessions } from '../auth/sessions.ts';
import { SCHOOL_COPIES, type School } from './school.ts';

/** What a change of the school has made stale. */
export interface Stale {
  /** Reference data, by its name in `SCHOOL_COPIES`. */
  copies?: readonly string[];
  /** Classes whose members changed. */
  rosters?: readonly string[];
  /** Students whose classes changed. */
  students?: readonly string[];
  /** Users whose scopes changed; `everybody` when a whole year begins. */
  users?: readonly (string | null)[] | 'everybody';
}

/** Drops what changes of the school make stale (DOMAIN §7): after their commit, before they are answered. */
export class SchoolCaches {
  readonly #knex: Knex;
  readonly #school: School;
  readonly #sessions: Sessions;

  constructor({ knex, school, sessions }: { knex: Knex; school: School; sessions: Sessions }) {
    this.#knex = knex;
    this.#school = school;
    this.#sessions = sessions;
  }

  /** @throws when Redis is away: the caller must not believe that a right is withdrawn while it is not */
  async forget({ copies = [], rosters = [], students = [], users = [] }: Stale): Promise<void> {
    const names = new Set(copies);
    for (const id of rosters) names.add(SCHOOL_COPIES.roster(id)).add(SCHOOL_COPIES.leave(id));
    for (const id of students) names.add(SCHOOL_COPIES.enrolments(id));
    await Promise.all([this.#school.forget(...names), this.#forgetLogins(users)]);
  }

  /** A student has joined or left classes: their rosters, and what the student and its guardians reach. */
  async forgetMembership(studentId: string, classIds: readonly (string | null)[]): Promise<void> {
    const { rows } = await this.#knex.raw(
      `SELECT user_id AS id FROM students WHERE id = :studentId
       UNION SELECT g.user_id FROM student_guardians l JOIN guardians g ON g.id = l.guardian_id WHERE l.student_id = :studentId`,
      { studentId },
    );
    await this.forget({
      rosters: classIds.filter((id) => id !== null),
      students: [studentId],
      users: idsOf(rows),
    });
  }

  /** A student has another name: rosters, the student's login and those of its guardians hold the old one. */
  async forgetStudent(studentId: string): Promise<void> {
    const { rows } = await this.#knex.raw('SELECT DISTINCT class_id AS id FROM enrollments WHERE student_id = ?', [
      studentId,
    ]);
    await this.forgetMembership(studentId, idsOf(rows));
  }

  /** A class has another name: the logins of those who teach in it, are in it, or have a child in it hold the old one. */
  async forgetClass(classId: string): Promise<void> {
    const { rows } = await this.#knex.raw(
      `WITH members AS (SELECT student_id FROM enrollments WHERE class_id = :classId)
       SELECT user_id AS id FROM staff WHERE id IN (
         SELECT homeroom_staff_id FROM classes WHERE id = :classId
         UNION SELECT staff_id FROM class_subjects WHERE class_id = :classId
         UNION SELECT staff_id FROM teacher_substitutions WHERE class_id = :classId)
       UNION SELECT p.user_id FROM members m JOIN students p ON p.id = m.student_id
       UNION SELECT g.user_id FROM members m JOIN student_guardians l ON l.student_id = m.student_id
         JOIN guardians g ON g.id = l.guardian_id`,
      { classId },
    );
    await this.forget({ copies: [SCHOOL_COPIES.classes, SCHOOL_COPIES.classSubjects], users: idsOf(rows) });
  }

  /** A subject has another name: the logins of those who teach it hold the old one. */
  async forgetSubject(subjectId: string): Promise<void> {
    const { rows } = await this.#knex.raw(
      'SELECT DISTINCT s.user_id AS id FROM class_subjects c JOIN staff s ON s.id = c.staff_id WHERE c.subject_id = ?',
      [subjectId],
    );
    await this.forget({ copies: [SCHOOL_COPIES.subjects, SCHOOL_COPIES.classSubjects], users: idsOf(rows) });
  }

  /** Scopes live with the logins. */
  async #forgetLogins(users: NonNullable<Stale['users']>): Promise<void> {
    const ids = users === 'everybody' ? await this.#usersLoggedIn() : users.filter((id) => id !== null);
    if (ids.length > 0) await this.#sessions.forget(...ids);
  }

  async #usersLoggedIn(): Promise<string[]> {
    const result = await this.#knex.raw('SELECT DISTINCT user_id AS id FROM user_sessions WHERE revoked_at IS NULL');
    return (result.rows as { id: string }[]).map(({ id }) => id);
  }
}

const idsOf = (rows: { id: string | null }[]): (string | null)[] => rows.map(({ id }) => id);
