import { type ScopeCode, type Scopes, takenOverOn } from '../../lib/actor.ts';
import {
  EVERYTHING,
  NAMED_ROWS,
  type NamedRows,
  NOTHING,
  type Reach,
  type Reaching,
  type ReachSource,
  type RowScopes,
} from '../../lib/reach.ts';
import type { School } from '../school/school.ts';

const ALL = Promise.resolve(EVERYTHING);
const NONE = Promise.resolve(NOTHING);

type Rows = Record<NamedRows, Set<string>>;

/**
 * Turns scopes into rows (DOMAIN §1): the one place that knows what T, H, O and C mean. R means what the sources say.
 *
 * @param sources of services whose rows a scope covers and a login's own scopes do not name
 */
export function createRowScopes({
  school,
  sources,
}: {
  school: Pick<School, 'classSubjects' | 'classOf' | 'today'>;
  sources: readonly ReachSource[];
}): RowScopes {
  async function limited(actor: Reaching, scope: readonly ScopeCode[]): Promise<Reach> {
    const rows = {} as Rows;
    for (const name of NAMED_ROWS) rows[name] = new Set();
    const scopes = await actor.scopes();
    addOwn(rows, scope, actor.userId, scopes);
    if (scope.includes('C')) await addChildren(rows, scopes.children);
    await addCovered(rows, scope, scopes);
    for (const source of sources) if (scope.includes(source.scope)) add(rows, await source.load(actor));
    return joined(rows);
  }

  /** Parents keep a student who has left in its money matters and report cards only. */
  async function addChildren(rows: Rows, children: Scopes['children']): Promise<void> {
    for (const child of children) {
      const hasLeft = child.leftOn != null && child.leftOn < (await school.today());
      rows[hasLeft ? 'formerChildren' : 'children'].add(child.studentId);
      if (child.class && !hasLeft) rows.followedClasses.add(child.class.id);
    }
  }

  /** A substitute holds T and H of the class on its day. */
  async function addCovered(
    { homerooms, taught, taughtClasses }: Rows,
    scope: readonly ScopeCode[],
    scopes: Scopes,
  ): Promise<void> {
    const covered = new Set(takenOverOn(scopes, await school.today()).map(({ id }) => id));
    if (scope.includes('H')) for (const id of covered) homerooms.add(id);
    if (!scope.includes('T') || covered.size === 0) return;
    for (const id of covered) taughtClasses.add(id);
    for (const { id, classId } of await school.classSubjects()) if (covered.has(classId)) taught.add(id);
  }

  async function joined(rows: Rows): Promise<Reach> {
    const { taught, taughtClasses, homerooms, ownStudents, children, students, followedClasses } = rows;
    const ledClasses = union(taughtClasses, homerooms);
    const whole = union(homerooms, followedClasses);
    let classSubjects = taught;
    if (whole.size > 0) {
      classSubjects = new Set(taught);
      for (const { id, classId } of await school.classSubjects()) if (whole.has(classId)) classSubjects.add(id);
    }
    return {
      all: false,
      ...rows,
      students: union(union(ownStudents, children), students),
      ledClasses,
      classes: union(ledClasses, followedClasses),
      classSubjects,
      parents: NOTHING.parents,
    };
  }

  return {
    reachOf(actor, scope) {
      if (scope.includes('A')) return ALL;
      return scope.length === 0 ? NONE : limited(actor, scope);
    },
    classOf: async (studentId) => school.classOf(studentId, await school.today()),
  };
}

function addOwn(rows: Rows, scope: readonly ScopeCode[], userId: string, scopes: Scopes): void {
  if (scope.includes('T')) {
    for (const { classSubjectId, classId } of scopes.teaches) {
      rows.taught.add(classSubjectId);
      rows.taughtClasses.add(classId);
    }
  }
  if (scope.includes('H')) for (const { id } of scopes.homerooms) rows.homerooms.add(id);
  if (scope.includes('O')) {
    rows.users.add(userId);
    if (scopes.studentId) rows.ownStudents.add(scopes.studentId);
    if (scopes.ownClass) rows.followedClasses.add(scopes.ownClass.id);
  }
}

/** No copy where one is empty: this runs with most requests. */
function union(a: Set<string>, b: Set<string>): Set<string> {
  if (b.size === 0) return a;
  return a.size === 0 ? b : new Set([...a, ...b]);
}

function add(rows: Rows, more: Partial<Record<NamedRows, Iterable<string>>>): void {
  for (const [name, ids] of Object.entries(more)) for (const id of ids) rows[name as NamedRows].add(id);
}
