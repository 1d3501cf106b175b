import { HasDataError, NotFoundError, UnprocessableError } from '../../errors/catalogue.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { Position } from '../../stores/postgres/conditions.ts';
import {
  type Caller,
  type Change,
  FIRST_VERSION,
  NEXT_VERSION,
  type Rehearsal,
  requireVersion,
  type WriteThrough,
} from '../write-through.ts';
import type { EnrolmentService } from './enrolment-service.ts';
import type { Files } from './files.ts';
import type { GuardianService, WantedGuardian } from './guardian-service.ts';
import type { School } from './school.ts';
import type { SchoolCaches } from './school-caches.ts';
import { type StudentSight, studentReachOf } from './student-scope.ts';
import type { EnrolmentRow, GuardianLink, StudentFilter, StudentRow, StudentStore } from './student-store.ts';

/** What an admin says of a student; the row's own columns. */
export interface StudentFields {
  admission_no: string;
  full_name: string;
  birth_on: string;
  gender: string | null;
  house: string | null;
  admitted_on: string;
  photo_file_id: string | null;
}

export interface NewStudent extends Omit<StudentFields, 'admitted_on'> {
  admitted_on?: string;
  guardians: WantedGuardian[];
  class_id?: string;
  /** First day in the class; the admission unless told. */
  starts_on?: string;
}

export interface SeenStudent {
  student: StudentRow;
  sight: StudentSight;
}

export interface StudentDetail extends SeenStudent {
  guardians: GuardianLink[];
  enrolments: EnrolmentRow[];
}

type Reader = Pick<RequestContext, 'actor' | 'reach' | 'namedReach'>;

const UNIQUES = { students_admission_no_uq: '/admission_no' };

/** Students as rows of the school's books. */
export class StudentService {
  readonly #writes: WriteThrough;
  readonly #store: StudentStore;
  readonly #school: School;
  readonly #caches: SchoolCaches;
  readonly #enrolment: EnrolmentService;
  readonly #guardians: GuardianService;
  readonly #files: Files;

  constructor(deps: {
    writes: WriteThrough;
    store: StudentStore;
    school: School;
    caches: SchoolCaches;
    enrolment: EnrolmentService;
    guardians: GuardianService;
    files: Files;
  }) {
    this.#writes = deps.writes;
    this.#store = deps.store;
    this.#school = deps.school;
    this.#caches = deps.caches;
    this.#enrolment = deps.enrolment;
    this.#guardians = deps.guardians;
    this.#files = deps.files;
  }

  /** Sorted by name, with the class of today. */
  async list(caller: Reader, filter: StudentFilter): Promise<{ items: SeenStudent[]; next?: Position }> {
    const on = await this.#school.today();
    const reach = await studentReachOf(caller);
    const rows = await this.#store.list(reach.condition, filter, on);
    const page = rows.slice(0, filter.limit);
    const last = page.at(-1);
    return {
      items: page.map((student) => ({ student, sight: reach.sightOf(student)! })),
      ...(rows.length > page.length && last ? { next: { value: last.sortName, id: last.id } } : {}),
    };
  }

