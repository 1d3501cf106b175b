export const ROLES = [
  'admin',
  'principal',
  'teacher',
  'student',
  'parent',
  'accountant',
  'storekeeper',
  'driver',
] as const;

export type Role = (typeof ROLES)[number];

/** A class-subject that somebody teaches in the current academic year. */
export interface TaughtSubject {
  classSubjectId: string;
  classId: string;
  className: string;
  subjectId: string;
  subjectCode: string;
  subjectName: string;
}

export interface ClassRef {
  id: string;
  name: string;
}

/** A student whom a guardian's login may see; those where the guardian is blocked are not among them. */
export interface Child {
  studentId: string;
  name: string;
  /** Class today; null for a student who has left. */
  class: ClassRef | null;
  /** Last day at school, of one who leaves or has left. Logins kept by an older program do not say. */
  leftOn?: string | null;
  /** May see and pay money matters. */
  canPay: boolean;
}

/** A class that somebody takes over for a day: T and H there, on that date only. */
export interface Substitution {
  classId: string;
  className: string;
  /** School date. */
  onDate: string;
}

/** What a person's roles reach: the rows behind the scopes T, H, O and C (DOMAIN §1). */
export interface Scopes {
  academicYear: { id: string; name: string } | null;
  staffId: string | null;
  studentId: string | null;
  guardianId: string | null;
  /** T */
  teaches: readonly TaughtSubject[];
  /** H */
  homerooms: readonly ClassRef[];
  /** T and H of single days, from the day the scopes were read on. Logins kept by an older program have none. */
  substitutions?: readonly Substitution[];
  /** The student's own class. */
  ownClass: (ClassRef & { rollNo: number }) | null;
  /** C */
  children: readonly Child[];
}

/** Classes that somebody takes over on a school date. */
export const takenOverOn = ({ substitutions = [] }: Scopes, date: string): ClassRef[] =>
  substitutions
    .filter(({ onDate }) => onDate === date)
    .map(({ classId, className }) => ({ id: classId, name: className }));

/** Who sends a request. */
export interface Actor {
  userId: string;
  login: string;
  /** Full name of the person behind the login; the login where there is none. */
  name: string;
  roles: readonly Role[];
  /** The login session. */
  sid: string;
  /** From memory when this login was used in the last second; never slower than one read of Redis and one of PostgreSQL. */
  scopes(): Promise<Scopes>;
}

/** Which rows a role's permission covers: see `Scopes`; A all rows, R the trip of one's route. */
export type ScopeCode = 'A' | 'T' | 'H' | 'O' | 'C' | 'R';
