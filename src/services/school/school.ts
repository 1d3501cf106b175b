import type { Knex } from 'knex';
import type { Cache } from '../../cache/cache.ts';
import { NotFoundError } from '../../errors/catalogue.ts';
import { type Clock, schoolDateOf } from '../../lib/clock.ts';

export interface ClassSubject {
  id: string;
  classId: string;
  className: string;
  subjectId: string;
  subjectName: string;
  staffId: string;
}

export interface RosterEntry {
  studentId: string;
  fullName: string;
  rollNo: number;
  /** First day in this class. */
  startsOn: string;
  /** Last day in this class; null while there is none. */
  endsOn: string | null;
}

export interface Enrolment {
  classId: string;
  startsOn: string;
  endsOn: string | null;
}

export type LeavePart = 'full' | 'am' | 'pm';

interface Leave {
  studentId: string;
  part: LeavePart;
  startsOn: string;
  endsOn: string;
}

export interface SchoolDay {
  date: string;
  isOpen: boolean;
  reason: string | null;
  /** The calendar's event that closes it. */
  eventId: string | null;
}

export interface Term {
  id: string;
  academicYearId: string;
  seq: number;
  name: string;
  startsOn: string;
  endsOn: string;
  lockedAt: string | null;
}

export interface SchoolClass {
  id: string;
  academicYearId: string;
  name: string;
  grade: number;
  section: string;
  capacity: number;
  homeroomStaffId: string | null;
  room: string | null;
  version: number;
}

/** Tunables of DOMAIN §5; `schools.settings` may override each. */
export interface SchoolSettings {
  edit_window_days: number;
  /** Minutes from a save to the notice of an absence (AT6). */
  absence_notice_delay_min: number;
  leaderboard_enabled: boolean;
}

const DEFAULTS: SchoolSettings = { edit_window_days: 2, absence_notice_delay_min: 10, leaderboard_enabled: true };

/** Changes drop what they make stale; this is how late one shows that was made past the API. */
const REFERENCE_SECONDS = 600;
/** DOMAIN §7 `class:roster` */
const ROSTER_SECONDS = 3_600;
/** DOMAIN §7 `calendar:school_days` */
const SCHOOL_DAYS_SECONDS = 86_400;
/** A decision about leave shows in the roll a minute later at most. */
const LEAVE_SECONDS = 60;
/** Reference data outlives an outage of PostgreSQL, so that writes go on. */
const STALE_SECONDS = 7 * 86_400;
/** The process's own copy: reference data is asked for with almost every request. Other processes see a change this late. */
const MEMO_MS = 1_000;

interface Remembering {
  /** Redis is asked whether what the process remembers still holds. */
  isFresh?: boolean;
}

/** Names of what is kept, for those who change it. */
export const SCHOOL_COPIES = {
  years: 'school:years',
  terms: 'school:terms',
  subjects: 'school:subjects',
  classes: 'school:classes',
  classSubjects: 'school:class_subjects',
  roster: (classId: string) => `class:roster:${classId}`,
  leave: (classId: string) => `class:leave:${classId}`,
  enrolments: (studentId: string) => `student:enrolments:${studentId}`,
} as const;

const schoolDaysKey = (year: number): string => `calendar:school_days:${year}`;

const yearOf = (date: string): number => Number(date.slice(0, 4));

/** Whether a date lies in an interval, both ends included. */
export const covers = ({ startsOn, endsOn }: { startsOn: string; endsOn: string | null }, on: string): boolean =>
  startsOn <= on && (endsOn === null || on <= endsOn);

/** The school's structure as other services ask for it: read-only, cached, there while the database is away. */
export class School {
  readonly #knex: Knex;
  readonly #cache: Cache;
  readonly #clock: Clock;
  readonly #memo = new Map<string, { value: Promise<unknown>; untilMs: number }>();

  constructor({ knex, cache, clock }: { knex: Knex; cache: Cache; clock: Clock }) {
    this.#knex = knex;
    this.#cache = cache;
    this.#clock = clock;
  }

  /** The school date at an instant. */
  async dateAt(instant: Date): Promise<string> {
    return schoolDateOf(instant, await this.timezone());
  }

