import { UnprocessableError } from '../../errors/catalogue.ts';
import type { Caller, WriteThrough } from '../write-through.ts';
import type { School } from './school.ts';
import type { SchoolCaches } from './school-caches.ts';
import { lockClass, requireStaff, usersOfStaff } from './teaching.ts';

export interface NewSubstitution {
  on_date: string;
  absent_staff_id: string;
  staff_id: string;
}

export interface SubstitutionRow extends NewSubstitution {
  id: string;
  class_id: string;
}

const UNIQUES = { teacher_substitutions_class_id_on_date_absent_staff_id_uq: '/absent_staff_id' };

/** Teachers who stand in for others: they hold T and H of the class on that date only. */
export class SubstitutionService {
  readonly #writes: WriteThrough;
  readonly #school: School;
  readonly #caches: SchoolCaches;

  constructor(deps: { writes: WriteThrough; school: School; caches: SchoolCaches }) {
    this.#writes = deps.writes;
    this.#school = deps.school;
    this.#caches = deps.caches;
  }

  /**
   * @throws NotFoundError for an unknown class or nobody of the staff; UnprocessableError for a past day, a day outside the
   *   class's year, or somebody who has nothing to do there; TakenError when the absent one is substituted already
   */
  async create(caller: Caller, classId: string, wanted: NewSubstitution): Promise<SubstitutionRow> {
    const today = await this.#school.today();
    const row = { id: caller.newId(), class_id: classId, ...wanted };
    await this.#writes.run(
      caller,
      async ({ knex, emit, record }) => {
        const { yearStartsOn, yearEndsOn } = await lockClass(knex, classId);
        if (wanted.on_date < today) throw refusal('/on_date', 'is over');
        if (wanted.on_date < yearStartsOn || wanted.on_date > yearEndsOn)
          throw refusal('/on_date', "is not in the class's year");
        const { absent_staff_id, staff_id } = wanted;
        await requireStaff(knex, [absent_staff_id, staff_id], wanted.on_date, (id) =>
          id === staff_id ? '/staff_id' : '/absent_staff_id',
        );
        const works = await knex.raw(
          `SELECT 1 FROM class_subjects WHERE class_id = :classId AND staff_id = :staffId
           UNION ALL SELECT 1 FROM classes WHERE id = :classId AND homeroom_staff_id = :staffId LIMIT 1`,
          { classId, staffId: absent_staff_id },
        );
        if (works.rows.length === 0) throw refusal('/absent_staff_id', 'neither teaches nor leads this class');
        await knex('teacher_substitutions').insert({ ...row, granted_by: caller.actor.userId });
        emit({
          name: 'school.assignment.changed',
          aggregateId: classId,
          payload: { class_id: classId, class_subject_id: null, ...wanted },
        });
        record({
          service: 'auth',
          action: 'class.substitution',
          entity: { type: 'class', id: classId },
          after: wanted,
        });
        return usersOfStaff(knex, [staff_id]);
      },
      UNIQUES,
      { settle: (users) => this.#caches.forget({ users }) },
    );
    return row;
  }
}

const refusal = (pointer: string, detail: string): Error => new UnprocessableError({ errors: [{ pointer, detail }] });
