import type { Knex } from 'knex';
import type { RowError } from '../../../queues/imports.queue.ts';
import { seatsTaken } from '../school/enrolment-service.ts';
import type { WantedGuardian } from '../school/guardian-service.ts';
import type { School } from '../school/school.ts';
import { newStudentBody } from '../school/student-schemas.ts';
import type { NewStudent, StudentService } from '../school/student-service.ts';
import { type ColumnOf, type ImportRows, judge, type ReadRow, repeated } from './import-kind.ts';

const COLUMNS = [
  { name: 'admission_no', isRequired: true },
  { name: 'full_name', isRequired: true },
  { name: 'birth_on', isRequired: true },
  { name: 'gender' },
  { name: 'house' },
  { name: 'admitted_on' },
  { name: 'class' },
  { name: 'starts_on' },
  { name: 'guardian_name' },
  { name: 'guardian_relation' },
  { name: 'guardian_phone', isPhone: true },
  { name: 'guardian_email' },
];

const POINTERS: Readonly<Record<string, string>> = {
  '/class_id': 'class',
  '/guardians/0': 'guardian_name',
  '/guardians/0/full_name': 'guardian_name',
  '/guardians/0/relation': 'guardian_relation',
  '/guardians/0/phone': 'guardian_phone',
  '/guardians/0/email': 'guardian_email',
};
export const studentColumnOf: ColumnOf = (pointer) =>
  POINTERS[pointer] ?? COLUMNS.find(({ name }) => pointer === `/${name}`)?.name ?? null;

type ClassIds = ReadonlyMap<string, string>;

/**
 * Students with one guardian, who becomes the primary one, and their class of this year by its name. Guardians may see the child
 * and hear of it; that they may pay or fetch it is said afterwards.
 */
export function createStudentImport({
  knex,
  school,
  students,
}: {
  knex: Knex;
  school: School;
  students: StudentService;
}): ImportRows<NewStudent> {
  return {
    columns: COLUMNS,

    async prepare(): Promise<ClassIds> {
      return new Map((await school.classes()).map(({ name, id }) => [name.toLowerCase(), id]));
    },

    read({ line, cells }, classes) {
      const { class: className, guardian_name, guardian_relation, guardian_phone, guardian_email, ...fields } = cells;
      const classId = className === undefined ? undefined : (classes as ClassIds).get(className.toLowerCase());
      if (className !== undefined && classId === undefined)
        return { errors: [{ line, column: 'class', code: 'NOT_FOUND', detail: 'is not a class of this year' }] };
      const hasGuardian = [guardian_name, guardian_relation, guardian_phone, guardian_email].some(Boolean);
      const guardian = {
        full_name: guardian_name,
        phone: guardian_phone,
        relation: guardian_relation ?? 'guardian',
        is_primary: true,
        ...(guardian_email ? { email: guardian_email } : {}),
      };
      const student = {
        ...fields,
        ...(classId ? { class_id: classId } : {}),
        guardians: hasGuardian ? [guardian] : [],
      };
      return judge(newStudentBody, line, student, studentColumnOf);
    },

    async stored(rows) {
      const result = await knex.raw('SELECT id FROM students WHERE id = ANY(?::uuid[])', [rows.map(({ id }) => id)]);
      return new Set((result.rows as { id: string }[]).map(({ id }) => id));
    },

    async check(rows) {
      return [
        ...repeated(rows, 'admission_no', ({ admission_no }) => admission_no),
        ...(await taken(knex, rows)),
        ...(await withoutSeat(knex, await school.today(), rows)),
      ];
    },

    async store(caller, { id, input }) {
      await students.create(caller, { ...input, guardians: await knownGuardians(knex, input.guardians) }, id);
    },
  };
}

/** Brothers and sisters share their guardian: whom the school knows by name and phone is not added again. */
async function knownGuardians(knex: Knex, guardians: readonly WantedGuardian[]): Promise<WantedGuardian[]> {
  return Promise.all(
    guardians.map(async ({ full_name, phone, email, ...link }) => {
      const result = await knex.raw(
        'SELECT id FROM guardians WHERE phone = ? AND lower(full_name) = lower(?) ORDER BY id LIMIT 1',
        [phone!, full_name!],
      );
      const known: string | undefined = result.rows[0]?.id;
      return known ? { ...link, guardian_id: known } : { ...link, full_name, phone, email };
    }),
  );
}

async function taken(knex: Knex, rows: readonly ReadRow<NewStudent>[]): Promise<RowError[]> {
  const result = await knex.raw(
    'SELECT admission_no AS no FROM students WHERE admission_no = ANY(?::text[]) AND id <> ALL(?::uuid[])',
    [rows.map(({ input }) => input.admission_no), rows.map(({ id }) => id)],
  );
  const numbers = new Set((result.rows as { no: string }[]).map(({ no }) => no));
  return rows
    .filter(({ input }) => numbers.has(input.admission_no))
    .map(({ line }) => ({ line, column: 'admission_no', code: 'TAKEN', detail: 'another one has this value already' }));
}

/** Rows beyond the free seats of their class, counted from the earliest day that one of them asks for. */
async function withoutSeat(knex: Knex, today: string, rows: readonly ReadRow<NewStudent>[]): Promise<RowError[]> {
  const errors: RowError[] = [];
  for (const [classId, group] of Map.groupBy(rows, ({ input }) => input.class_id)) {
    if (classId === undefined) continue;
    const from = group.map(({ input }) => input.starts_on ?? input.admitted_on ?? today).sort()[0]!;
    const capacity = await knex.raw('SELECT capacity FROM classes WHERE id = ?', [classId]);
    const free = Math.max(0, capacity.rows[0].capacity - (await seatsTaken(knex, classId, from)));
    for (const { line } of group.slice(free))
      errors.push({ line, column: 'class', code: 'CLASS_FULL', detail: 'has no seat left' });
  }
  return errors;
}
