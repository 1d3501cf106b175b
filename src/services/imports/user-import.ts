import Joi from 'joi';
import type { Knex } from 'knex';
import type { RowError } from '../../../queues/imports.queue.ts';
import type { Role } from '../../lib/actor.ts';
import { email, phone, schoolDate, line as textLine } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { FIRST_VERSION, type WriteThrough } from '../write-through.ts';
import { type ColumnOf, type ImportRows, judge, type ReadRow, repeated } from './import-kind.ts';

/** People of the school's staff; students and guardians get their logins where they are admitted. */
const STAFF_ROLES: readonly Role[] = ['admin', 'principal', 'teacher', 'accountant', 'storekeeper', 'driver'];

const COLUMNS = [
  { name: 'login', isRequired: true },
  { name: 'roles', isRequired: true },
  { name: 'full_name', isRequired: true },
  { name: 'employee_no', isRequired: true },
  { name: 'designation', isRequired: true },
  { name: 'joined_on', isRequired: true },
  { name: 'department' },
  { name: 'email' },
  { name: 'phone', isPhone: true },
];

export const userColumnOf: ColumnOf = (pointer) =>
  COLUMNS.find(({ name }) => pointer === `/${name}` || pointer.startsWith(`/${name}/`))?.name ?? null;

interface NewStaff {
  login: string;
  roles: Role[];
  full_name: string;
  employee_no: string;
  designation: string;
  joined_on: string;
  department: string | null;
  email: string | null;
  phone: string | null;
}

const { users, staff } = LIMITS;
const schema = Joi.object<NewStaff>({
  login: textLine(users.login)
    .pattern(/^[\p{L}\p{N}._@-]+$/u, 'login')
    .required(),
  roles: Joi.array()
    .items(Joi.string().valid(...STAFF_ROLES))
    .min(1)
    .unique()
    .required(),
  full_name: textLine(staff.full_name).required(),
  employee_no: textLine(staff.employee_no).required(),
  designation: textLine(staff.designation).required(),
  joined_on: schoolDate.required(),
  department: textLine(staff.department).default(null),
  email: email.default(null),
  phone: phone.default(null),
});

const UNIQUES = {
  users_lower_login_uq: '/login',
  users_lower_email_uq: '/email',
  staff_employee_no_uq: '/employee_no',
};

/** Staff with their logins: invited, without a password. */
export function createUserImport({ knex, writes }: { knex: Knex; writes: WriteThrough }): ImportRows<NewStaff> {
  return {
    columns: COLUMNS,
    prepare: async () => undefined,

    read({ line, cells }) {
      const { roles, ...fields } = cells;
      const list = roles === undefined ? {} : { roles: roles.toLowerCase().split(/[\s|]+/) };
      return judge(schema, line, { ...fields, ...list }, userColumnOf);
    },

    async stored(rows) {
      const result = await knex.raw('SELECT id FROM users WHERE id = ANY(?::uuid[])', [rows.map(({ id }) => id)]);
      return new Set((result.rows as { id: string }[]).map(({ id }) => id));
    },

    async check(rows) {
      return [
        ...repeated(rows, 'login', ({ login }) => login),
        ...repeated(rows, 'email', ({ email }) => email),
        ...repeated(rows, 'employee_no', ({ employee_no }) => employee_no),
        ...(await taken(knex, rows)),
      ];
    },

    async store(caller, { id, input }) {
      const { roles, ...fields } = input;
      await writes.run(
        caller,
        async ({ knex: transaction, emit, record }) => {
          const values = { ...fields, id, staffId: caller.newId(), now: caller.now };
          await transaction.raw(
            `INSERT INTO users (id, login, email, phone, status, created_at, updated_at, version)
             VALUES (:id, :login, :email, :phone, 'invited', :now, :now, ${FIRST_VERSION})`,
            values,
          );
          await transaction.raw(
            `INSERT INTO staff (id, user_id, employee_no, full_name, designation, department, joined_on, created_at, updated_at, version)
             VALUES (:staffId, :id, :employee_no, :full_name, :designation, :department, :joined_on, :now, :now, ${FIRST_VERSION})`,
            values,
          );
          await transaction('user_roles').insert(
            roles.map((role) => ({ user_id: id, role, granted_by: caller.actor.userId, granted_at: caller.now })),
          );
          emit({ name: 'auth.user.changed', aggregateId: id, payload: { user_id: id, fields: ['roles'] } });
          record({
            service: 'auth',
            action: 'user.create',
            entity: { type: 'user', id },
            after: { roles },
            isLongLived: true,
          });
        },
        UNIQUES,
      );
    },
  };
}

async function taken(knex: Knex, rows: readonly ReadRow<NewStaff>[]): Promise<RowError[]> {
  const lower = (values: (string | null)[]): string[] => values.flatMap((value) => value?.toLowerCase() ?? []);
  const result = await knex.raw(
    `SELECT 'login' AS "column", lower(login) AS value FROM users WHERE lower(login) = ANY(:logins) AND id <> ALL(CAST(:ids AS uuid[]))
     UNION ALL
     SELECT 'email', lower(email) FROM users WHERE lower(email) = ANY(:emails) AND id <> ALL(CAST(:ids AS uuid[]))
     UNION ALL
     SELECT 'employee_no', lower(employee_no) FROM staff WHERE employee_no = ANY(:numbers) AND user_id <> ALL(CAST(:ids AS uuid[]))`,
    {
      logins: lower(rows.map(({ input }) => input.login)),
      emails: lower(rows.map(({ input }) => input.email)),
      numbers: rows.map(({ input }) => input.employee_no),
      ids: rows.map(({ id }) => id),
    },
  );
  const known = new Set(
    (result.rows as { column: string; value: string }[]).map((row) => `${row.column} ${row.value}`),
  );
  return rows.flatMap(({ line, input }) =>
    (['login', 'email', 'employee_no'] as const)
      .filter((column) => known.has(`${column} ${input[column]?.toLowerCase()}`))
      .map((column) => ({ line, column, code: 'TAKEN', detail: 'another one has this value already' })),
  );
}
