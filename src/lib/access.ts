import type { Role } from './actor.ts';

/** Which rows: all, taught, homeroom, own, children, route (DOMAIN §1). */
export type ScopeCode = 'A' | 'T' | 'H' | 'O' | 'C' | 'R';
/** Read, write, approve or void, delete. */
export type Verb = 'r' | 'w' | 'x' | 'd';

type Grant = `${string}:${string}`;
type Row = Partial<Record<Role, Grant | Grant[]>>;

const all = (verbs: string): Grant => `A:${verbs}`;

/**
 * The matrix of DOMAIN §1, a line a capability: `scopes:verbs` for each role. Where a scope needs a condition of its own
 * (own fields, released marks, a child's route), the service adds it.
 */
const MATRIX = {
  users: { admin: all('rwx'), principal: all('r') },
  profile: {
    admin: 'O:rw',
    principal: 'O:rw',
    teacher: 'O:rw',
    student: 'O:rw',
    parent: 'O:rw',
    accountant: 'O:rw',
    storekeeper: 'O:rw',
    driver: 'O:rw',
  },
  students: {
    admin: all('rw'),
    principal: all('r'),
    teacher: 'TH:r',
    student: 'O:r',
    parent: 'C:r',
    accountant: all('r'),
    storekeeper: all('r'),
    driver: 'R:r',
  },
  structure: {
    admin: all('rw'),
    principal: all('r'),
    teacher: all('r'),
    student: 'O:r',
    parent: 'C:r',
    accountant: all('r'),
    storekeeper: all('r'),
  },
  dashboards: {
    admin: all('r'),
    principal: all('r'),
    teacher: 'O:r',
    student: 'O:r',
    parent: 'C:r',
    accountant: 'O:r',
    storekeeper: 'O:r',
    driver: 'O:r',
  },
  leaderboard: { admin: all('r'), principal: all('r'), teacher: 'TH:r', student: 'O:r', parent: 'C:r' },
  announcements: {
    admin: all('rwd'),
    principal: all('rwd'),
    teacher: 'TH:rw',
    student: 'O:r',
    parent: 'C:r',
    accountant: 'O:r',
    storekeeper: 'O:r',
    driver: 'O:r',
  },
  questions: { admin: all('rw'), principal: all('r'), teacher: 'O:rw' },
  quizzes: { admin: all('rwx'), principal: all('r'), teacher: 'T:rwx', student: 'O:r', parent: 'C:r' },
  quiz_attempts: { admin: all('rx'), principal: all('r'), teacher: 'T:rwx', student: 'O:rw', parent: 'C:r' },
  homework: { admin: all('rwd'), principal: all('r'), teacher: 'T:rwd', student: 'O:r', parent: 'C:r' },
  homework_submissions: { admin: all('r'), principal: all('r'), teacher: 'T:r', student: 'O:rw', parent: 'C:r' },
  attendance: { admin: all('rw'), principal: all('r'), teacher: 'TH:rw', student: 'O:r', parent: 'C:r' },
  attendance_corrections: { admin: all('rwx'), principal: all('rx'), teacher: 'TH:rw' },
  leave_requests: { admin: all('rwx'), principal: all('rx'), teacher: 'H:rx', student: 'O:rw', parent: 'C:rw' },
  fee_setup: { admin: all('rwx'), principal: all('rx'), parent: 'C:r', accountant: all('rw') },
  invoices: { admin: all('rwx'), principal: all('r'), student: 'O:r', parent: 'C:r', accountant: all('rw') },
  payments: { admin: all('rwx'), principal: all('r'), student: 'O:r', parent: 'C:rw', accountant: all('rwx') },
  refunds: { admin: all('rwx'), principal: all('rx'), parent: 'C:r', accountant: all('rw') },
  stock: { admin: all('rwx'), principal: all('r'), teacher: 'O:r', student: 'O:r', parent: 'C:r', storekeeper: all('rw') },
  transport: { admin: all('rw'), principal: all('r'), student: 'O:r', parent: 'C:r', accountant: all('r'), driver: 'R:r' },
  trips: { admin: all('rw'), principal: all('r'), student: 'O:r', parent: 'C:r', driver: 'R:rw' },
  events: {
    admin: all('rwd'),
    principal: all('rwd'),
    teacher: 'TH:rwd',
    student: 'O:r',
    parent: 'C:r',
    accountant: 'O:r',
    storekeeper: 'O:r',
    driver: 'O:r',
  },
  term_marks: { admin: all('rw'), principal: all('r'), teacher: 'T:rw', student: 'O:r', parent: 'C:r' },
  report_cards: { admin: all('rwx'), principal: all('rx'), teacher: 'H:rw', student: 'O:r', parent: 'C:r' },
  reports: {
    admin: all('rw'),
    principal: all('rw'),
    teacher: 'TH:rw',
    student: 'O:rw',
    parent: 'C:rw',
    accountant: 'O:rw',
    storekeeper: 'O:rw',
  },
  audit: { admin: all('r'), principal: all('r') },
  operations: { admin: all('rwx') },
} satisfies Record<string, Row>;

export type Capability = keyof typeof MATRIX;
export const CAPABILITIES = Object.keys(MATRIX) as Capability[];

const matrix: Record<Capability, Row> = MATRIX;

/** The scopes in which these roles have a capability's verb, united; none means forbidden. */
export function scopesFor(roles: readonly Role[], capability: Capability, verb: Verb): ScopeCode[] {
  const scopes = new Set<ScopeCode>();
  for (const role of roles) {
    for (const grant of [matrix[capability][role] ?? []].flat()) {
      const [codes, verbs] = grant.split(':') as [string, string];
      if (verbs.includes(verb)) for (const code of codes) scopes.add(code as ScopeCode);
    }
  }
  return [...scopes];
}
