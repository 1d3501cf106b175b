import type { Actor, ScopeCode } from './actor.ts';

/** Rows that scopes name by themselves; services may add to them (`ReachSource`). */
export const NAMED_ROWS = [
  /** T: class-subjects taught, and their classes; those of a class that is taken over today, too. */
  'taught',
  'taughtClasses',
  /** H: homeroom classes, and those taken over today. */
  'homerooms',
  /** O: the caller as a student. */
  'ownStudents',
  /** C: those who are at school. */
  'children',
  /** C: those who have left, for invoices, receipts and report cards. */
  'formerChildren',
  /** Own students and children, and others of whom a source says that what concerns them is in reach. */
  'students',
  /** O and C: classes of these students; of such a class only what concerns them. */
  'followedClasses',
  /** O: the caller's own user id, for rows that name their holder, author or reader. */
  'users',
  /** R, and O and C of those who ride: nothing until the service of the routes declares its source. */
  'routes',
] as const;

export type NamedRows = (typeof NAMED_ROWS)[number];

/** What follows from the named rows. */
type JoinedRows =
  /** T and H: classes whose students may be seen. */
  | 'ledClasses'
  /** All classes of the above. */
  | 'classes'
  /** Class-subjects of T, and all those of the classes that are no classes of T alone. */
  | 'classSubjects'
  /** Rows that were read in reach and whose own rows are therefore reached whole: see `withParent`. */
  | 'parents';

export type ReachKind = NamedRows | JoinedRows;

/** The rows that a caller's scopes reach (DOMAIN §1), as ids; `all` reaches everything, and then no id is looked up. */
export type Reach = { readonly all: boolean } & { readonly [K in ReachKind]: ReadonlySet<string> };

const NONE: ReadonlySet<string> = new Set();

/** Where no permission is asked for. */
export const NOTHING: Reach = Object.freeze({
  all: false,
  taught: NONE,
  taughtClasses: NONE,
  homerooms: NONE,
  ownStudents: NONE,
  children: NONE,
  formerChildren: NONE,
  followedClasses: NONE,
  users: NONE,
  routes: NONE,
  ledClasses: NONE,
  students: NONE,
  classes: NONE,
  classSubjects: NONE,
  parents: NONE,
});

/** Scope A, and what the system itself reads with: jobs, events, rules that count whatever the caller may see. */
export const EVERYTHING: Reach = Object.freeze({ ...NOTHING, all: true });

/** Rows of a user by id, for what is its own in any scope. */
export const reachOfUser = (userId: string): Reach => ({ ...NOTHING, users: new Set([userId]) });

/**
 * The reach with all that belongs to a row which the caller has been found to run: whoever teaches a class-subject reaches what
 * is handed in for its homework, and a submission's row names the homework only.
 */
export const withParent = (reach: Reach, id: string): Reach =>
  reach.all ? reach : { ...reach, parents: new Set([...reach.parents, id]) };

export const reaches = (reach: Reach, rows: ReachKind, id: string): boolean => reach.all || reach[rows].has(id);

/** The part of a list that is in reach: for lists which are kept once for everybody, and cut for each. */
export const inReach = <T>(reach: Reach, rows: ReachKind, all: readonly T[], idOf: (row: T) => string): readonly T[] =>
  reach.all ? all : all.filter((row) => reach[rows].has(idOf(row)));

/** A source of rows for a scope that only its service knows, such as the routes of a driver (R). */
export interface ReachSource {
  scope: ScopeCode;
  /** Called once a request, when its route's permission has the scope. */
  load(actor: Reaching): Promise<Partial<Record<NamedRows, Iterable<string>>>>;
}

/** What is asked about somebody to know its reach. */
export type Reaching = Pick<Actor, 'userId' | 'scopes'>;

/** Turns scopes into rows; handed to HTTP, which knows no service. */
export interface RowScopes {
  /** With A no data is looked at. */
  reachOf(actor: Reaching, scope: readonly ScopeCode[]): Promise<Reach>;
  /** The class that a student is in today. */
  classOf(studentId: string): Promise<string | undefined>;
}

export interface RowsRequest<P = unknown, Q = unknown, B = unknown> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

type Ids = string | null | undefined | readonly (string | null | undefined)[];

/** Rows that a request names, and of which kind they must be to be the caller's. */
export interface Within<P = unknown, Q = unknown, B = unknown> {
  /** Left out where membership alone decides. */
  rows?: ReachKind | ((request: RowsRequest<P, Q, B>) => ReachKind);
  /** Nothing where the request names none: the handler has to ask for the reach then. */
  id(request: RowsRequest<P, Q, B>): Ids;
  /** The ids are of students: those who are in such a class today are in reach as well. */
  orMembersOf?: 'taughtClasses' | 'homerooms' | 'ledClasses';
  /** Where a body names it, for the answer; `*` is the place in a list. */
  pointer?: string;
}

/**
 * Whose rows a route is about, where somebody has its permission in less than all rows.
 *
 * - a `Within` or several: rows that the request names, checked by the platform before anything is read or stored
 * - `self`: the caller alone
 * - `shared`: what everybody with the permission sees alike
 * - nothing: its handler asks `reach()`; one that answers without having asked is a broken one, and its answer is not sent
 */
export type RowsOf<P = unknown, Q = unknown, B = unknown> =
  | Within<P, Q, B>
  | readonly Within<P, Q, B>[]
  | 'self'
  | 'shared';
