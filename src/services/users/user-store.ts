import type { Knex } from 'knex';
import type { Role } from '../../lib/actor.ts';

export type UserStatus = 'invited' | 'active' | 'suspended' | 'archived';

/** A user as the API shows it; people by the names of their columns. */
export interface UserRow {
  id: string;
  login: string;
  email: string | null;
  status: UserStatus;
  is_password_temporary: boolean;
  roles: Role[];
  name: string;
  staff: Record<string, unknown> | null;
  student: Record<string, unknown> | null;
  guardian: Record<string, unknown> | null;
  last_login_at: string | null;
  created_at: string;
  version: number;
}

export interface UserFilter {
  role?: Role;
  /** Part of the login, the name or the e-mail address. */
  q?: string;
  /** Students of the class, their guardians and its teachers. */
  class_id?: string;
  status?: UserStatus;
  limit: number;
  /** Login, in small letters, and id of the last one of the page before. */
  after?: { value: unknown; id: string };
}

export interface LockedUser {
  login: string;
  email: string | null;
  status: UserStatus;
  hasPassword: boolean;
  roles: Role[];
  version: number;
}

/**
 * SQL for the version of a changed row of `users`. The profile entity's buffered writes have this column for their guard, and
 * their versions are instants: one accepted while this change runs must stay the newer one, so this rises by one only.
 */
export const NEXT_USER_VERSION = 'version + 1';

const SELECT = `
  SELECT u.id, u.login, u.email, u.status, u.is_password_temporary, u.last_login_at, u.created_at, u.version,
    array(SELECT role FROM user_roles r WHERE r.user_id = u.id ORDER BY role) AS roles,
    coalesce(st.full_name, p.full_name, g.full_name, u.login) AS name,
    CASE WHEN st.id IS NOT NULL THEN json_build_object('id', st.id, 'employee_no', st.employee_no, 'full_name', st.full_name,
      'designation', st.designation, 'department', st.department, 'joined_on', st.joined_on, 'left_on', st.left_on,
      'licence_no', st.licence_no, 'licence_expires_on', st.licence_expires_on) END AS staff,
    CASE WHEN p.id IS NOT NULL THEN json_build_object('id', p.id, 'admission_no', p.admission_no, 'full_name', p.full_name) END AS student,
    CASE WHEN g.id IS NOT NULL THEN json_build_object('id', g.id, 'full_name', g.full_name, 'phone', g.phone, 'email', g.email) END AS guardian
  FROM users u LEFT JOIN staff st ON st.user_id = u.id LEFT JOIN students p ON p.user_id = u.id LEFT JOIN guardians g ON g.user_id = u.id`;

const IN_CLASS = `(
  EXISTS (SELECT 1 FROM enrollments e WHERE e.class_id = :class_id AND e.starts_on <= :on AND (e.ends_on IS NULL OR e.ends_on >= :on)
    AND (e.student_id = p.id OR EXISTS (SELECT 1 FROM student_guardians sg
      WHERE sg.student_id = e.student_id AND sg.guardian_id = g.id AND NOT sg.is_blocked)))
  OR EXISTS (SELECT 1 FROM class_subjects cs WHERE cs.class_id = :class_id AND cs.staff_id = st.id)
  OR EXISTS (SELECT 1 FROM classes c WHERE c.id = :class_id AND c.homeroom_staff_id = st.id))`;

const CONTAINS_Q = `(lower(u.login) LIKE lower(:pattern) OR lower(coalesce(st.full_name, p.full_name, g.full_name, '')) LIKE lower(:pattern)
  OR lower(coalesce(u.email, '')) LIKE lower(:pattern))`;

const ORDER = 'lower(u.login) COLLATE "C"';

const patternOf = (q: string): string => `%${q.replaceAll(/[\\%_]/g, '\\$&')}%`;

