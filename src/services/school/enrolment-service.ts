import type { Knex } from 'knex';
import {
  BadStateError,
  ClassFullError,
  DateOverlapError,
  NotFoundError,
  UnprocessableError,
} from '../../errors/catalogue.ts';
import { addDays } from '../../lib/clock.ts';
import { type Caller, type Change, NEXT_VERSION, requireVersion, type WriteThrough } from '../write-through.ts';
import type { Departures, OpenObligations } from './departures.ts';
import type { SchoolCaches } from './school-caches.ts';
import type { EnrolmentRow, StudentRow, StudentStore } from './student-store.ts';

export interface NewEnrolment {
  classId: string;
  startsOn: string;
}

export interface Placed {
  enrolment: EnrolmentRow;
  /** The class that the student was in until then. */
  from: string | null;
}

export interface Leaving {
  leftOn: string;
  reason: string;
}

interface ClassRow {
  name: string;
  capacity: number;
  yearStartsOn: string;
  yearEndsOn: string;
}

/** Students in classes: joining, moving (A7) and leaving (A6). */
export class EnrolmentService {
  readonly #writes: WriteThrough;
  readonly #store: StudentStore;
  readonly #caches: SchoolCaches;
  readonly #departures: Departures;

  constructor(deps: {
    writes: WriteThrough;
    store: StudentStore;
    caches: SchoolCaches;
    departures: Departures;
  }) {
    this.#writes = deps.writes;
    this.#store = deps.store;
    this.#caches = deps.caches;
    this.#departures = deps.departures;
  }

  /**
   * Puts a student into a class from a day on; the class before it ends the day before (A7).
   *
   * @returns the enrolment and the student's new version
   * @throws NotFoundError, BadStateError for one who has left, DateOverlapError, ClassFullError, StaleVersionError
   */
  async enrol(
    caller: Caller,
    studentId: string,
    wanted: NewEnrolment,
    ifMatch?: number,
  ): Promise<{ enrolment: EnrolmentRow; version: number }> {
    const id = caller.newId();
    const work = async (change: Change) => {
      const locked = await this.lock(change.knex, studentId, wanted.startsOn, ifMatch);
      const done = await this.place(id, change, locked, wanted);
      change.record({
        service: 'auth',
        action: 'student.enrol',
        entity: { type: 'student', id: studentId },
        before: { class_id: done.from },
        after: { class_id: wanted.classId, starts_on: wanted.startsOn },
      });
      return { placed: done, version: await touch(change.knex, studentId, caller.now) };
    };
    const settle = ({ placed }: { placed: Placed }) =>
      this.#caches.forgetMembership(studentId, [placed.from, wanted.classId]);
    const { placed, version } = await this.#writes.run(caller, work, {}, { settle });
    return { enrolment: placed.enrolment, version };
  }

