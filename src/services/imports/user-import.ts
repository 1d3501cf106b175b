import type { RowError } from '../../../queues/imports.queue.ts';
import { ROLES, type Role } from '../../lib/actor.ts';
import { NEEDED_OF_GUARDIAN, NEEDED_OF_STAFF, PERSON_OF, type PersonKind } from '../users/people.ts';
import { type NewUser, newUserBody, type PersonFields } from '../users/user-fields.ts';
import type { UserService } from '../users/user-service.ts';
import type { TableRow } from './csv-table.ts';
import { type ColumnOf, type ImportRows, judge } from './import-kind.ts';

/** Whom a column is about; one of no kind is about the login. */
interface UserColumn {
  name: string;
  isRequired?: boolean;
  isPhone?: boolean;
  kinds?: readonly PersonKind[];
}

const COLUMNS: readonly UserColumn[] = [
  { name: 'login', isRequired: true },
  { name: 'roles', isRequired: true },
  { name: 'email' },
  { name: 'full_name', kinds: ['staff', 'guardian'] },
  { name: 'employee_no', kinds: ['staff'] },
  { name: 'designation', kinds: ['staff'] },
  { name: 'department', kinds: ['staff'] },
  { name: 'joined_on', kinds: ['staff'] },
  { name: 'licence_no', kinds: ['staff'] },
  { name: 'licence_expires_on', kinds: ['staff'] },
  { name: 'phone', isPhone: true, kinds: ['guardian'] },
  { name: 'admission_no', kinds: ['student'] },
];

const NEEDED: Readonly<Record<PersonKind, readonly string[]>> = {
  staff: NEEDED_OF_STAFF,
  guardian: NEEDED_OF_GUARDIAN,
  student: ['admission_no'],
};

const POINTERS: Readonly<Record<string, string>> = {
  '/person/student/id': 'admission_no',
  // A guardian is recognised by name and phone.
  '/person/guardian/id': 'phone',
};
const columnOf: ColumnOf = (pointer) => {
  const field = pointer.replace(/^\/person\/(staff|guardian)/, '').split('/')[1];
  return POINTERS[pointer] ?? COLUMNS.find(({ name }) => name === field)?.name ?? null;
};

/** Students by their admission numbers. */
type StudentIds = ReadonlyMap<string, string>;

/**
 * Logins with the people behind them, for any role: staff are added, parents are linked to the guardian of that name and phone or
 * added, students are linked. Several roles of one login stand in one cell, apart by blanks or `|`.
 */
export function createUserImport({
  users,
  studentsByAdmissionNo,
}: {
  users: UserService;
  studentsByAdmissionNo: (numbers: readonly string[]) => Promise<StudentIds>;
}): ImportRows<NewUser, StudentIds> {
  return {
    columns: COLUMNS,
    columnOf,
    prepare: (table) => studentsByAdmissionNo(table.flatMap(({ cells }) => cells.admission_no ?? [])),

    read({ line, cells }, students) {
      const roles = cells.roles?.toLowerCase().split(/[\s|]+/);
      const kinds = new Set(roles?.filter(isRole).map((role) => PERSON_OF[role]));
      const { login, email, admission_no: number } = cells;
      const person: PersonFields = {};
      for (const kind of ['staff', 'guardian'] as const) if (kinds.has(kind)) person[kind] = fieldsOf(kind, cells);
      if (person.guardian && email !== undefined) person.guardian.email = email;
      const studentId = number === undefined ? undefined : students.get(number);
      if (kinds.has('student') && studentId !== undefined) person.student = { id: studentId };
      const wrong = misplaced(line, cells, kinds);
      if (kinds.has('student') && number !== undefined && studentId === undefined)
        wrong.push({ line, column: 'admission_no', code: 'NOT_FOUND', detail: 'is not a student of the school' });
      const judged = judge(newUserBody, line, { login, roles, ...(email ? { email } : {}), person }, columnOf);
      const errors = [...wrong, ...('errors' in judged ? judged.errors.filter(({ column }) => column !== null) : [])];
      return errors.length > 0 ? { errors } : judged;
    },

    uniques: {
      login: ({ login }) => login.toLowerCase(),
      email: ({ email }) => email?.toLowerCase(),
      employee_no: ({ person }) => person.staff?.employee_no,
      admission_no: ({ person }) => person.student?.id,
      phone: ({ person: { guardian } }) => guardian && `${guardian.phone} ${guardian.full_name?.toLowerCase()}`,
    },
    shares: () => undefined,
    store: (caller, { id, input }) => users.createOfMany(caller, id, input),
    rehearse: (rehearsal, caller, { id, input }) => users.rehearse(rehearsal, caller, id, input),
  };
}

const isRole = (text: string): text is Role => (ROLES as readonly string[]).includes(text);

const columnsOf = (kind: PersonKind) => COLUMNS.filter(({ kinds }) => kinds?.includes(kind));

const fieldsOf = (kind: PersonKind, cells: TableRow['cells']): Record<string, string> =>
  Object.fromEntries(columnsOf(kind).flatMap(({ name }) => (name in cells ? [[name, cells[name]!]] : [])));

/** Cells that the people behind the roles lack, and cells about people whom the roles do not have. */
function misplaced(line: number, cells: TableRow['cells'], kinds: ReadonlySet<PersonKind>): RowError[] {
  if (kinds.size === 0) return [];
  const error = (column: string, detail: string) => ({ line, column, code: 'VALIDATION_FAILED', detail });
  const lacking = new Map(
    [...kinds].flatMap((kind) => NEEDED[kind].filter((name) => !(name in cells)).map((name) => [name, kind] as const)),
  );
  return [
    ...[...lacking].map(([name, kind]) => error(name, `is required of ${kind === 'staff' ? kind : `a ${kind}`}`)),
    ...COLUMNS.filter(({ name, kinds: of }) => name in cells && of && !of.some((kind) => kinds.has(kind))).map(
      ({ name, kinds: of }) => error(name, `is of ${of!.join(' and ')} only`),
    ),
  ];
}
