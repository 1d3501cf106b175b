import { NotFoundError } from '../errors/catalogue.ts';
import type { Actor, ScopeCode } from '../lib/actor.ts';
import type { School } from './school/school.ts';

/** The rows that a caller's scopes reach, as ids that lists and checks use; `all` reaches everything. */
export interface Reach {
  all: boolean;
  /** T: class-subjects taught, and their classes; those of a class that is taken over today, too. */
  taught: ReadonlySet<string>;
  taughtClasses: ReadonlySet<string>;
  /** H: homeroom classes, and those taken over today. */
  homerooms: ReadonlySet<string>;
  /** T and H: classes whose students may be seen. */
  ledClasses: ReadonlySet<string>;
  /** O and C: students, and the classes they are in; of these, only what concerns them. */
  students: ReadonlySet<string>;
  followedClasses: ReadonlySet<string>;
  /** All of the above. */
  classes: ReadonlySet<string>;
  /** Class-subjects of T, and all those of the other classes. */
  classSubjects: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();
const EVERYTHING: Reach = {
  all: true,
  taught: NONE,
  taughtClasses: NONE,
  homerooms: NONE,
  ledClasses: NONE,
  students: NONE,
  followedClasses: NONE,
  classes: NONE,
  classSubjects: NONE,
};

const union = (a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> => new Set([...a, ...b]);

/** Turns a route's scopes into rows (DOMAIN §1): the one place that knows what T, H, O and C mean. */
export async function reachOf(
  actor: Pick<Actor, 'scopes'>,
  scope: readonly ScopeCode[],
  school: Pick<School, 'classSubjects' | 'today'>,
): Promise<Reach> {
  if (scope.includes('A')) return EVERYTHING;
  const { teaches, homerooms: led, substitutions = [], ownClass, studentId, children } = await actor.scopes();
  const taught = new Set<string>();
  const taughtClasses = new Set<string>();
  const homerooms = new Set<string>();
  const students = new Set<string>();
  const followedClasses = new Set<string>();
  if (scope.includes('T')) {
    for (const { classSubjectId, classId } of teaches) {
      taught.add(classSubjectId);
      taughtClasses.add(classId);
    }
  }
  if (scope.includes('H')) for (const { id } of led) homerooms.add(id);
  if (substitutions.length > 0) {
    const today = await school.today();
    const covered = new Set(substitutions.filter(({ onDate }) => onDate === today).map(({ classId }) => classId));
    if (scope.includes('H')) for (const id of covered) homerooms.add(id);
    if (scope.includes('T') && covered.size > 0) {
      for (const id of covered) taughtClasses.add(id);
      for (const { id, classId } of await school.classSubjects()) if (covered.has(classId)) taught.add(id);
    }
  }
  if (scope.includes('O')) {
    if (studentId) students.add(studentId);
    if (ownClass) followedClasses.add(ownClass.id);
  }
  if (scope.includes('C')) {
    for (const child of children) {
      students.add(child.studentId);
      if (child.class) followedClasses.add(child.class.id);
    }
  }
  const ledClasses = union(taughtClasses, homerooms);
  const whole = union(homerooms, followedClasses);
  const classSubjects = new Set(taught);
  if (whole.size > 0) {
    for (const { id, classId } of await school.classSubjects()) if (whole.has(classId)) classSubjects.add(id);
  }
  return {
    all: false,
    taught,
    taughtClasses,
    homerooms,
    ledClasses,
    students,
    followedClasses,
    classes: union(ledClasses, followedClasses),
    classSubjects,
  };
}

export type ReachKind = Exclude<keyof Reach, 'all'>;

export const reaches = (reach: Reach, kind: ReachKind, id: string): boolean => reach.all || reach[kind].has(id);

/** @throws NotFoundError: rows outside the caller's scope do not exist for it */
export function requireReach(reach: Reach, kind: ReachKind, id: string): void {
  if (!reaches(reach, kind, id)) throw new NotFoundError();
}
