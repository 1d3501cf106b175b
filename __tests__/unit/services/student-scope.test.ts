import { describe, expect, it } from 'vitest';
import type { Role } from '../../../src/lib/actor.ts';
import { EVERYTHING, NOTHING, type Reach } from '../../../src/lib/reach.ts';
import { SCOPED_STUDENT, studentReachOf } from '../../../src/services/school/student-scope.ts';
import { matches } from '../../../src/stores/postgres/conditions.ts';

const row = (id: string, classId: string | null = null) => ({ id, classId });
const callerWith = (roles: Role[], reach: Reach, named: Reach = reach) => ({
  actor: { roles } as never,
  reach: async () => reach,
  namedReach: async () => named,
});
const rows: Reach = {
  ...NOTHING,
  ledClasses: new Set(['led']),
  ownStudents: new Set(['me']),
  children: new Set(['child']),
  formerChildren: new Set(['former']),
};

describe('how much of a student somebody sees', () => {
  it('follows from the rule that the student is reached by', async () => {
    const { condition, sightOf } = await studentReachOf(callerWith(['teacher', 'parent'], rows));
    const seen = [row('any', 'led'), row('me'), row('child', 'other'), row('former'), row('any', 'other'), row('any')];
    expect(seen.map(sightOf)).toEqual(['staff', 'family', 'family', undefined, undefined, undefined]);
    // What a list holds is what single students are.
    for (const one of seen) expect(matches(SCOPED_STUDENT, one, [condition!])).toBe(sightOf(one) !== undefined);
  });

  it('is all for those who run the school, and for others with all rows more of those that they have by another role', async () => {
    const office = await studentReachOf(callerWith(['accountant'], EVERYTHING));
    expect(office.sightOf(row('any'))).toBe('staff');
    const store = await studentReachOf(callerWith(['storekeeper', 'parent'], EVERYTHING, rows));
    expect(store.condition).toBeUndefined();
    expect([row('any', 'other'), row('child', 'other'), row('any', 'led')].map(store.sightOf)).toEqual([
      'narrow',
      'family',
      'staff',
    ]);
  });
});
