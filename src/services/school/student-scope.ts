import type { RequestContext } from '../../lib/route.ts';
import { type Reach, reachOf } from '../scope.ts';
import type { School } from './school.ts';
import type { StudentRow, StudentRows } from './student-store.ts';

/** Roles whose A holds every field of a student; a storekeeper's holds name and class (DOMAIN §1). */
const WHOLE_ROLES = ['admin', 'principal', 'accountant'] as const;

/** How much of a student somebody sees: everything, what families see, or name and class. */
export type StudentSight = 'staff' | 'family' | 'narrow';

/** Which students a caller may see, and how much of each. */
export interface StudentReach extends StudentRows {
  /** How much of a student inside these rows; undefined outside. @param on school date of the row's class */
  sightOf(row: Pick<StudentRow, 'id' | 'classId' | 'status' | 'leftOn'>, on: string): StudentSight | undefined;
}

export async function studentReachOf(
  { actor, scope }: Pick<RequestContext, 'actor' | 'scope'>,
  school: School,
): Promise<StudentReach> {
  const isAll = scope.includes('A');
  const isWhole = isAll && WHOLE_ROLES.some((role) => actor.roles.includes(role));
  const reach: Reach = await reachOf(
    actor,
    scope.filter((code) => code !== 'A'),
    school,
  );
  const { studentId } = await actor.scopes();
  const own = studentId !== null && scope.includes('O') ? [studentId] : [];
  const children = [...reach.students].filter((id) => !own.includes(id));
  return {
    all: isAll,
    classes: [...reach.ledClasses],
    own,
    children,
    sightOf({ id, classId, status, leftOn }, on) {
      if (isWhole || (classId !== null && reach.ledClasses.has(classId))) return 'staff';
      if (own.includes(id)) return 'family';
      // Parents keep a student who has left in their money matters and report cards only.
      const isHere = status === 'active' || (leftOn !== null && leftOn >= on);
      if (children.includes(id) && isHere) return 'family';
      return isAll ? 'narrow' : undefined;
    },
  };
}