  /**
   * Ends a student's membership on a day, with what other services give it, and lists what is still open (A6).
   *
   * @throws NotFoundError, BadStateError for one who has left already, UnprocessableError for a day before admission
   */
  async leave(
    caller: Caller,
    studentId: string,
    { leftOn, reason }: Leaving,
    ifMatch?: number,
  ): Promise<{ student: StudentRow; open: OpenObligations }> {
    const work = async ({ knex, emit, record }: Change) => {
      const has = await this.#store.find(studentId, leftOn, knex);
      // Said again, as after an answer that was lost.
      if (has?.status === 'left' && has.leftOn === leftOn && has.leaveReason === reason)
        return { student: has, classes: [] };
      const locked = await this.lock(knex, studentId, leftOn, ifMatch);
      if (leftOn < locked.admittedOn) {
        throw new UnprocessableError({ errors: [{ pointer: '/left_on', detail: 'is before the admission' }] });
      }
      const ended = await endMembership(knex, studentId, leftOn);
      await this.#departures.onLeave(knex, studentId, leftOn);
      await knex.raw(
        `UPDATE students SET status = 'left', left_on = :leftOn, leave_reason = :reason, updated_at = :now, version = ${NEXT_VERSION}
         WHERE id = :studentId`,
        { leftOn, reason, now: caller.now, studentId },
      );
      emit({
        name: 'school.enrollment.changed',
        aggregateId: studentId,
        payload: { student_id: studentId, from: locked.classId, to: null, on: addDays(leftOn, 1) },
      });
      record({
        service: 'auth',
        action: 'student.leave',
        entity: { type: 'student', id: studentId },
        before: { status: locked.status, class_id: locked.classId },
        after: { status: 'left', left_on: leftOn },
      });
      return { student: (await this.#store.find(studentId, leftOn, knex))!, classes: ended };
    };
    const settle = ({ classes }: { classes: string[] }) => this.#caches.forgetMembership(studentId, classes);
    const { student } = await this.#writes.run(caller, work, {}, { settle });
    return { student, open: await this.#departures.obligationsOf(studentId) };
  }

  /**
   * Locks a student for a change of its class.
   *
   * @param on date of the class in the answer
   * @throws NotFoundError, BadStateError for one who has left, StaleVersionError
   */
  async lock(knex: Knex, studentId: string, on: string, ifMatch?: number): Promise<StudentRow> {
    await knex.raw('SELECT 1 FROM students WHERE id = ? FOR NO KEY UPDATE', [studentId]);
    const student = await this.#store.find(studentId, on, knex);
    if (!student) throw new NotFoundError();
    requireVersion(ifMatch, student.version);
    if (student.status !== 'active') throw new BadStateError('this student has left');
    return student;
  }

  /** Enrols a locked student inside a change of the caller's. @param id of the new row @throws as `enrol` does */
  async place(
    id: string,
    { knex, emit }: Change,
    student: Pick<StudentRow, 'id' | 'admittedOn'>,
    { classId, startsOn }: NewEnrolment,
  ): Promise<Placed> {
    const target = await lockClass(knex, classId);
    if (startsOn < target.yearStartsOn || startsOn > target.yearEndsOn) throw outside("is not in the class's year");
    if (startsOn < student.admittedOn) throw outside('is before the admission');
    const from = await closeRunning(knex, student.id, classId, startsOn);
    await requireSeat(knex, classId, target.capacity, startsOn);
    // Numbers of those who left are not given again: a class list of any day has each number once.
    const result = await knex.raw(
      `INSERT INTO enrollments (id, student_id, class_id, roll_no, starts_on)
       SELECT :id, :studentId, :classId, coalesce(max(roll_no), 0) + 1, :startsOn FROM enrollments WHERE class_id = :classId
       RETURNING roll_no AS "rollNo"`,
      { id, studentId: student.id, classId, startsOn },
    );
    emit({
      name: 'school.enrollment.changed',
      aggregateId: student.id,
      payload: { student_id: student.id, from, to: classId, on: startsOn },
    });
    const { rollNo } = result.rows[0];
    return { enrolment: { id, classId, className: target.name, rollNo, startsOn, endsOn: null }, from };
  }
}

const outside = (detail: string): Error => new UnprocessableError({ errors: [{ pointer: '/starts_on', detail }] });

/** Whoever takes a seat holds the class until the commit: two cannot take the last one. */
async function lockClass(knex: Knex, classId: string): Promise<ClassRow> {
  const result = await knex.raw(
    `SELECT c.name, c.capacity, y.starts_on AS "yearStartsOn", y.ends_on AS "yearEndsOn"
     FROM classes c JOIN academic_years y ON y.id = c.academic_year_id WHERE c.id = ? FOR NO KEY UPDATE OF c`,
    [classId],
  );
  if (!result.rows[0]) throw new NotFoundError({ errors: [{ pointer: '/class_id', detail: 'is not a class' }] });
  return result.rows[0];
}

/**
 * A7: ends the running enrolment the day before; one that would be empty goes. What lies in the past stays as it is.
 *
 * @returns the class that the student comes from
 */
async function closeRunning(knex: Knex, studentId: string, classId: string, startsOn: string): Promise<string | null> {
  const result = await knex.raw(
    `SELECT id, class_id AS "classId", starts_on AS "startsOn", ends_on AS "endsOn" FROM enrollments
     WHERE student_id = :studentId AND (ends_on IS NULL OR ends_on >= :startsOn)`,
    { studentId, startsOn },
  );
  const later = result.rows as { id: string; classId: string; startsOn: string; endsOn: string | null }[];
  const overlap = (detail: string): Error => new DateOverlapError({ errors: [{ pointer: '/starts_on', detail }] });
  for (const { classId: other, endsOn, startsOn: otherStartsOn } of later) {
    if (endsOn !== null) throw overlap(`lies in an enrolment that ended on ${endsOn}`);
    if (otherStartsOn > startsOn) throw overlap(`is before the running enrolment, which began on ${otherStartsOn}`);
    if (other === classId) throw overlap('the student is in this class already');
  }
  const running = later[0];
  if (!running) return null;
  if (running.startsOn === startsOn) await knex.raw('DELETE FROM enrollments WHERE id = ?', [running.id]);
  else await knex.raw('UPDATE enrollments SET ends_on = ? WHERE id = ?', [addDays(startsOn, -1), running.id]);
  return running.classId;
}

/** @throws ClassFullError when on some day from `startsOn` on all seats are taken by others */
async function requireSeat(knex: Knex, classId: string, capacity: number, startsOn: string): Promise<void> {
  const taken = await seatsTaken(knex, classId, startsOn);
  if (taken >= capacity) {
    throw new ClassFullError({ errors: [{ pointer: '/class_id', detail: `all ${capacity} seats are taken` }] });
  }
}

/** Most members on one day from a date on: numbers only rise on days when somebody joins. */
export async function seatsTaken(knex: Knex, classId: string, from: string): Promise<number> {
  const result = await knex.raw(
    `SELECT max(members)::int AS most FROM (
       SELECT (SELECT count(*) FROM enrollments e WHERE e.class_id = :classId AND e.starts_on <= d.on_date
                 AND (e.ends_on IS NULL OR e.ends_on >= d.on_date)) AS members
       FROM (SELECT CAST(:from AS date) AS on_date
             UNION SELECT starts_on FROM enrollments WHERE class_id = :classId AND starts_on > :from) d) days`,
    { classId, from },
  );
  return result.rows[0].most;
}

/** A6: nothing lasts longer than the day of leaving; what would begin after it goes. @returns the classes concerned */
async function endMembership(knex: Knex, studentId: string, leftOn: string): Promise<string[]> {
  const removed = await knex.raw(
    'DELETE FROM enrollments WHERE student_id = :studentId AND starts_on > :leftOn RETURNING class_id AS "classId"',
    { studentId, leftOn },
  );
  const ended = await knex.raw(
    `UPDATE enrollments SET ends_on = :leftOn WHERE student_id = :studentId AND (ends_on IS NULL OR ends_on > :leftOn)
     RETURNING class_id AS "classId"`,
    { studentId, leftOn },
  );
  return [...removed.rows, ...ended.rows].map(({ classId }: { classId: string }) => classId);
}

/** A student's version also stands for its class and guardians. */
export async function touch(knex: Knex, studentId: string, now: Date): Promise<number> {
  const result = await knex.raw(
    `UPDATE students SET updated_at = ?, version = ${NEXT_VERSION} WHERE id = ? RETURNING version`,
    [now, studentId],
  );
  return result.rows[0].version;
}
