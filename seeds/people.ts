import { namedId } from '../src/lib/ids.ts';
import { addDays, instantAt, versionOf } from './dates.ts';
import { GIVEN_NAMES, HOUSES, SURNAMES } from './names.ts';
import { createRandom, type Random } from './random.ts';
import type { Row } from './rows.ts';
import type { ScaleSizes } from './scale.ts';
import type { SchoolYear } from './school-year.ts';

type Gender = keyof typeof GIVEN_NAMES;

export interface SeedStaff {
  id: string;
  userId: string;
}

export interface SeedStudent {
  id: string;
  userId: string;
  /** User of the primary guardian, who asks for leave. */
  guardianUserId: string;
}

export interface People {
  adminUserId: string;
  teachers: SeedStaff[];
  /** In the order of their logins; the first ones fill the first class. */
  students: SeedStudent[];
  rows: Record<'users' | 'user_roles' | 'staff' | 'guardians', Row[]>;
  /** Rows of students once their grade and day of admission are known. */
  studentRows(gradeOf: (index: number) => number, admittedOf: (index: number) => string): Row[];
  links: Row[];
}

const number = (index: number, digits: number): string => String(index + 1).padStart(digits, '0');

/** How each kind of staff is numbered and named. `admin` alone has no number. */
const STAFF_KINDS = [
  {
    key: 'admins',
    role: 'admin',
    login: (i: number) => (i === 0 ? 'admin' : `admin${number(i, 2)}`),
    designation: 'Administrator',
  },
  { key: 'principals', role: 'principal', login: (i: number) => `principal${number(i, 2)}`, designation: 'Principal' },
  { key: 'teachers', role: 'teacher', login: (i: number) => `teacher${number(i, 3)}`, designation: 'Teacher' },
  {
    key: 'accountants',
    role: 'accountant',
    login: (i: number) => `accountant${number(i, 2)}`,
    designation: 'Accountant',
  },
  {
    key: 'storekeepers',
    role: 'storekeeper',
    login: (i: number) => `storekeeper${number(i, 2)}`,
    designation: 'Storekeeper',
  },
  { key: 'drivers', role: 'driver', login: (i: number) => `driver${number(i, 2)}`, designation: 'Driver' },
] as const;

/** Everybody with a login. teacher002 is a parent as well: the second guardian of family 5. */
const TEACHER_WHO_IS_A_PARENT = { teacher: 1, guardian: { family: 4, member: 1 } };
/** The second guardian of family 3 may not see the child. */
const BLOCKED_GUARDIAN = { family: 2, member: 1 };

