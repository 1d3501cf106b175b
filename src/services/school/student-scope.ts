import type { Condition, ScopeRule } from '../../lib/condition.ts';
import { uuid } from '../../lib/entity.ts';
import type { RequestContext } from '../../lib/route.ts';
import { type Described, matches } from '../../stores/postgres/conditions.ts';
import { reachCondition } from '../../stores/postgres/reach-condition.ts';
import type { StudentRow } from './student-store.ts';

/** Roles whose A holds every field of a student; a storekeeper's holds name and class (DOMAIN §1). */
const WHOLE_ROLES = ['admin', 'principal', 'accountant'] as const;

/** How much of a student somebody sees: everything, what families see, or name and class. */
export type StudentSight = 'staff' | 'family' | 'narrow';

type ScopedRow = Pick<StudentRow, 'id' | 'classId'>;

/** Columns of a student's row that decide who reaches it, as the store's statements and rows name them. */
export const SCOPED_STUDENT: Described = {
  name: 'student',
  columns: { id: uuid, classId: uuid },
};

/** By their class today: T and H. */
const LED: readonly ScopeRule[] = [{ rows: 'ledClasses', column: 'classId' }];

/** By themselves: O and C. */
const FAMILY: readonly ScopeRule[] = [
  { rows: 'ownStudents', column: 'id' },
  { rows: 'children', column: 'id' },
];

/** Which students a caller may see, and how much of each. */
export interface StudentReach {
  /** Of rows in reach; undefined where all are. */
  condition: Condition | undefined;
  /** How much of a student; undefined outside the reach. */
  sightOf(row: ScopedRow): StudentSight | undefined;
}

export async function studentReachOf(
  caller: Pick<RequestContext, 'actor' | 'reach' | 'namedReach'>,
): Promise<StudentReach> {
  const reach = await caller.reach();
  const isWhole = reach.all && WHOLE_ROLES.some((role) => caller.actor.roles.includes(role));
  // Who sees a little of all may see more of some: a storekeeper of its own children.
  const named = isWhole ? reach : await caller.namedReach();
  const [led, related] = [reachCondition(LED, named), reachCondition(FAMILY, named)];
  return {
    condition: reachCondition([...LED, ...FAMILY], reach),
    sightOf(row) {
      if (holds(led, row)) return 'staff';
      if (holds(related, row)) return 'family';
      return reach.all ? 'narrow' : undefined;
    },
  };
}

const holds = (condition: Condition | undefined, row: ScopedRow): boolean =>
  condition === undefined || matches(SCOPED_STUDENT, { ...row }, [condition]);
