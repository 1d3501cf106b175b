import type { Knex } from 'knex';
import type { Child, ClassRef, Role, Scopes, Substitution, TaughtSubject } from '../../lib/actor.ts';

export interface LoginRow {
  id: string;
  login: string;
  email: string | null;
  passwordHash: string | null;
  status: 'invited' | 'active' | 'suspended' | 'archived';
  isPasswordTemporary: boolean;
  /** A lock that outlives the counter in Redis (A2). */
  lockedUntil: string | null;
}

export interface SessionRow {
  userId: string;
  login: string;
  name: string;
  roles: Role[];
  epoch: number;
  status: LoginRow['status'];
  expiresAt: string;
  revokedAt: string | null;
}

/** A refresh raises it by one (A3). */
export const FIRST_GENERATION = 1;

/** Auth's questions to PostgreSQL. */
export class AuthStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async findLogin(login: string): Promise<LoginRow | undefined> {
    const result = await this.#knex.raw(
      `SELECT id, login, email, password_hash AS "passwordHash", status, is_password_temporary AS "isPasswordTemporary", locked_until_at AS "lockedUntil"
       FROM users WHERE lower(login) = lower(?)`,
      [login],
    );
    return result.rows[0];
  }

  /**
   * Opens a session and notes the login, in one statement. It waits for whoever is changing the account.
   *
   * @param session with the hash of the password that was right
   * @returns whether it did: not when another password, or a suspension, came in between
   */
  async addSession(session: {
    sid: string;
    userId: string;
    passwordHash: string;
    ip: string;
    userAgent: string;
    expiresAt: Date;
    now: Date;
  }): Promise<boolean> {
    const result = await this.#knex.raw(
      `WITH login AS (UPDATE users SET last_login_at = :now, failed_logins = 0, locked_until_at = NULL
         WHERE id = :userId AND status = 'active' AND password_hash = :passwordHash RETURNING id)
       INSERT INTO user_sessions (id, user_id, generation, rotated_at, ip, user_agent, expires_at, created_at, updated_at)
       SELECT :sid, id, ${FIRST_GENERATION}, :now, :ip, :userAgent, :expiresAt, :now, :now FROM login`,
      session,
    );
    return result.rowCount > 0;
  }

  /**
   * Notes a failed login for those who look after accounts; the lock itself is counted in Redis. Notes of the same moment come in
   * any order: none takes the lock of another away.
   */
  async noteFailure(userId: string, failures: number, lockedUntil: Date | null): Promise<void> {
    await this.#knex.raw(
      'UPDATE users SET failed_logins = ?, locked_until_at = coalesce(?, locked_until_at) WHERE id = ?',
      [failures, lockedUntil, userId],
    );
  }

  async findCredentials(userId: string): Promise<Pick<LoginRow, 'login' | 'passwordHash'>> {
    const result = await this.#knex.raw('SELECT login, password_hash AS "passwordHash" FROM users WHERE id = ?', [
      userId,
    ]);
    return result.rows[0];
  }

  /**
   * A password of the user's own choice; who was invited becomes active by it.
   *
   * @param oldHash what it replaces, where that is known
   * @returns whether it was set: not where another password came in between, nor for who may not log in
   */
  async setPassword(
    knex: Knex.Transaction,
    { userId, newHash, now, oldHash }: { userId: string; newHash: string; now: Date; oldHash?: string },
  ): Promise<boolean> {
    const result = await knex.raw(
      `UPDATE users SET password_hash = :newHash, is_password_temporary = false, password_changed_at = :now, token_epoch = token_epoch + 1,
         failed_logins = 0, locked_until_at = NULL, status = 'active', updated_at = :now
       WHERE id = :userId AND status IN ('active', 'invited') AND (CAST(:oldHash AS text) IS NULL OR password_hash = :oldHash)`,
      { userId, newHash, now, oldHash: oldHash ?? null },
    );
    return result.rowCount > 0;
  }

  async findSession(sid: string): Promise<SessionRow | undefined> {
    const result = await this.#knex.raw(
      `SELECT s.user_id AS "userId", u.login, coalesce(st.full_name, p.full_name, g.full_name, u.login) AS name,
              array(SELECT role FROM user_roles r WHERE r.user_id = u.id ORDER BY role) AS roles,
              u.token_epoch AS epoch, u.status, s.expires_at AS "expiresAt", s.revoked_at AS "revokedAt"
       FROM user_sessions s JOIN users u ON u.id = s.user_id
       LEFT JOIN staff st ON st.user_id = u.id
       LEFT JOIN students p ON p.user_id = u.id
       LEFT JOIN guardians g ON g.user_id = u.id
       WHERE s.id = ?`,
      [sid],
    );
    return result.rows[0];
  }

  /** Users who have a role and may log in. */
  async activeWithRole(role: Role): Promise<string[]> {
    const result = await this.#knex.raw(
      `SELECT u.id FROM users u JOIN user_roles r ON r.user_id = u.id WHERE r.role = ? AND u.status = 'active' ORDER BY u.id`,
      [role],
    );
    return result.rows.map(({ id }: { id: string }) => id);
  }

  async findContact(
    userId: string,
  ): Promise<
    | { email: string | null; phone: string | null; prefs: Record<string, unknown>; version: number; status: string }
    | undefined
  > {
    const result = await this.#knex.raw('SELECT email, phone, prefs, version, status FROM users WHERE id = ?', [
      userId,
    ]);
    return result.rows[0];
  }

  /** Those of some users who are told by mail, too. */
  async whoWantMails(userIds: readonly string[]): Promise<Set<string>> {
    const result = await this.#knex.raw(
      `SELECT id FROM users WHERE id = ANY(?::uuid[]) AND prefs @> '{"email_notifications": true}'`,
      [userIds as string[]],
    );
    return new Set((result.rows as { id: string }[]).map(({ id }) => id));
  }

  /** Rows behind the scopes T, H, O and C of DOMAIN §1. @param on school date */
  async findScopes(userId: string, on: string): Promise<Scopes> {
    const [people, year, teaches, homerooms, substitutions, ownClass, children] = await Promise.all([
      this.#knex.raw(
        `SELECT (SELECT id FROM staff WHERE user_id = :userId) AS "staffId",
                (SELECT id FROM students WHERE user_id = :userId) AS "studentId",
                (SELECT id FROM guardians WHERE user_id = :userId) AS "guardianId"`,
        { userId },
      ),
      this.#knex.raw('SELECT id, name FROM academic_years WHERE is_current'),
      this.#knex.raw(
        `SELECT cs.id AS "classSubjectId", c.id AS "classId", c.name AS "className", s.id AS "subjectId", s.code AS "subjectCode", s.name AS "subjectName"
         FROM class_subjects cs JOIN staff st ON st.id = cs.staff_id JOIN classes c ON c.id = cs.class_id
         JOIN academic_years y ON y.id = c.academic_year_id AND y.is_current JOIN subjects s ON s.id = cs.subject_id
         WHERE st.user_id = ? ORDER BY c.grade, c.section, s.name`,
        [userId],
      ),
      this.#knex.raw(
        `SELECT c.id, c.name FROM classes c JOIN staff st ON st.id = c.homeroom_staff_id
         JOIN academic_years y ON y.id = c.academic_year_id AND y.is_current
         WHERE st.user_id = ? ORDER BY c.grade, c.section`,
        [userId],
      ),
      // Those to come, too: a login that is kept over midnight has tomorrow's. Who stands in for two in a class has it once.
      this.#knex.raw(
        `SELECT c.id AS "classId", c.name AS "className", t.on_date AS "onDate"
         FROM teacher_substitutions t JOIN staff st ON st.id = t.staff_id JOIN classes c ON c.id = t.class_id
         WHERE st.user_id = :userId AND t.on_date >= :on GROUP BY c.id, t.on_date ORDER BY t.on_date, c.grade, c.section`,
        { userId, on },
      ),
      this.#knex.raw(
        `SELECT c.id, c.name, e.roll_no AS "rollNo" FROM enrollments e JOIN students p ON p.id = e.student_id JOIN classes c ON c.id = e.class_id
         WHERE p.user_id = :userId AND e.starts_on <= :on AND (e.ends_on IS NULL OR e.ends_on >= :on)`,
        { userId, on },
      ),
      this.#knex.raw(
        `SELECT p.id AS "studentId", p.full_name AS name, CASE WHEN p.status <> 'active' THEN p.left_on END AS "leftOn", c.id AS "classId", c.name AS "className", sg.can_pay AS "canPay"
         FROM guardians g JOIN student_guardians sg ON sg.guardian_id = g.id AND sg.can_view AND NOT sg.is_blocked
         JOIN students p ON p.id = sg.student_id
         LEFT JOIN enrollments e ON e.student_id = p.id AND e.starts_on <= :on AND (e.ends_on IS NULL OR e.ends_on >= :on)
         LEFT JOIN classes c ON c.id = e.class_id
         WHERE g.user_id = :userId ORDER BY p.full_name`,
        { userId, on },
      ),
    ]);
    const { staffId, studentId, guardianId } = people.rows[0];
    return {
      academicYear: year.rows[0] ?? null,
      staffId,
      studentId,
      guardianId,
      teaches: teaches.rows as TaughtSubject[],
      homerooms: homerooms.rows as ClassRef[],
      substitutions: substitutions.rows as Substitution[],
      ownClass: ownClass.rows[0] ?? null,
      children: (children.rows as (Omit<Child, 'class'> & { classId: string | null; className: string })[]).map(
        ({ classId, className, ...child }) => ({
          ...child,
          class: classId === null ? null : { id: classId, name: className },
        }),
      ),
    };
  }
}
