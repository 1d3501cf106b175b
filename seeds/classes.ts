import { namedId } from '../src/lib/ids.ts';
import { addDays, instantAt, versionOf } from './dates.ts';
import type { People, SeedStaff, SeedStudent } from './people.ts';
import type { Row } from './rows.ts';
import type { ScaleSizes } from './scale.ts';
import type { SchoolYear } from './school-year.ts';

const SUBJECTS: Readonly<Record<string, string>> = {
  MAT: 'Mathematics',
  ENG: 'English',
  HIN: 'Hindi',
  EVS: 'Environmental Studies',
  SCI: 'Science',
  SST: 'Social Science',
  CSC: 'Computer Science',
  PED: 'Physical Education',
  ART: 'Art',
  SAN: 'Sanskrit',
  PHY: 'Physics',
  CHE: 'Chemistry',
  BIO: 'Biology',
  ECO: 'Economics',
};
const ELECTIVES = ['BIO', 'ECO', 'SAN'];

/** Eight subjects a class; the same place in each list goes to the same teacher of a block. */
const CURRICULUM = [
  { upTo: 5, subjects: ['MAT', 'ENG', 'HIN', 'EVS', 'CSC', 'PED', 'ART', 'SAN'] },
  { upTo: 10, subjects: ['MAT', 'ENG', 'HIN', 'SCI', 'CSC', 'PED', 'SST', 'SAN'] },
  { upTo: 12, subjects: ['MAT', 'ENG', 'ECO', 'PHY', 'CSC', 'PED', 'CHE', 'BIO'] },
];

/** Parts of a subject's mark in basis points. */
const WEIGHTS = { quiz: 2_000, homework: 2_000, exam: 6_000 };
const CLASSES_PER_BLOCK = 4;
const SUBJECTS_PER_CLASS = 8;

interface Membership {
  student: SeedStudent;
  startsOn: string;
  endsOn: string | null;
}

export interface SeedClass {
  id: string;
  grade: number;
  section: string;
  homeroom: SeedStaff;
  /** Who is in the class on a date, in the order of roll numbers. */
  roster(date: string): SeedStudent[];
  /** The student's first day in this class. */
  memberSince(student: SeedStudent): string;
}

export interface SeedClassSubject {
  id: string;
  class: SeedClass;
  code: string;
  subject: string;
  staff: SeedStaff;
}

export interface Structure {
  classes: SeedClass[];
  classSubjects: SeedClassSubject[];
  rows: Record<'classes' | 'subjects' | 'class_subjects' | 'enrollments' | 'students', Row[]>;
}

/**
 * Classes with their students and teachers. Of every ten classes one has a student who came from the class before it when
 * the second term began, and one a student who joined after eight weeks (at the next open day).
 */
export function createStructure(sizes: ScaleSizes, year: SchoolYear, people: People): Structure {
  const since = instantAt(year.startsOn, '09:00');
  const stamps = { created_at: since, updated_at: since, version: versionOf(since) };
  const rows: Structure['rows'] = { classes: [], subjects: [], class_subjects: [], enrollments: [], students: [] };
  const joinedLateOn = year.openOnOrAfter(addDays(year.startsOn, 8 * 7));
  const movedOn = year.terms[1]!.startsOn;

  for (const [code, name] of Object.entries(SUBJECTS)) {
    rows.subjects.push({ id: namedId(`subject:${code}`), code, name, is_elective: ELECTIVES.includes(code) });
  }

  const memberships: Membership[][] = sizes.classes.map(() => []);
  const gradeOf: number[] = [];
  const admittedOn: string[] = [];
  let next = 0;
  for (const [index, [grade]] of sizes.classes.entries()) {
    const left = sizes.classes.length - index;
    const count = Math.ceil((people.students.length - next) / left);
    for (let seat = 0; seat < count; seat++, next++) {
      const student = people.students[next]!;
      const isLast = seat === count - 1;
      gradeOf.push(grade);
      admittedOn.push(
        isLast && index % 10 === 2 ? joinedLateOn : addDays(year.startsOn, -366 * Math.min(grade - 1, next % 4)),
      );
      if (isLast && index % 10 === 1) {
        memberships[index - 1]!.push({ student, startsOn: year.startsOn, endsOn: addDays(movedOn, -1) });
        memberships[index]!.push({ student, startsOn: movedOn, endsOn: null });
      } else {
        const startsOn = isLast && index % 10 === 2 ? joinedLateOn : year.startsOn;
        memberships[index]!.push({ student, startsOn, endsOn: null });
      }
    }
  }
  rows.students = people.studentRows(
    (index) => gradeOf[index]!,
    (index) => admittedOn[index]!,
  );

  const teacherOf = (classIndex: number, place: number): SeedStaff =>
    people.teachers[Math.floor(classIndex / CLASSES_PER_BLOCK) * SUBJECTS_PER_CLASS + place]!;

  const classes = sizes.classes.map(([grade, section], index): SeedClass => {
    const members = memberships[index]!;
    return {
      id: namedId(`class:${grade}-${section}`),
      grade,
      section,
      homeroom: teacherOf(index, index % CLASSES_PER_BLOCK),
      roster: (date) =>
        members
          .filter(({ startsOn, endsOn }) => startsOn <= date && (endsOn === null || date <= endsOn))
          .map(({ student }) => student),
      memberSince: (student) => members.find((member) => member.student === student)!.startsOn,
    };
  });

  const classSubjects = classes.flatMap((schoolClass, index) =>
    CURRICULUM.find(({ upTo }) => schoolClass.grade <= upTo)!.subjects.map(
      (code, place): SeedClassSubject => ({
        id: namedId(`class-subject:${schoolClass.grade}-${schoolClass.section}:${code}`),
        class: schoolClass,
        code,
        subject: SUBJECTS[code]!,
        staff: teacherOf(index, place),
      }),
    ),
  );

  for (const [index, { id, grade, section, homeroom }] of classes.entries()) {
    const name = `${grade} ${section}`;
    rows.classes.push({
      id,
      academic_year_id: year.id,
      grade,
      section,
      name,
      capacity: 40,
      homeroom_staff_id: homeroom.id,
      room: `R${101 + index}`,
      ...stamps,
    });
    for (const [seat, { student, startsOn, endsOn }] of memberships[index]!.entries()) {
      rows.enrollments.push({
        id: namedId(`enrollment:${student.id}:${name}`),
        student_id: student.id,
        class_id: id,
        roll_no: seat + 1,
        starts_on: startsOn,
        ends_on: endsOn,
      });
    }
  }
  for (const { id, class: schoolClass, code, staff } of classSubjects) {
    rows.class_subjects.push({
      id,
      class_id: schoolClass.id,
      subject_id: namedId(`subject:${code}`),
      staff_id: staff.id,
      weights: WEIGHTS,
      version: stamps.version,
    });
  }
  return { classes, classSubjects, rows };
}
