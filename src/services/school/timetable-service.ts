import type { Knex } from 'knex';
import { NotFoundError } from '../../errors/catalogue.ts';
import { type Caller, NEXT_VERSION, type WriteThrough } from '../write-through.ts';
import { SCHOOL_COPIES } from './school.ts';
import type { SchoolCaches } from './school-caches.ts';
import { lockClass, requireNoClash } from './teaching.ts';

export interface Slot {
  /** ISO: 1 Monday … 7 Sunday. */
  weekday: number;
  period_no: number;
  class_subject_id: string;
  /** Wall clock at school, `HH:MM`. */
  starts_at: string;
  ends_at: string;
}

export interface SlotView extends Slot {
  subject: string;
  staff_id: string;
}

export interface Timetable {
  slots: SlotView[];
  /** The class's. */
  version: number;
}

/** The week of a class. */
export class TimetableService {
  readonly #writes: WriteThrough;
  readonly #knex: Knex;
  readonly #caches: SchoolCaches;

  constructor(deps: { writes: WriteThrough; knex: Knex; caches: SchoolCaches }) {
    this.#writes = deps.writes;
    this.#knex = deps.knex;
    this.#caches = deps.caches;
  }

  /** @throws NotFoundError */
  async get(classId: string): Promise<Timetable> {
    const result = await this.#knex.raw('SELECT version FROM classes WHERE id = ?', [classId]);
    if (!result.rows[0]) throw new NotFoundError();
    return { slots: await slotsOf(this.#knex, classId), version: result.rows[0].version };
  }

  /**
   * Replaces the week of a class.
   *
   * @throws NotFoundError for an unknown class or a class-subject of another, TeacherClashError, StaleVersionError
   */
  async replace(caller: Caller, classId: string, slots: readonly Slot[], ifMatch?: number): Promise<Timetable> {
    const timetable = await this.#writes.run(caller, async ({ knex, emit, record }) => {
      const locked = await lockClass(knex, classId, ifMatch);
      const own = await knex.raw('SELECT id FROM class_subjects WHERE class_id = ?', [classId]);
      const ids = new Set((own.rows as { id: string }[]).map(({ id }) => id));
      const errors = slots.flatMap(({ class_subject_id }, index) =>
        ids.has(class_subject_id)
          ? []
          : [{ pointer: `/slots/${index}/class_subject_id`, detail: 'is not taught in this class' }],
      );
      if (errors.length > 0) throw new NotFoundError({ errors });
      await knex.raw('DELETE FROM timetable_slots WHERE class_id = ?', [classId]);
      const rows = slots.map((slot) => ({ id: caller.newId(), class_id: classId, ...slot }));
      if (rows.length > 0) await knex('timetable_slots').insert(rows);
      await requireNoClash(knex, locked);
      const changed = await knex.raw(
        `UPDATE classes SET updated_at = ?, version = ${NEXT_VERSION} WHERE id = ? RETURNING version`,
        [caller.now, classId],
      );
      emit({ name: 'school.timetable.changed', aggregateId: classId, payload: { class_id: classId } });
      record({
        service: 'auth',
        action: 'class.timetable',
        entity: { type: 'class', id: classId },
        after: { slots: slots.length },
      });
      return { slots: await slotsOf(knex, classId), version: changed.rows[0].version };
    });
    // Its version is in the list of classes.
    await this.#caches.forget({ copies: [SCHOOL_COPIES.classes] });
    return timetable;
  }
}

async function slotsOf(knex: Knex, classId: string): Promise<SlotView[]> {
  const result = await knex.raw(
    `SELECT t.weekday, t.period_no, t.class_subject_id, to_char(t.starts_at, 'HH24:MI') AS starts_at,
            to_char(t.ends_at, 'HH24:MI') AS ends_at, s.name AS subject, c.staff_id
     FROM timetable_slots t JOIN class_subjects c ON c.id = t.class_subject_id JOIN subjects s ON s.id = c.subject_id
     WHERE t.class_id = ? ORDER BY t.weekday, t.period_no`,
    [classId],
  );
  return result.rows;
}
