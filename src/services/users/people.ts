import type { Knex } from 'knex';
import { TakenError, UnprocessableError } from '../../errors/catalogue.ts';
import type { Role } from '../../lib/actor.ts';
import { knownGuardian } from '../school/guardian-service.ts';
import { FIRST_VERSION, NEXT_VERSION } from '../write-through.ts';
import type { GuardianFields, PersonFields, StaffFields } from './user-fields.ts';

export type PersonKind = keyof PersonFields;

/** A login with a role is that of such a person. */
export const PERSON_OF: Readonly<Record<Role, PersonKind>> = {
  admin: 'staff',
  principal: 'staff',
  teacher: 'staff',
  accountant: 'staff',
  storekeeper: 'staff',
  driver: 'staff',
  student: 'student',
  parent: 'guardian',
};

export const NEEDED_OF_STAFF = ['employee_no', 'full_name', 'designation', 'joined_on'] as const;
export const NEEDED_OF_GUARDIAN = ['full_name', 'phone'] as const;

/** @throws UnprocessableError when a role has nobody behind it: its scopes would reach no rows */
export function requirePeople(roles: readonly Role[], people: Record<PersonKind, boolean>): void {
  const errors = roles
    .filter((role) => !people[PERSON_OF[role]])
    .map((role) => ({ pointer: '/roles', detail: `${role} needs a person of kind ${PERSON_OF[role]}` }));
  if (errors.length > 0) throw new UnprocessableError({ errors });
}

/** A guardian whom the school knows by name and phone is linked, not added again. */
export async function recognise(knex: Knex, { guardian, ...others }: PersonFields): Promise<PersonFields> {
  if (!guardian?.full_name || !guardian.phone) return { ...others, ...(guardian ? { guardian } : {}) };
  const { full_name, phone } = guardian;
  const id = await knownGuardian(knex, { full_name, phone });
  return { ...others, guardian: id === undefined ? guardian : { id } };
}

interface Place {
  userId: string;
  now: Date;
  newId: () => string;
}

/**
 * Makes the people behind a login, links those that are there, or changes those it has.
 *
 * @returns paths of the fields that were given
 */
export async function savePeople(knex: Knex.Transaction, person: PersonFields, place: Place): Promise<string[]> {
  if (person.staff) await saveStaff(knex, person.staff, place);
  if (person.student) await link(knex, 'student', person.student.id, place);
  if (person.guardian) await saveGuardian(knex, person.guardian, place);
  return Object.entries(person).flatMap(([kind, fields]) =>
    Object.keys(fields).map((name) => `person.${kind}.${name}`),
  );
}

async function saveStaff(knex: Knex.Transaction, fields: StaffFields, { userId, now, newId }: Place): Promise<void> {
  const id = newId();
  if (!(await change(knex, 'staff', fields, userId, now))) {
    requireAll('staff', fields, NEEDED_OF_STAFF);
    await knex('staff').insert({ id, user_id: userId, ...fields, ...born(knex, now) });
  }
  // Dates that stay may be older than the rule: they are in nobody's way.
  if (fields.joined_on === undefined && fields.left_on === undefined) return;
  const { rows } = await knex.raw('SELECT 1 FROM staff WHERE user_id = ? AND left_on < joined_on', [userId]);
  if (rows.length > 0) {
    const detail = 'is before the first day';
    throw new UnprocessableError({ errors: [{ pointer: '/person/staff/left_on', detail }] });
  }
}

async function saveGuardian(
  knex: Knex.Transaction,
  { id: linked, ...fields }: GuardianFields,
  place: Place,
): Promise<void> {
  const { userId, now, newId } = place;
  const id = newId();
  if (linked !== undefined) return link(knex, 'guardian', linked, place);
  if (await change(knex, 'guardians', fields, userId, now)) return;
  requireAll('guardian', fields, NEEDED_OF_GUARDIAN);
  await knex('guardians').insert({ id, user_id: userId, ...fields, ...born(knex, now) });
}

const born = (knex: Knex.Transaction, now: Date) => ({
  created_at: now,
  updated_at: now,
  version: knex.raw(FIRST_VERSION),
});

/** @returns whether there is such a person behind the login */
async function change(
  knex: Knex.Transaction,
  table: 'staff' | 'guardians',
  fields: object,
  userId: string,
  now: Date,
): Promise<boolean> {
  const changed = await knex(table)
    .where({ user_id: userId })
    .update({ ...fields, updated_at: now, version: knex.raw(NEXT_VERSION) });
  return changed > 0;
}

async function link(
  knex: Knex.Transaction,
  kind: 'student' | 'guardian',
  id: string,
  { userId, now }: Place,
): Promise<void> {
  const pointer = `/person/${kind}/id`;
  const table = `${kind}s`;
  const [row] = await knex(table).where({ id }).select('user_id').forNoKeyUpdate();
  if (!row) throw new UnprocessableError({ errors: [{ pointer, detail: `is not a ${kind}` }] });
  if (row.user_id === userId) return;
  if (row.user_id !== null) throw new TakenError({ errors: [{ pointer, detail: 'has a login already' }] });
  await knex(table)
    .where({ id })
    .update({ user_id: userId, updated_at: now, version: knex.raw(NEXT_VERSION) });
}

function requireAll<T extends object>(kind: PersonKind, fields: T, names: readonly (keyof T & string)[]): void {
  const errors = names
    .filter((name) => fields[name] === undefined)
    .map((name) => ({ pointer: `/person/${kind}/${name}`, detail: 'is required' }));
  if (errors.length > 0) throw new UnprocessableError({ errors });
}
