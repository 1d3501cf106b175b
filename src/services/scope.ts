import { NotFoundError } from '../errors/catalogue.ts';
import type { Actor, ScopeCode } from '../lib/actor.ts';
import type { School } from './school/school.ts';

/** The rows that a caller's scopes reach, as ids that lists and checks use; `all` reaches everything. */
export interface Reach {
  all: boolean;
  classSubjects: ReadonlySet<string>;
  classes: ReadonlySet<string>;
  students: ReadonlySet<string>;
}

/** Turns a route's scopes into rows (DOMAIN §1): the one place that knows what T, H, O and C mean. */
export async function reachOf(actor: Actor, scope: readonly ScopeCode[], school: School): Promise<Reach> {
  if (scope.includes('A')) return { all: true, classSubjects: new Set(), classes: new Set(), students: new Set() };
  const { teaches, homerooms, ownClass, studentId, children } = await actor.scopes();
  const classSubjects = new Set<string>();
  const classes = new Set<string>();
  const students = new Set<string>();
  const wholeClasses = new Set<string>();
  if (scope.includes('T')) {
    for (const taught of teaches) {
      classSubjects.add(taught.classSubjectId);
      classes.add(taught.classId);
    }
  }
  if (scope.includes('H')) for (const { id } of homerooms) wholeClasses.add(id);
  if (scope.includes('O')) {
    if (studentId) students.add(studentId);
    if (ownClass) wholeClasses.add(ownClass.id);
  }
  if (scope.includes('C')) {
    for (const child of children) {
      students.add(child.studentId);
      if (child.class) wholeClasses.add(child.class.id);
    }
  }
  for (const id of wholeClasses) classes.add(id);
  if (wholeClasses.size > 0) {
    for (const { id, classId } of await school.classSubjects()) if (wholeClasses.has(classId)) classSubjects.add(id);
  }
  return { all: false, classSubjects, classes, students };
}

/** @throws NotFoundError: rows outside the caller's scope do not exist for it */
export function requireReach(reach: Reach, kind: 'classSubjects' | 'classes' | 'students', id: string): void {
  if (!reach.all && !reach[kind].has(id)) throw new NotFoundError();
}
