import type { Knex } from 'knex';
import type { Audience } from './announcement.ts';

/** One page of recipients: the whole school is thousands of people, who are never held together. */
const PAGE = 500;

/** A class on a date: its students, their guardians who are to be notified and may see them, and its teachers. */
const OF_CLASS = `
  WITH enrolled AS (
    SELECT student_id FROM enrollments WHERE class_id = :class_id AND starts_on <= :on AND (ends_on IS NULL OR ends_on >= :on))
  SELECT p.user_id FROM enrolled e JOIN students p ON p.id = e.student_id
  UNION SELECT g.user_id FROM enrolled e JOIN student_guardians sg ON sg.student_id = e.student_id
    AND sg.is_notified AND sg.can_view AND NOT sg.is_blocked JOIN guardians g ON g.id = sg.guardian_id
  UNION SELECT s.user_id FROM staff s WHERE s.id IN (
    SELECT homeroom_staff_id FROM classes WHERE id = :class_id
    UNION SELECT staff_id FROM class_subjects WHERE class_id = :class_id
    UNION SELECT staff_id FROM teacher_substitutions WHERE class_id = :class_id AND on_date = :on)`;

const IDS: Record<Audience['audience'], string> = {
  school: 'SELECT user_id FROM user_roles',
  role: 'SELECT user_id FROM user_roles WHERE role = :role',
  class: OF_CLASS,
};

/**
 * Logins of those whom an announcement is for, page by page; its author knows already.
 *
 * @param on school date: who is in the class and who stands in for its teachers on that day
 */
export async function* recipientsOf(
  knex: Knex,
  { audience, class_id, role, author_id }: Audience & { author_id: string },
  on: string,
): AsyncGenerator<readonly string[]> {
  let after: string | null = null;
  for (;;) {
    const { rows }: { rows: { id: string }[] } = await knex.raw(
      `SELECT u.id FROM users u WHERE u.status = 'active' AND u.id <> :author_id AND u.id IN (${IDS[audience]})
         AND (CAST(:after AS uuid) IS NULL OR u.id > :after) ORDER BY u.id LIMIT ${PAGE}`,
      { class_id, role, author_id, on, after } as Record<string, Knex.Value>,
    );
    if (rows.length > 0) yield rows.map(({ id }) => id);
    if (rows.length < PAGE) return;
    after = rows.at(-1)!.id;
  }
}