  /** @throws NotFoundError when there is none in the caller's scope */
  async get(caller: Reader, id: string): Promise<StudentDetail> {
    const on = await this.#school.today();
    const reach = await studentReachOf(caller);
    const student = await this.#store.find(id, on);
    const sight = student && reach.sightOf(student);
    if (!student || !sight) throw new NotFoundError();
    if (sight === 'narrow') return { student, sight, guardians: [], enrolments: [] };
    const [guardians, enrolments] = await Promise.all([this.#store.guardians(id), this.#store.enrolments(id)]);
    // Whom the school keeps from the child is its own business: families are not told.
    return {
      student,
      sight,
      guardians: guardians.filter(({ isBlocked }) => sight === 'staff' || !isBlocked),
      enrolments,
    };
  }

  /**
   * Admits a student with guardians and, if a class is named, a seat in it: all or nothing.
   *
   * @throws TakenError, ClassFullError, NotFoundError, FileNotReadyError, FileTypeError, UnprocessableError
   */
  async create(caller: Caller, input: NewStudent): Promise<StudentDetail> {
    const id = caller.newId();
    const today = await this.#school.today();
    await this.#requirePhoto(caller, input.photo_file_id);
    return this.#writes.run(
      caller,
      async (change) => {
        await this.#admit(change, caller, id, input, today);
        const [student, guardians, enrolments] = [
          (await this.#store.find(id, today, change.knex))!,
          await this.#store.guardians(id, change.knex),
          await this.#store.enrolments(id, change.knex),
        ];
        return { student, sight: 'staff' as const, guardians, enrolments };
      },
      UNIQUES,
      { settle: ({ guardians }) => this.#forgetAdmission(id, input, guardians) },
    );
  }

  /**
   * Admits one student of many: the same as `create`, but guardians of the school are recognised by name and phone.
   *
   * @param id the same for every attempt: who is there already is left alone
   * @throws as `create` does
   */
  async createOfMany(caller: Caller, id: string, input: NewStudent): Promise<void> {
    const today = await this.#school.today();
    await this.#writes.run(
      caller,
      async (change) => {
        await this.#admitOfMany(change, caller, id, input, today);
        return input.guardians.length > 0 ? await this.#store.guardians(id, change.knex) : [];
      },
      UNIQUES,
      { settle: (guardians) => this.#forgetAdmission(id, input, guardians) },
    );
  }

  /** Throws what `createOfMany` would. */
  async rehearse(rehearsal: Rehearsal, caller: Caller, id: string, input: NewStudent): Promise<void> {
    const today = await this.#school.today();
    await rehearsal.run((change) => this.#admitOfMany(change, caller, id, input, today), UNIQUES);
  }

  async #admitOfMany(change: Change, caller: Caller, id: string, input: NewStudent, today: string): Promise<void> {
    const guardians = await this.#guardians.recognise(change.knex, input.guardians);
    await this.#admit(change, caller, id, { ...input, guardians }, today);
  }

  /** The rows of an admission; nothing when the student is there already. */
  async #admit(
    change: Change,
    caller: Caller,
    id: string,
    { guardians, class_id: classId, starts_on, admitted_on, ...fields }: NewStudent,
    today: string,
  ): Promise<void> {
    const { knex, record } = change;
    const admittedOn = admitted_on ?? today;
    requireDates({ birthOn: fields.birth_on, admittedOn, leftOn: null }, today);
    const added = await knex.raw(
      `INSERT INTO students (id, admission_no, full_name, birth_on, gender, house, admitted_on, photo_file_id, status, created_at, updated_at, version)
       VALUES (:id, :admission_no, :full_name, :birth_on, :gender, :house, :admittedOn, :photo_file_id, 'active', :now, :now, ${FIRST_VERSION})
       ON CONFLICT (id) DO NOTHING`,
      { ...fields, id, admittedOn, now: caller.now },
    );
    if (added.rowCount === 0) return;
    if (guardians.length > 0) await this.#guardians.link(caller, knex, id, guardians);
    if (classId) {
      const startsOn = starts_on ?? admittedOn;
      await this.#enrolment.place(caller.newId(), change, { id, admittedOn }, { classId, startsOn });
    }
    record({
      service: 'auth',
      action: 'student.create',
      entity: { type: 'student', id },
      after: { class_id: classId ?? null },
    });
  }

  async #forgetAdmission(id: string, { class_id }: NewStudent, guardians: readonly GuardianLink[]): Promise<void> {
    await this.#caches.forget({
      rosters: class_id ? [class_id] : [],
      students: [id],
      users: guardians.map(({ userId }) => userId),
    });
  }

  /** @throws NotFoundError, TakenError, HasDataError, StaleVersionError, FileNotReadyError, FileTypeError, UnprocessableError */
  async update(caller: Caller, id: string, changes: Partial<StudentFields>, ifMatch?: number): Promise<StudentDetail> {
    const today = await this.#school.today();
    if (changes.photo_file_id) await this.#requirePhoto(caller, changes.photo_file_id);
    const student = await this.#writes.run(
      caller,
      async ({ knex, emit, record }) => {
        await knex.raw('SELECT 1 FROM students WHERE id = ? FOR NO KEY UPDATE', [id]);
        const before = await this.#store.find(id, today, knex);
        if (!before) throw new NotFoundError();
        requireVersion(ifMatch, before.version);
        const { birth_on: birthOn = before.birthOn, admitted_on: admittedOn = before.admittedOn } = changes;
        // Dates that stay may be older than the rule: they are in nobody's way.
        if (birthOn !== before.birthOn || admittedOn !== before.admittedOn)
          requireDates({ birthOn, admittedOn, leftOn: before.leftOn }, today);
        const [first] = await this.#store.enrolments(id, knex);
        if (changes.admitted_on && first && first.startsOn < changes.admitted_on) {
          throw new HasDataError({
            errors: [{ pointer: '/admitted_on', detail: `the student was in a class from ${first.startsOn} on` }],
          });
        }
        await knex('students')
          .where({ id })
          .update({ ...changes, updated_at: caller.now, version: knex.raw(NEXT_VERSION) });
        emit({ name: 'school.student.changed', aggregateId: id, payload: { student_id: id } });
        // Values are personal: the log says which fields changed.
        record({
          service: 'auth',
          action: 'student.update',
          entity: { type: 'student', id },
          after: { fields: Object.keys(changes) },
        });
        return (await this.#store.find(id, today, knex))!;
      },
      UNIQUES,
      { settle: () => this.#caches.forgetStudent(id) },
    );
    return this.#whole(student);
  }

  async #whole(student: StudentRow): Promise<StudentDetail> {
    const { id } = student;
    const [guardians, enrolments] = await Promise.all([this.#store.guardians(id), this.#store.enrolments(id)]);
    return { student, sight: 'staff', guardians, enrolments };
  }

  async #requirePhoto({ actor }: Pick<Caller, 'actor'>, id: string | null): Promise<void> {
    if (id !== null) await this.#files.requireUsable(actor.userId, 'avatar', [id], '/photo_file_id');
  }
}

/** People are born, then admitted, then leave; whoever mistypes a year is told so. */
function requireDates(
  { birthOn, admittedOn, leftOn }: { birthOn: string; admittedOn: string; leftOn: string | null },
  today: string,
): void {
  const refuse = (pointer: string, detail: string): never => {
    throw new UnprocessableError({ errors: [{ pointer, detail }] });
  };
  if (birthOn > today) refuse('/birth_on', 'is in the future');
  if (birthOn > admittedOn) refuse('/birth_on', 'is after the admission');
  if (leftOn !== null && admittedOn > leftOn) refuse('/admitted_on', 'is after the student left');
}
