import { type Actor, ROLES, type Role, type ScopeCode } from '../../lib/actor.ts';
import type { Capability, Verb } from '../../lib/route.ts';

type Grant = `${string}:${string}`;
type Row = Partial<Record<Role, Grant>>;

const all = (verbs: string): Grant => `A:${verbs}`;
const everybody = (scope: ScopeCode, verbs: string): Row =>
  Object.fromEntries(ROLES.map((role) => [role, `${scope}:${verbs}`]));

/**
 * The matrix of DOMAIN §1, a line a capability: `scopes:verbs` for each role. Where a scope needs a condition of its own
 * (own fields, released marks, a child's route), the service adds it.
 */
const MATRIX: Record<Capability, Row> = {
  users: { admin: all('r w x'), principal: all('r') },
  own_profile: everybody('O', 'r w'),
  students: {
    admin: all('r w'),
    principal: all('r'),
    teacher: 'TH:r',
    student: 'O:r',
    parent: 'C:r',
    accountant: all('r'),
    storekeeper: all('r'),
    driver: 'R:r',
  },
  structure: {
    admin: all('r w'),
    principal: all('r'),
    teacher: all('r'),
    student: 'O:r',
    parent: 'C:r',
    accountant: all('r'),
    storekeeper: all('r'),
  },
  dashboards: { ...everybody('O', 'r'), admin: all('r'), principal: all('r'), parent: 'C:r' },
  leaderboard: { admin: all('r'), principal: all('r'), teacher: 'TH:r', student: 'O:r', parent: 'C:r' },
  points: { admin: all('w'), teacher: 'T:w' },
  announcements: {
    ...everybody('O', 'r'),
    admin: all('r w d'),
    principal: all('r w d'),
    teacher: 'TH:r w',
    parent: 'C:r',
  },
  question_bank: { admin: all('r w'), principal: all('r'), teacher: 'O:r w' },
  quizzes: { admin: all('r w x'), principal: all('r'), teacher: 'T:r w x', student: 'O:r', parent: 'C:r' },
  quiz_attempts: { admin: all('r x'), principal: all('r'), teacher: 'T:r mark void', student: 'O:r w', parent: 'C:r' },
  homework: { admin: all('r w'), principal: all('r'), teacher: 'T:r w d', student: 'O:r submit', parent: 'C:r' },
  attendance: { admin: all('r w'), principal: all('r'), teacher: 'TH:r w', student: 'O:r', parent: 'C:r' },
  attendance_corrections: { admin: all('r w x'), principal: all('r x'), teacher: 'TH:r w' },
  leave_requests: { admin: all('r w x'), principal: all('r x'), teacher: 'H:r x', student: 'O:r w', parent: 'C:r w' },
  fee_setup: { admin: all('r w x'), principal: all('r x'), parent: 'C:r', accountant: all('r w') },
  invoices: { admin: all('r w x'), principal: all('r'), student: 'O:r', parent: 'C:r', accountant: all('r w') },
  payments: {
    admin: all('r w x'),
    principal: all('r'),
    student: 'O:r',
    parent: 'C:r pay',
    accountant: all('r w reverse'),
  },
  refunds: { admin: all('r w x'), principal: all('r x'), parent: 'C:r', accountant: all('r w') },
  stock: {
    admin: all('r w x'),
    principal: all('r'),
    teacher: 'O:r',
    student: 'O:r',
    parent: 'C:r',
    storekeeper: all('r w'),
  },
  transport: {
    admin: all('r w'),
    principal: all('r'),
    student: 'O:r',
    parent: 'C:r',
    accountant: all('r'),
    driver: 'R:r',
  },
  trips: { admin: all('r w'), principal: all('r'), student: 'O:r', parent: 'C:r', driver: 'R:r w' },
  events: {
    ...everybody('O', 'r'),
    admin: all('r w d'),
    principal: all('r w d'),
    teacher: 'TH:r w d',
    student: 'O:r rsvp',
    parent: 'C:r rsvp',
  },
  term_marks: { admin: all('r w'), principal: all('r'), teacher: 'T:r w', student: 'O:r', parent: 'C:r' },
  report_cards: { admin: all('r w x'), principal: all('r x'), teacher: 'H:r w', student: 'O:r', parent: 'C:r' },
  reports: {
    admin: all('r w'),
    principal: all('r w'),
    teacher: 'TH:r w',
    student: 'O:r w',
    parent: 'C:r w',
    accountant: 'O:r w',
    storekeeper: 'O:r w',
  },
  buffers: { admin: all('r w x') },
  audit_log: { admin: all('r'), principal: all('r') },
};

/** Who may approve or void in general may do so by its other names too. */
const PART_OF_X: readonly Verb[] = ['void', 'reverse'];

/** Widest first: a handler that finds A needs to look no further. */
const ORDER: readonly ScopeCode[] = ['A', 'T', 'H', 'C', 'O', 'R'];
const known = new Map<string, readonly ScopeCode[]>();

/** The scopes in which an actor's roles have a capability's verb, united; none means forbidden. */
export function can({ roles }: Pick<Actor, 'roles'>, capability: Capability, verb: Verb): readonly ScopeCode[] {
  const name = `${capability} ${verb} ${roles.join()}`;
  let scopes = known.get(name);
  if (!scopes) {
    const granted = new Set<ScopeCode>();
    for (const role of roles) {
      const [codes, verbs] = MATRIX[capability][role]?.split(':') ?? [];
      const own = verbs?.split(' ') ?? [];
      if (own.includes(verb) || (own.includes('x') && PART_OF_X.includes(verb)))
        for (const code of codes!) granted.add(code as ScopeCode);
    }
    scopes = ORDER.filter((code) => granted.has(code));
    known.set(name, scopes);
  }
  return scopes;
}
