import { newStudentBody } from '../school/student-schemas.ts';
import type { NewStudent, StudentService } from '../school/student-service.ts';
import { type ColumnOf, type ImportRows, judge } from './import-kind.ts';

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
const columnOf: ColumnOf = (pointer) =>
  POINTERS[pointer] ?? COLUMNS.find(({ name }) => pointer === `/${name}`)?.name ?? null;

type ClassIds = ReadonlyMap<string, string>;

/**
 * Students with one guardian, who becomes the primary one, and their class of this year by its name. Guardians may see the child
 * and hear of it; that they may pay or fetch it is said afterwards.
 */
export function createStudentImport({
  students,
  currentClasses,
}: {
  students: StudentService;
  /** Of the current year, by name. */
  currentClasses: () => Promise<readonly { id: string; name: string }[]>;
}): ImportRows<NewStudent, ClassIds> {
  return {
    columns: COLUMNS,
    columnOf,

    async prepare() {
      return new Map((await currentClasses()).map(({ name, id }) => [name.toLowerCase(), id]));
    },

    read({ line, cells }, classes) {
      const { class: className, guardian_name, guardian_relation, guardian_phone, guardian_email, ...fields } = cells;
      const classId = className === undefined ? undefined : classes.get(className.toLowerCase());
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
      const judged = judge(newStudentBody, line, student, columnOf);
      const lacking = Object.entries({ guardian_name, guardian_phone }).filter(([, cell]) => hasGuardian && !cell);
      if (!('errors' in judged) || lacking.length === 0) return judged;
      return {
        errors: [
          // A request names a guardian in other words, too.
          ...judged.errors.filter(({ column }) => column !== 'guardian_name'),
          ...lacking.map(([column]) => ({
            line,
            column,
            code: 'VALIDATION_FAILED',
            detail: 'is required of a guardian',
          })),
        ],
      };
    },

    uniques: { admission_no: ({ admission_no }) => admission_no },
    shares: ({ class_id }) => class_id,
    store: (caller, { id, input }) => students.createOfMany(caller, id, input),
    rehearse: (rehearsal, caller, { id, input }) => students.rehearse(rehearsal, caller, id, input),
  };
}