  /** The school date now. */
  async today(): Promise<string> {
    return this.dateAt(this.#clock.now());
  }

  /** Forgets copies (`SCHOOL_COPIES`) of what has changed: after the commit, or the old rows are loaded again. */
  async forget(...names: string[]): Promise<void> {
    if (names.length === 0) return;
    await this.#cache.drop(...names);
    for (const name of names) this.#memo.delete(name);
  }

  async timezone(): Promise<string> {
    return (await this.#school()).timezone;
  }

  async settings(): Promise<SchoolSettings> {
    return { ...DEFAULTS, ...(await this.#school()).settings };
  }

  /** All class-subjects of the current year. @param read `isFresh` for what is kept longer than this process remembers them */
  classSubjects(read: Remembering = {}): Promise<ClassSubject[]> {
    const load = async () => {
      const result = await this.#knex.raw(
        `SELECT cs.id, cs.class_id AS "classId", c.name AS "className", cs.subject_id AS "subjectId", s.name AS "subjectName", cs.staff_id AS "staffId"
         FROM class_subjects cs JOIN classes c ON c.id = cs.class_id JOIN subjects s ON s.id = cs.subject_id
         JOIN academic_years y ON y.id = c.academic_year_id WHERE y.is_current ORDER BY c.grade, c.section, s.name`,
      );
      return result.rows;
    };
    return this.#get(SCHOOL_COPIES.classSubjects, REFERENCE_SECONDS, load, { ...read, isShared: true });
  }

  /** Students of a class on a school date, by roll number. */
  async roster(classId: string, on: string): Promise<RosterEntry[]> {
    // The whole class with its dates is one entry: any day's roster is there while the database is away.
    const members = await this.#get<RosterEntry[]>(SCHOOL_COPIES.roster(classId), ROSTER_SECONDS, async () => {
      const result = await this.#knex.raw(
        `SELECT e.student_id AS "studentId", p.full_name AS "fullName", e.roll_no AS "rollNo", e.starts_on AS "startsOn", e.ends_on AS "endsOn"
         FROM enrollments e JOIN students p ON p.id = e.student_id
         WHERE e.class_id = ? ORDER BY e.roll_no, e.starts_on`,
        [classId],
      );
      return result.rows;
    });
    return members.filter((member) => covers(member, on));
  }

