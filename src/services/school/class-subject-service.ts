import type { Knex } from 'knex';
import { HasDataError, NotFoundError } from '../../errors/catalogue.ts';
import { type Caller, type Change, FIRST_VERSION, NEXT_VERSION, type WriteThrough } from '../write-through.ts';
import { SCHOOL_COPIES, type School } from './school.ts';
import type { SchoolCaches } from './school-caches.ts';
import { lockClass, requireNoClash, requireStaff, usersOfStaff } from './teaching.ts';

export interface WantedSubject {
  subject_id: string;
  staff_id: string;
  /** Parts of the mark in basis points, 10,000 together. */
  weights: Record<string, number>;
}

export interface ClassSubjectRow extends WantedSubject {
  id: string;
  subject: string;
  staff: string;
  version: number;
}

/** Stores what the buffer holds of these class-subjects, so that the tables tell what is in use. */
export type StoreWork = (classId: string, classSubjectIds: readonly string[]) => Promise<void>;

const FOREIGN_KEY_VIOLATION = '23503';

/** What is taught in a class, and by whom. */
export class ClassSubjectService {
  readonly #writes: WriteThrough;
  readonly #knex: Knex;
  readonly #school: Pick<School, 'today'>;
  readonly #caches: SchoolCaches;
  readonly #storeWork: StoreWork;

  constructor(deps: {
    writes: WriteThrough;
    knex: Knex;
    school: Pick<School, 'today'>;
    caches: SchoolCaches;
    storeWork: StoreWork;
  }) {
    this.#writes = deps.writes;
    this.#knex = deps.knex;
    this.#school = deps.school;
    this.#caches = deps.caches;
    this.#storeWork = deps.storeWork;
  }

  /** By subject's name. */
  list(classId: string): Promise<ClassSubjectRow[]> {
    return subjectsOf(this.#knex, classId);
  }

  /**
   * Replaces what is taught in a class. A subject that stays keeps its id, with its homework and marks.
   *
   * @throws NotFoundError, HasDataError for a subject that is in use and would go, TeacherClashError, StaleVersionError,
   *   FlushPendingError
   */
  async replace(
    caller: Caller,
    classId: string,
    wanted: readonly WantedSubject[],
    ifMatch?: number,
  ): Promise<{ subjects: ClassSubjectRow[]; version: number }> {
    const today = await this.#school.today();
    const change = async ({ knex, emit, record }: Change) => {
      const locked = await lockClass(knex, classId, ifMatch);
      const old = await subjectsOf(knex, classId);
      await requireSubjects(knex, wanted);
      await requireStaff(knex, [...new Set(wanted.map(({ staff_id }) => staff_id))], today, (id) => {
        return `/subjects/${wanted.findIndex(({ staff_id }) => staff_id === id)}/staff_id`;
      });
      const going = old.filter(({ subject_id }) => !wanted.some((subject) => subject.subject_id === subject_id));
      await this.#remove(knex, classId, going);
      for (const subject of wanted) await upsert(knex, caller, classId, subject);
      await requireNoClash(knex, locked);
      const now = await subjectsOf(knex, classId);
      const staffOf = (rows: readonly ClassSubjectRow[]) => new Map(rows.map(({ id, staff_id }) => [id, staff_id]));
      const [before, after] = [staffOf(old), staffOf(now)];
      const moved = [...new Set([...before.keys(), ...after.keys()])].filter((id) => before.get(id) !== after.get(id));
      for (const id of moved) {
        emit({
          name: 'school.assignment.changed',
          aggregateId: id,
          payload: {
            class_id: classId,
            class_subject_id: id,
            from: before.get(id) ?? null,
            staff_id: after.get(id) ?? null,
          },
        });
      }
      record({
        service: 'auth',
        action: 'class.subjects',
        entity: { type: 'class', id: classId },
        before: Object.fromEntries(before),
        after: Object.fromEntries(after),
      });
      const touched = await knex.raw(
        `UPDATE classes SET updated_at = ?, version = ${NEXT_VERSION} WHERE id = ? RETURNING version`,
        [caller.now, classId],
      );
      const concerned = moved.flatMap((id) => [before.get(id) ?? null, after.get(id) ?? null]);
      return { subjects: now, version: touched.rows[0].version as number, users: await usersOfStaff(knex, concerned) };
    };
    const copies = [SCHOOL_COPIES.classes, SCHOOL_COPIES.classSubjects];
    const settle = ({ users }: { users: string[] }) => this.#caches.forget({ copies, users });
    const { subjects, version } = await this.#writes.run(caller, change, {}, { settle });
    return { subjects, version };
  }

  async #remove(knex: Knex, classId: string, going: readonly ClassSubjectRow[]): Promise<void> {
    if (going.length === 0) return;
    const ids = going.map(({ id }) => id);
    await this.#storeWork(classId, ids);
    try {
      // Its lessons go with it; homework, sheets and marks do not.
      await knex.raw('DELETE FROM timetable_slots WHERE class_subject_id = ANY(?::uuid[])', [ids]);
      await knex.raw('DELETE FROM class_subjects WHERE id = ANY(?::uuid[])', [ids]);
    } catch (error) {
      if ((error as { code?: string }).code !== FOREIGN_KEY_VIOLATION) throw error;
      throw new HasDataError({ detail: `in use: ${going.map(({ subject }) => subject).join(', ')}`, cause: error });
    }
  }
}

async function upsert(knex: Knex, caller: Caller, classId: string, wanted: WantedSubject): Promise<void> {
  const weights = JSON.stringify(wanted.weights);
  await knex.raw(
    `INSERT INTO class_subjects AS t (id, class_id, subject_id, staff_id, weights, version)
     VALUES (:id, :classId, :subject_id, :staff_id, CAST(:weights AS jsonb), ${FIRST_VERSION})
     ON CONFLICT (class_id, subject_id) DO UPDATE SET staff_id = excluded.staff_id, weights = excluded.weights,
       version = greatest(t.version + 1, excluded.version)
     WHERE (t.staff_id, t.weights) IS DISTINCT FROM (excluded.staff_id, excluded.weights)`,
    { id: caller.newId(), classId, ...wanted, weights },
  );
}

async function requireSubjects(knex: Knex, wanted: readonly WantedSubject[]): Promise<void> {
  const result = await knex.raw('SELECT id FROM subjects WHERE id = ANY(?::uuid[])', [
    wanted.map(({ subject_id }) => subject_id),
  ]);
  const known = new Set((result.rows as { id: string }[]).map(({ id }) => id));
  const errors = wanted.flatMap(({ subject_id }, index) =>
    known.has(subject_id) ? [] : [{ pointer: `/subjects/${index}/subject_id`, detail: 'is not a subject' }],
  );
  if (errors.length > 0) throw new NotFoundError({ errors });
}

async function subjectsOf(knex: Knex, classId: string): Promise<ClassSubjectRow[]> {
  const result = await knex.raw(
    `SELECT c.id, c.subject_id, s.name AS subject, c.staff_id, p.full_name AS staff, c.weights, c.version
     FROM class_subjects c JOIN subjects s ON s.id = c.subject_id JOIN staff p ON p.id = c.staff_id
     WHERE c.class_id = ? ORDER BY s.name`,
    [classId],
  );
  return result.rows;
}
