/** Roles of DOMAIN §1; jobs act as `system`. */
export const ROLES = ['admin', 'principal', 'teacher', 'student', 'parent', 'accountant', 'storekeeper', 'driver'] as const;
export type Role = (typeof ROLES)[number];

/** A class-subject that a teacher teaches this academic year. */
export interface TaughtSubject {
  id: string;
  classId: string;
  className: string;
  subjectId: string;
  subjectName: string;
}

export interface ChildScope {
  studentId: string;
  fullName: string;
  classId: string | null;
  className: string | null;
  canView: boolean;
  canPay: boolean;
}

/** Which rows a caller's scopes mean (DOMAIN §1): everything a frontend needs for its first page, too. */
export interface Scopes {
  staffId: string | null;
  studentId: string | null;
  classSubjects: TaughtSubject[];
  homeroomClasses: { id: string; name: string }[];
  ownClass: { id: string; name: string } | null;
  children: ChildScope[];
}

/** Who makes a request. */
export interface Actor {
  userId: string;
  login: string;
  roles: Role[];
  /** The login (session) that the access token belongs to. */
  sid: string;
  scopes: Scopes;
}