/** Questions about users to PostgreSQL, and the locks of those who change them. */
export class UserStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  transaction<T>(work: (knex: Knex.Transaction) => Promise<T>): Promise<T> {
    return this.#knex.transaction(work);
  }

  /** By login. @param on school date, for the members of a class */
  async list({ role, q, class_id, status, limit, after }: UserFilter, on: string): Promise<UserRow[]> {
    const conditions = [
      ...(role ? ['EXISTS (SELECT 1 FROM user_roles r WHERE r.user_id = u.id AND r.role = :role)'] : []),
      ...(status ? ['u.status = :status'] : []),
      ...(q ? [CONTAINS_Q] : []),
      ...(class_id ? [IN_CLASS] : []),
      ...(after ? [`(${ORDER}, u.id) > (CAST(:value AS text) COLLATE "C", CAST(:id AS uuid))`] : []),
    ];
    const result = await this.#knex.raw(
      `${SELECT} ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''} ORDER BY ${ORDER}, u.id LIMIT :limit`,
      {
        role: role ?? null,
        status: status ?? null,
        pattern: q ? patternOf(q) : null,
        class_id: class_id ?? null,
        on,
        value: after ? String(after.value) : null,
        id: after?.id ?? null,
        limit,
      },
    );
    return result.rows;
  }

  /** @param knex the transaction whose changes are to be seen, if any */
  async find(id: string, knex: Knex = this.#knex): Promise<UserRow | undefined> {
    const result = await knex.raw(`${SELECT} WHERE u.id = ?`, [id]);
    return result.rows[0];
  }

  /** Keeps others from changing a user until the transaction ends. */
  async lock(knex: Knex.Transaction, id: string): Promise<LockedUser | undefined> {
    const locked = await knex.raw(
      `SELECT login, email, status, password_hash IS NOT NULL AS "hasPassword", version FROM users WHERE id = ? FOR NO KEY UPDATE`,
      [id],
    );
    const user = locked.rows[0];
    if (!user) return undefined;
    // Its own statement: one that waited for the lock still has the roles of before.
    const roles = await knex.raw('SELECT role FROM user_roles WHERE user_id = ? ORDER BY role', [id]);
    return { ...user, roles: roles.rows.map(({ role }: { role: Role }) => role) };
  }

  /**
   * Keeps others from taking an admin away until the transaction ends: whoever wants to locks the same rows, in one order.
   */
  async lockAdmins(knex: Knex.Transaction): Promise<void> {
    await knex.raw(
      `SELECT id FROM users WHERE id IN (SELECT user_id FROM user_roles WHERE role = 'admin') ORDER BY id FOR NO KEY UPDATE`,
    );
  }

  /** Active admins besides one; asked after `lockAdmins`. */
  async countOtherAdmins(knex: Knex.Transaction, id: string): Promise<number> {
    const result = await knex.raw(
      `SELECT count(*)::int AS count FROM users u JOIN user_roles r ON r.user_id = u.id AND r.role = 'admin'
       WHERE u.status = 'active' AND u.id <> ?`,
      [id],
    );
    return result.rows[0].count;
  }

  /** @returns false when the row is there already: the request is a repetition of one whose answer was lost */
  async insert(
    knex: Knex.Transaction,
    user: { id: string; login: string; email: string | null; status: UserStatus; now: Date; firstVersion: string },
  ): Promise<boolean> {
    const { firstVersion, ...values } = user;
    const result = await knex.raw(
      `INSERT INTO users (id, login, email, status, created_at, updated_at, version)
       VALUES (:id, :login, :email, :status, :now, :now, ${firstVersion}) ON CONFLICT (id) DO NOTHING`,
      values,
    );
    return result.rowCount > 0;
  }

  /** Changes columns by their names. */
  async update(knex: Knex.Transaction, id: string, columns: Record<string, unknown>, now: Date): Promise<void> {
    await knex('users')
      .where({ id })
      .update({ ...columns, updated_at: now, version: knex.raw(NEXT_USER_VERSION) });
  }

  /** Somebody else's choice: whoever was invited can log in with it. A suspended account stays suspended. */
  async setTemporaryPassword(
    knex: Knex.Transaction,
    change: { userId: string; passwordHash: string; now: Date },
  ): Promise<void> {
    await knex.raw(
      `UPDATE users SET password_hash = :passwordHash, is_password_temporary = true, password_changed_at = :now, token_epoch = token_epoch + 1,
         failed_logins = 0, locked_until_at = NULL, status = CASE status WHEN 'invited' THEN 'active' ELSE status END, updated_at = :now,
         version = ${NEXT_USER_VERSION}
       WHERE id = :userId`,
      change,
    );
  }

  async setRoles(
    knex: Knex.Transaction,
    { userId, roles, grantedBy, now }: { userId: string; roles: readonly Role[]; grantedBy: string; now: Date },
  ): Promise<void> {
    await knex.raw('DELETE FROM user_roles WHERE user_id = ? AND role <> ALL(?::text[])', [userId, [...roles]]);
    await knex.raw(
      `INSERT INTO user_roles (user_id, role, granted_by, granted_at)
       SELECT ?, role, ?, ? FROM unnest(?::text[]) AS role ON CONFLICT (user_id, role) DO NOTHING`,
      [userId, grantedBy, now, [...roles]],
    );
  }
}
