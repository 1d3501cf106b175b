import type { Knex } from 'knex';
import { HasDataError, NotFoundError } from '../../errors/catalogue.ts';
import { type Caller, FIRST_VERSION, NEXT_VERSION, type WriteThrough } from '../write-through.ts';
import { seatsTaken } from './enrolment-service.ts';
import { SCHOOL_COPIES, type School, type SchoolClass } from './school.ts';
import type { SchoolCaches } from './school-caches.ts';
import { lockClass, requireStaff, usersOfStaff } from './teaching.ts';

export interface SubjectFields {
  code: string;
  name: string;
  is_elective: boolean;
}
export interface SubjectRow extends SubjectFields {
  id: string;
}

export interface ClassFields {
  section: string;
  name: string;
  capacity: number;
  homeroom_staff_id: string | null;
  room: string | null;
}
export interface NewClass extends Omit<ClassFields, 'name'> {
  academic_year_id: string;
  grade: number;
  name?: string;
}
export interface ClassRow extends ClassFields {
  id: string;
  academic_year_id: string;
  grade: number;
  version: number;
}

const CLASS = 'id, academic_year_id, grade, section, name, capacity, homeroom_staff_id, room, version';
const SUBJECT_UNIQUES = { subjects_code_uq: '/code' };
const CLASS_UNIQUES = { classes_academic_year_id_grade_section_uq: '/section' };

/** Classes, and the school's list of subjects. */
export class ClassService {
  readonly #writes: WriteThrough;
  readonly #knex: Knex;
  readonly #school: School;
  readonly #caches: SchoolCaches;

  constructor(deps: { writes: WriteThrough; knex: Knex; school: School; caches: SchoolCaches }) {
    this.#writes = deps.writes;
    this.#knex = deps.knex;
    this.#school = deps.school;
    this.#caches = deps.caches;
  }

  /** By grade and section. The current year's are kept, and there while the database is away. */
  async list(yearId: string | undefined): Promise<ClassRow[]> {
    if (yearId === undefined) return (await this.#school.classes()).map(rowOf);
    const result = await this.#knex.raw(
      `SELECT ${CLASS} FROM classes WHERE academic_year_id = ? ORDER BY grade, section`,
      [yearId],
    );
    return result.rows;
  }