  /** Classes a student is or was in, oldest first. */
  enrolments(studentId: string): Promise<Enrolment[]> {
    return this.#get(SCHOOL_COPIES.enrolments(studentId), ROSTER_SECONDS, async () => {
      const result = await this.#knex.raw(
        `SELECT class_id AS "classId", starts_on AS "startsOn", ends_on AS "endsOn" FROM enrollments WHERE student_id = ? ORDER BY starts_on`,
        [studentId],
      );
      return result.rows;
    });
  }

  /** Days of a range for which the calendar says whether the school is open. */
  async schoolDays(from: string, to: string): Promise<SchoolDay[]> {
    if (from > to) return [];
    const years = Array.from({ length: yearOf(to) - yearOf(from) + 1 }, (_, index) => yearOf(from) + index);
    const days = await Promise.all(years.map((year) => this.#daysOf(year)));
    return days.flat().filter(({ date }) => from <= date && date <= to);
  }

  /** The calendar has changed these dates: what was known of them is asked anew, in every process. */
  async forgetSchoolDays(dates: readonly string[]): Promise<void> {
    await this.#cache.drop(...new Set(dates.map((date) => schoolDaysKey(yearOf(date)))));
  }

  /** Students of a class with an approved leave on a date, and for which part of it (AT2). */
  async approvedLeave(classId: string, on: string): Promise<Map<string, LeavePart>> {
    const leaves = await this.#get<Leave[]>(SCHOOL_COPIES.leave(classId), LEAVE_SECONDS, async () => {
      const result = await this.#knex.raw(
        `SELECT l.student_id AS "studentId", l.part, l.from_on AS "startsOn", l.to_on AS "endsOn" FROM leave_requests l
         WHERE l.status = 'approved' AND l.student_id IN (SELECT student_id FROM enrollments WHERE class_id = ?)`,
        [classId],
      );
      return result.rows;
    });
    return new Map(leaves.filter((leave) => covers(leave, on)).map(({ studentId, part }) => [studentId, part]));
  }

  terms(): Promise<Term[]> {
    return this.#get(SCHOOL_COPIES.terms, REFERENCE_SECONDS, async () => {
      const result = await this.#knex.raw(
        `SELECT t.id, t.seq, t.name, t.starts_on AS "startsOn", t.ends_on AS "endsOn", t.locked_at AS "lockedAt", t.academic_year_id AS "academicYearId"
         FROM terms t JOIN academic_years y ON y.id = t.academic_year_id WHERE y.is_current ORDER BY t.seq`,
      );
      return result.rows;
    });
  }

  classes(): Promise<SchoolClass[]> {
    return this.#get(SCHOOL_COPIES.classes, REFERENCE_SECONDS, async () => {
      const result = await this.#knex.raw(
        `SELECT c.id, c.academic_year_id AS "academicYearId", c.name, c.grade, c.section, c.capacity, c.homeroom_staff_id AS "homeroomStaffId",
                c.room, c.version
         FROM classes c JOIN academic_years y ON y.id = c.academic_year_id WHERE y.is_current ORDER BY c.grade, c.section`,
      );
      return result.rows;
    });
  }

  subjects(): Promise<{ id: string; code: string; name: string; isElective: boolean }[]> {
    return this.#get(SCHOOL_COPIES.subjects, REFERENCE_SECONDS, async () => {
      const result = await this.#knex.raw(
        'SELECT id, code, name, is_elective AS "isElective" FROM subjects ORDER BY name',
      );
      return result.rows;
    });
  }

  academicYears(): Promise<{ id: string; name: string; startsOn: string; endsOn: string; isCurrent: boolean }[]> {
    return this.#get(SCHOOL_COPIES.years, REFERENCE_SECONDS, async () => {
      const result = await this.#knex.raw(
        'SELECT id, name, starts_on AS "startsOn", ends_on AS "endsOn", is_current AS "isCurrent" FROM academic_years ORDER BY starts_on DESC',
      );
      return result.rows;
    });
  }

  /** For those who reach all rows, also one that is not there. @throws NotFoundError */
  async requireClass(id: string): Promise<void> {
    if ((await this.classes()).some((one) => one.id === id)) return;
    const { rows } = await this.#knex.raw('SELECT 1 FROM classes WHERE id = ?', [id]);
    if (rows.length === 0) throw new NotFoundError();
  }

  /** The same of a student; one who was ever in a class is known without asking the table. @throws NotFoundError */
  async requireStudent(id: string): Promise<void> {
    if ((await this.enrolments(id)).length > 0) return;
    const { rows } = await this.#knex.raw('SELECT 1 FROM students WHERE id = ?', [id]);
    if (rows.length === 0) throw new NotFoundError();
  }

  /** Logins of students, of those who have one. */
  async usersOfStudents(studentIds: readonly string[]): Promise<string[]> {
    const { rows } = await this.#knex.raw(
      `SELECT s.user_id AS id FROM students s JOIN users u ON u.id = s.user_id
       WHERE s.id = ANY(?::uuid[]) AND u.status = 'active' ORDER BY s.user_id`,
      [studentIds as string[]],
    );
    return (rows as { id: string }[]).map(({ id }) => id);
  }

  /** A student's name, and the logins of the guardians who are to be notified and may see the child. */
  async family(studentId: string): Promise<{ name: string; userIds: string[] }> {
    const { rows } = await this.#knex.raw(
      `SELECT s.full_name AS name, array(
         SELECT g.user_id FROM student_guardians sg JOIN guardians g ON g.id = sg.guardian_id JOIN users u ON u.id = g.user_id
         WHERE sg.student_id = s.id AND sg.is_notified AND sg.can_view AND NOT sg.is_blocked AND u.status = 'active'
         ORDER BY g.user_id) AS "userIds"
       FROM students s WHERE s.id = ?`,
      [studentId],
    );
    return rows[0] ?? { name: '', userIds: [] };
  }

  /** Where a student is enrolled on a date. */
  async classOf(studentId: string, on: string): Promise<string | undefined> {
    return (await this.enrolments(studentId)).find((enrolment) => covers(enrolment, on))?.classId;
  }

  /** No memo of this process: a day that another process has closed must be closed here, too. */
  async #daysOf(year: number): Promise<SchoolDay[]> {
    const { value } = await this.#cache.get<SchoolDay[]>({
      name: schoolDaysKey(year),
      ttlSeconds: SCHOOL_DAYS_SECONDS,
      staleSeconds: STALE_SECONDS,
      load: async () => {
        const result = await this.#knex.raw(
          'SELECT on_date AS date, is_open AS "isOpen", reason, event_id AS "eventId" FROM school_days WHERE on_date BETWEEN ? AND ? ORDER BY on_date',
          [`${year}-01-01`, `${year}-12-31`],
        );
        return result.rows;
      },
    });
    return value;
  }

  #school(): Promise<{ timezone: string; settings: Partial<SchoolSettings> }> {
    return this.#get('school:row', REFERENCE_SECONDS, async () => {
      const result = await this.#knex.raw('SELECT timezone, settings FROM schools LIMIT 1');
      if (!result.rows[0]) throw new Error('there is no school yet: run npm run seed, or insert one');
      return result.rows[0];
    });
  }

  #get<T>(
    name: string,
    ttlSeconds: number,
    load: () => Promise<T>,
    { isFresh = false, isShared = false }: Remembering & { isShared?: boolean } = {},
  ): Promise<T> {
    const now = Date.now();
    const memo = this.#memo.get(name);
    if (memo && memo.untilMs > now && !isFresh) return memo.value as Promise<T>;
    if (this.#memo.size > 5_000) this.#memo.clear();
    const value = this.#cache
      .get({ name, ttlSeconds, staleSeconds: STALE_SECONDS, isShared, load })
      .then((cached) => cached.value);
    this.#memo.set(name, { value, untilMs: now + MEMO_MS });
    value.catch(() => this.#memo.delete(name));
    return value;
  }
}
