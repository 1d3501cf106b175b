import type { Knex } from 'knex';
import { NotFoundError, TeacherClashError } from '../../errors/catalogue.ts';
import { requireVersion } from '../write-through.ts';

export interface LockedClass {
  id: string;
  name: string;
  version: number;
  academicYearId: string;
  yearStartsOn: string;
  yearEndsOn: string;
}

/** Locks a class for a change of what is taught in it. @throws NotFoundError, StaleVersionError */
export async function lockClass(knex: Knex, id: string, ifMatch?: number): Promise<LockedClass> {
  const result = await knex.raw(
    `SELECT c.id, c.name, c.version, c.academic_year_id AS "academicYearId", y.starts_on AS "yearStartsOn", y.ends_on AS "yearEndsOn"
     FROM classes c JOIN academic_years y ON y.id = c.academic_year_id WHERE c.id = ? FOR NO KEY UPDATE OF c`,
    [id],
  );
  if (!result.rows[0]) throw new NotFoundError();
  requireVersion(ifMatch, result.rows[0].version);
  return result.rows[0];
}

/**
 * @param on school date: who leaves later is still there
 * @param pointerOf where in the request a person is named
 * @throws NotFoundError for who is not, or no longer, staff
 */
export async function requireStaff(
  knex: Knex,
  ids: readonly string[],
  on: string,
  pointerOf: (id: string) => string,
): Promise<void> {
  const result = await knex.raw(
    'SELECT id FROM staff WHERE id = ANY(?::uuid[]) AND (left_on IS NULL OR left_on >= CAST(? AS date))',
    [[...ids], on],
  );
  const known = new Set((result.rows as { id: string }[]).map(({ id }) => id));
  const errors = ids
    .filter((id) => !known.has(id))
    .map((id) => ({ pointer: pointerOf(id), detail: 'is nobody of the staff' }));
  if (errors.length > 0) throw new NotFoundError({ errors });
}

/**
 * One lesson for a teacher at a time, in all classes of a year. Called when the class is as it is wanted: whoever gives lessons
 * in it is locked first, so that another class' change waits and then sees this one.
 *
 * @throws TeacherClashError naming weekday, period and the other class
 */
export async function requireNoClash(knex: Knex, { id, academicYearId }: LockedClass): Promise<void> {
  // In one order: two changes that share two teachers do not wait for each other in a circle.
  await knex.raw(
    `SELECT 1 FROM staff WHERE id IN (SELECT staff_id FROM class_subjects WHERE class_id = ?) ORDER BY id FOR NO KEY UPDATE`,
    [id],
  );
  const result = await knex.raw(
    `SELECT mine.weekday, mine.period_no AS "periodNo", c.name AS "className"
     FROM timetable_slots mine
     JOIN class_subjects taught ON taught.id = mine.class_subject_id
     JOIN class_subjects elsewhere ON elsewhere.staff_id = taught.staff_id AND elsewhere.class_id <> mine.class_id
     JOIN timetable_slots other ON other.class_subject_id = elsewhere.id
       AND other.weekday = mine.weekday AND other.period_no = mine.period_no
     JOIN classes c ON c.id = other.class_id AND c.academic_year_id = :academicYearId
     WHERE mine.class_id = :id ORDER BY mine.weekday, mine.period_no, c.name LIMIT 10`,
    { id, academicYearId },
  );
  const clashes = result.rows as { weekday: number; periodNo: number; className: string }[];
  if (clashes.length === 0) return;
  throw new TeacherClashError({
    detail: clashes
      .map(({ weekday, periodNo, className }) => `weekday ${weekday}, period ${periodNo}: teaches in ${className}`)
      .join('; '),
  });
}

/** Users behind members of staff: their scopes follow from what they teach. */
export async function usersOfStaff(knex: Knex, staffIds: readonly (string | null)[]): Promise<string[]> {
  const ids = staffIds.filter((id) => id !== null);
  const result = await knex.raw('SELECT user_id AS id FROM staff WHERE id = ANY(?::uuid[])', [ids]);
  return (result.rows as { id: string }[]).map(({ id }) => id);
}