  /**
   * Names of the current year's, from the table itself: what a process remembers may be a second old, which a job must not
   * refuse rows for.
   */
  async currentNames(): Promise<{ id: string; name: string }[]> {
    const result = await this.#knex.raw(
      'SELECT c.id, c.name FROM classes c JOIN academic_years y ON y.id = c.academic_year_id WHERE y.is_current',
    );
    return result.rows;
  }

  /** @throws NotFoundError */
  async get(id: string): Promise<ClassRow> {
    return findClass(this.#knex, id);
  }

  /** @throws NotFoundError for an unknown year or nobody of the staff, TakenError */
  async create(caller: Caller, { name, ...fields }: NewClass): Promise<ClassRow> {
    const id = caller.newId();
    const today = await this.#school.today();
    const { row } = await this.#writes.run(
      caller,
      async ({ knex, emit, record }) => {
        const year = await knex.raw('SELECT 1 FROM academic_years WHERE id = ?', [fields.academic_year_id]);
        if (!year.rows[0])
          throw new NotFoundError({ errors: [{ pointer: '/academic_year_id', detail: 'is not a year' }] });
        await requireHomeroom(knex, fields.homeroom_staff_id, today);
        await knex('classes').insert({
          id,
          ...fields,
          name: name ?? `${fields.grade} ${fields.section}`,
          created_at: caller.now,
          updated_at: caller.now,
          version: knex.raw(FIRST_VERSION),
        });
        if (fields.homeroom_staff_id) emit(homeroomEvent(id, null, fields.homeroom_staff_id));
        emit(classChanged(id));
        record({ service: 'auth', action: 'class.create', entity: { type: 'class', id }, after: fields });
        return { row: await findClass(knex, id), users: await usersOfStaff(knex, [fields.homeroom_staff_id]) };
      },
      CLASS_UNIQUES,
      { settle: ({ users }) => this.#caches.forget({ copies: [SCHOOL_COPIES.classes], users }) },
    );
    return row;
  }

  /** @throws NotFoundError, TakenError, StaleVersionError, HasDataError for fewer seats than are taken */
  async update(caller: Caller, id: string, changes: Partial<ClassFields>, ifMatch?: number): Promise<ClassRow> {
    const today = await this.#school.today();
    const { row } = await this.#writes.run(
      caller,
      async ({ knex, emit, record }) => {
        await lockClass(knex, id, ifMatch);
        const before = await findClass(knex, id);
        await requireHomeroom(knex, changes.homeroom_staff_id ?? null, today);
        if (changes.capacity !== undefined && changes.capacity < before.capacity) {
          const taken = await seatsTaken(knex, id, today);
          if (changes.capacity < taken)
            throw new HasDataError({ errors: [{ pointer: '/capacity', detail: `${taken} seats are taken` }] });
        }
        await knex('classes')
          .where({ id })
          .update({ ...changes, updated_at: caller.now, version: knex.raw(NEXT_VERSION) });
        const after = await findClass(knex, id);
        const [from, to] = [before.homeroom_staff_id, after.homeroom_staff_id];
        if (from !== to) emit(homeroomEvent(id, from, to));
        const isRenamed = before.name !== after.name;
        if (isRenamed) emit(classChanged(id));
        record({ service: 'auth', action: 'class.update', entity: { type: 'class', id }, after: changes });
        return { row: after, isRenamed, users: from === to ? [] : await usersOfStaff(knex, [from, to]) };
      },
      CLASS_UNIQUES,
      {
        settle: async ({ isRenamed, users }) => {
          await this.#caches.forget({ copies: [SCHOOL_COPIES.classes], users });
          if (isRenamed) await this.#caches.forgetClass(id);
        },
      },
    );
    return row;
  }

  /** @throws TakenError */
  async createSubject(caller: Caller, fields: SubjectFields): Promise<SubjectRow> {
    const row = { id: caller.newId(), ...fields };
    await this.#writes.run(
      caller,
      async ({ knex, record }) => {
        await knex('subjects').insert(row);
        record({ service: 'auth', action: 'subject.create', entity: { type: 'subject', id: row.id }, after: fields });
      },
      SUBJECT_UNIQUES,
    );
    await this.#caches.forget({ copies: [SCHOOL_COPIES.subjects] });
    return row;
  }

  /** @throws NotFoundError, TakenError */
  async updateSubject(caller: Caller, id: string, changes: Partial<SubjectFields>): Promise<SubjectRow> {
    const row = await this.#writes.run(
      caller,
      async ({ knex, emit, record }) => {
        const [changed] = await knex('subjects')
          .where({ id })
          .update(changes)
          .returning(['id', 'code', 'name', 'is_elective']);
        if (!changed) throw new NotFoundError();
        emit({ name: 'school.subject.changed', aggregateId: id, payload: { subject_id: id } });
        record({ service: 'auth', action: 'subject.update', entity: { type: 'subject', id }, after: changes });
        return changed as SubjectRow;
      },
      SUBJECT_UNIQUES,
      { settle: () => this.#caches.forgetSubject(id) },
    );
    return row;
  }
}

const rowOf = ({ academicYearId, homeroomStaffId, ...rest }: SchoolClass): ClassRow => ({
  ...rest,
  academic_year_id: academicYearId,
  homeroom_staff_id: homeroomStaffId,
});

async function findClass(knex: Knex, id: string): Promise<ClassRow> {
  const result = await knex.raw(`SELECT ${CLASS} FROM classes WHERE id = ?`, [id]);
  if (!result.rows[0]) throw new NotFoundError();
  return result.rows[0];
}

async function requireHomeroom(knex: Knex, staffId: string | null, today: string): Promise<void> {
  if (staffId !== null) await requireStaff(knex, [staffId], today, () => '/homeroom_staff_id');
}

/** There is a new one, or it has another name. */
const classChanged = (id: string) => ({
  name: 'school.class.changed' as const,
  aggregateId: id,
  payload: { class_id: id },
});

const homeroomEvent = (classId: string, from: string | null, to: string | null) => ({
  name: 'school.assignment.changed' as const,
  aggregateId: classId,
  payload: { class_id: classId, class_subject_id: null, from, staff_id: to },
});
