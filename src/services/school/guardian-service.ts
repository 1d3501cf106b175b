import type { Knex } from 'knex';
import { NotFoundError } from '../../errors/catalogue.ts';
import {
  type Caller,
  type Change,
  FIRST_VERSION,
  NEXT_VERSION,
  requireVersion,
  type WriteThrough,
} from '../write-through.ts';
import { touch } from './enrolment-service.ts';
import type { SchoolCaches } from './school-caches.ts';
import type { GuardianLink, StudentStore } from './student-store.ts';

/** Somebody known by `guardian_id`, or a new person. */
export interface WantedGuardian {
  guardian_id?: string;
  full_name?: string;
  phone?: string;
  email?: string | null;
  relation: string;
  is_primary: boolean;
  is_blocked: boolean;
  can_view: boolean;
  can_pay: boolean;
  can_pickup: boolean;
  is_notified: boolean;
}

/** Who looks after a student, and what each of them may do. */
export class GuardianService {
  readonly #writes: WriteThrough;
  readonly #store: StudentStore;
  readonly #caches: SchoolCaches;

  constructor(deps: { writes: WriteThrough; store: StudentStore; caches: SchoolCaches }) {
    this.#writes = deps.writes;
    this.#store = deps.store;
    this.#caches = deps.caches;
  }

  /**
   * Replaces the guardians of a student. Their logins see the change within a second; a blocked one sees nothing any more.
   *
   * @throws NotFoundError for an unknown student or guardian, StaleVersionError
   */
  async replace(
    caller: Caller,
    studentId: string,
    wanted: readonly WantedGuardian[],
    ifMatch?: number,
  ): Promise<{ guardians: GuardianLink[]; version: number }> {
    const work = async ({ knex, emit, record }: Change) => {
      const locked = await knex.raw('SELECT version FROM students WHERE id = ? FOR NO KEY UPDATE', [studentId]);
      if (!locked.rows[0]) throw new NotFoundError();
      requireVersion(ifMatch, locked.rows[0].version);
      const old = await this.#store.guardians(studentId, knex);
      await this.link(caller, knex, studentId, wanted);
      const now = await this.#store.guardians(studentId, knex);
      for (const userId of usersOf(old, now)) {
        emit({ name: 'auth.user.changed', aggregateId: userId, payload: { user_id: userId, fields: ['children'] } });
      }
      record({
        service: 'auth',
        action: 'student.guardians',
        entity: { type: 'student', id: studentId },
        before: old.map(rightsOf),
        after: now.map(rightsOf),
      });
      return { users: usersOf(old, now), guardians: now, version: await touch(knex, studentId, caller.now) };
    };
    const settle = ({ users }: { users: string[] }) => this.#caches.forget({ users });
    const { guardians, version } = await this.#writes.run(caller, work, {}, { settle });
    return { guardians, version };
  }

  /** The same list, with those whom the school knows by name and phone named by their ids: brothers and sisters share a guardian. */
  recognise(knex: Knex, wanted: readonly WantedGuardian[]): Promise<WantedGuardian[]> {
    return Promise.all(
      wanted.map(async ({ full_name, phone, email, ...link }) => {
        if (full_name === undefined || phone === undefined) return link;
        const id = await knownGuardian(knex, { full_name, phone });
        return id === undefined ? { ...link, full_name, phone, email: email ?? null } : { ...link, guardian_id: id };
      }),
    );
  }

  /**
   * Replaces the links inside a change of the caller's; people who are not known yet are added. Somebody of the same name and
   * phone who looks after this student already is the same person: said twice, a list adds nobody twice, and another address is
   * that person's new one.
   *
   * @throws NotFoundError
   */
  async link(caller: Caller, knex: Knex, studentId: string, wanted: readonly WantedGuardian[]): Promise<void> {
    const present = new Map(
      (await this.#store.guardians(studentId, knex)).map((link) => [`${link.phone} ${link.fullName}`, link.guardianId]),
    );
    await knex.raw('DELETE FROM student_guardians WHERE student_id = ?', [studentId]);
    if (wanted.length === 0) return;
    const known = await knex.raw('SELECT id FROM guardians WHERE id = ANY(?::uuid[]) FOR KEY SHARE', [
      wanted.flatMap(({ guardian_id }) => guardian_id ?? []),
    ]);
    const ids = new Set((known.rows as { id: string }[]).map(({ id }) => id));
    const errors = wanted.flatMap(({ guardian_id }, index) =>
      guardian_id === undefined || ids.has(guardian_id)
        ? []
        : [{ pointer: `/guardians/${index}/guardian_id`, detail: 'is not a guardian' }],
    );
    if (errors.length > 0) throw new NotFoundError({ errors });
    const links = [];
    for (const { guardian_id, full_name, phone, email, ...rights } of wanted) {
      const same = present.get(`${phone} ${full_name}`);
      // Two of the same name and phone in one list are two people.
      const person = guardian_id ?? (same !== undefined && !ids.has(same) ? same : undefined);
      const id = person ?? caller.newId();
      ids.add(id);
      if (person === undefined) {
        await knex.raw(
          `INSERT INTO guardians (id, full_name, phone, email, created_at, updated_at, version)
           VALUES (:id, :full_name, :phone, :email, :now, :now, ${FIRST_VERSION})`,
          { id, full_name: full_name!, phone: phone!, email: email ?? null, now: caller.now },
        );
      } else if (email !== undefined) {
        await knex.raw(
          `UPDATE guardians SET email = :email, updated_at = :now, version = ${NEXT_VERSION}
           WHERE id = :id AND email IS DISTINCT FROM :email`,
          { id, email, now: caller.now },
        );
      }
      links.push({ student_id: studentId, guardian_id: id, ...rights });
    }
    await knex('student_guardians').insert(links);
  }
}

/** The guardian of this name, in whatever case, and phone. */
export async function knownGuardian(
  knex: Knex,
  person: { full_name: string; phone: string },
): Promise<string | undefined> {
  const result = await knex.raw(
    'SELECT id FROM guardians WHERE phone = :phone AND lower(full_name) = lower(:full_name) ORDER BY id LIMIT 1',
    person,
  );
  return result.rows[0]?.id;
}

/** For the audit log: who may do what, without names or numbers. */
const rightsOf = ({ guardianId, isPrimary, isBlocked, canView, canPay, canPickup, isNotified }: GuardianLink) => ({
  guardian_id: guardianId,
  is_primary: isPrimary,
  is_blocked: isBlocked,
  can_view: canView,
  can_pay: canPay,
  can_pickup: canPickup,
  is_notified: isNotified,
});

const usersOf = (...links: GuardianLink[][]): string[] => [
  ...new Set(links.flat().flatMap(({ userId }) => userId ?? [])),
];