export function createPeople(sizes: ScaleSizes, year: SchoolYear, passwordHash: string): People {
  const random = createRandom('people');
  const since = instantAt(year.startsOn, '09:00');
  const stamps = { created_at: since, updated_at: since };
  const adminUserId = namedId('user:admin');
  const rows: People['rows'] = { users: [], user_roles: [], staff: [], guardians: [] };

  const addUser = (login: string, role: string, phone: string): string => {
    const id = namedId(`user:${login}`);
    rows.users.push({
      id,
      login,
      email: `${login}@schools24.example`,
      phone,
      password_hash: passwordHash,
      status: 'active',
      password_changed_at: since,
      prefs: { locale: 'en-IN' },
      ...stamps,
      version: versionOf(since),
    });
    addRole(id, role);
    return id;
  };
  const addRole = (userId: string, role: string): void => {
    rows.user_roles.push({ user_id: userId, role, granted_by: adminUserId, granted_at: since });
  };

  const teachers: SeedStaff[] = [];
  let employeeNo = 0;
  for (const { key, role, login, designation } of STAFF_KINDS) {
    for (let index = 0; index < sizes[key]; index++) {
      const name = login(index);
      const isDriver = role === 'driver';
      const person = { id: namedId(`staff:${name}`), userId: addUser(name, role, phoneOf(random)) };
      if (role === 'teacher') teachers.push(person);
      rows.staff.push({
        id: person.id,
        user_id: person.userId,
        employee_no: `E${String(++employeeNo).padStart(4, '0')}`,
        full_name: `${givenName(random, genderOf(random))} ${random.pick(SURNAMES)}`,
        designation,
        department: role === 'teacher' ? 'Academics' : isDriver ? 'Transport' : 'Office',
        joined_on: addDays(year.startsOn, -random.int(30, 4_000)),
        licence_no: isDriver ? `MH12-${random.int(2005, 2020)}-${random.int(1_000_000, 9_999_999)}` : null,
        licence_expires_on: isDriver ? addDays(year.endsOn, random.int(30, 2_000)) : null,
        ...stamps,
        version: versionOf(since),
      });
    }
  }

  const surnames = Array.from({ length: sizes.families }, () => random.pick(SURNAMES));
  const guardianIds = addGuardians();
  const familyOf = (student: number): number => (student < sizes.families ? student : student - sizes.families);
  const students = Array.from({ length: sizes.students }, (_, index): SeedStudent => {
    const login = `student${number(index, 4)}`;
    return {
      id: namedId(`student:${login}`),
      userId: addUser(login, 'student', phoneOf(random)),
      guardianUserId: guardianIds[familyOf(index)]![0]!.userId,
    };
  });

  /** Families in turn: first everybody's first guardian (so that parent0001 belongs to student0001), then the second ones. */
  function addGuardians(): { id: string; userId: string }[][] {
    const families: { id: string; userId: string }[][] = surnames.map(() => []);
    for (let index = 0; index < sizes.guardians; index++) {
      const family = index % sizes.families;
      const member = families[family]!.length;
      const login = `parent${number(index, 4)}`;
      const phone = phoneOf(random);
      const { teacher, guardian } = TEACHER_WHO_IS_A_PARENT;
      const isTeacher = guardian.family === family && guardian.member === member;
      const userId = isTeacher ? teachers[teacher]!.userId : addUser(login, 'parent', phone);
      if (isTeacher) addRole(userId, 'parent');
      const id = namedId(`guardian:${login}`);
      families[family]!.push({ id, userId });
      rows.guardians.push({
        id,
        user_id: userId,
        full_name: `${givenName(random, member === 0 ? 'male' : 'female')} ${surnames[family]}`,
        phone,
        email: `${login}@schools24.example`,
        ...stamps,
        version: versionOf(since),
      });
    }
    return families;
  }

  const links = students.flatMap(({ id }, index) =>
    guardianIds[familyOf(index)]!.map((guardian, member): Row => {
      const isBlocked = BLOCKED_GUARDIAN.family === familyOf(index) && BLOCKED_GUARDIAN.member === member;
      return {
        student_id: id,
        guardian_id: guardian.id,
        relation: member === 0 ? 'father' : 'mother',
        is_primary: member === 0,
        is_blocked: isBlocked,
        can_view: !isBlocked,
        can_pay: !isBlocked,
        can_pickup: !isBlocked,
        is_notified: !isBlocked,
      };
    }),
  );

  return {
    adminUserId,
    teachers,
    students,
    rows,
    links,
    studentRows: (gradeOf, admittedOf) =>
      students.map(({ id, userId }, index) => {
        const gender = genderOf(random);
        const admittedOn = admittedOf(index);
        return {
          id,
          user_id: userId,
          admission_no: `S24-${number(index, 5)}`,
          full_name: `${givenName(random, gender)} ${surnames[familyOf(index)]}`,
          birth_on: addDays(`${Number(year.startsOn.slice(0, 4)) - gradeOf(index) - 5}-01-01`, random.int(0, 364)),
          gender,
          house: random.pick(HOUSES),
          admitted_on: admittedOn,
          status: 'active',
          ...stamps,
          version: versionOf(since),
        };
      }),
  };
}

const genderOf = (random: Random): Gender => (random.chance(0.5) ? 'male' : 'female');
const givenName = (random: Random, gender: Gender): string => random.pick(GIVEN_NAMES[gender]);
const phoneOf = (random: Random): string =>
  `+91${random.int(70_000, 99_999)}${String(random.int(0, 99_999)).padStart(5, '0')}`;
