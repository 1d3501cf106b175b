import { describe, expect, it } from 'vitest';
import { ROLES, type Role } from '../../../src/lib/actor.ts';
import type { Capability, Verb } from '../../../src/lib/route.ts';
import { can } from '../../../src/services/auth/permissions.ts';

/**
 * The specification's table, a line a capability; columns as there: admin, principal, teacher, student, parent, accountant,
 * storekeeper, driver. Words stand for the verbs that have no letter.
 */
const SPECIFICATION = `
users                  | A:rwx | A:r  | –         | –          | –        | –          | –       | –
own_profile            | O:rw  | O:rw | O:rw      | O:rw       | O:rw     | O:rw       | O:rw    | O:rw
students               | A:rw  | A:r  | TH:r      | O:r        | C:r      | A:r        | A:r     | R:r
structure              | A:rw  | A:r  | A:r       | O:r        | C:r      | A:r        | A:r     | –
dashboards             | A:r   | A:r  | O:r       | O:r        | C:r      | O:r        | O:r     | O:r
leaderboard            | A:r   | A:r  | TH:r      | O:r        | C:r      | –          | –       | –
points                 | A:w   | –    | T:w       | –          | –        | –          | –       | –
announcements          | A:rwd | A:rwd | TH:rw    | O:r        | C:r      | O:r        | O:r     | O:r
question_bank          | A:rw  | A:r  | O:rw      | –          | –        | –          | –       | –
quizzes                | A:rwx | A:r  | T:rwx     | O:r        | C:r      | –          | –       | –
quiz_attempts          | A:rx  | A:r  | T:r mark void | O:rw   | C:r      | –          | –       | –
homework               | A:rw  | A:r  | T:rwd     | O:r submit | C:r      | –          | –       | –
attendance             | A:rw  | A:r  | TH:rw     | O:r        | C:r      | –          | –       | –
attendance_corrections | A:rwx | A:rx | TH:rw     | –          | –        | –          | –       | –
leave_requests         | A:rwx | A:rx | H:rx      | O:rw       | C:rw     | –          | –       | –
fee_setup              | A:rwx | A:rx | –         | –          | C:r      | A:rw       | –       | –
invoices               | A:rwx | A:r  | –         | O:r        | C:r      | A:rw       | –       | –
payments               | A:rwx | A:r  | –         | O:r        | C:r pay  | A:rw reverse | –     | –
refunds                | A:rwx | A:rx | –         | –          | C:r      | A:rw       | –       | –
stock                  | A:rwx | A:r  | O:r       | O:r        | C:r      | –          | A:rw    | –
transport              | A:rw  | A:r  | –         | O:r        | C:r      | A:r        | –       | R:r
trips                  | A:rw  | A:r  | –         | O:r        | C:r      | –          | –       | R:rw
events                 | A:rwd | A:rwd | TH:rwd   | O:r rsvp   | C:r rsvp | O:r        | O:r     | O:r
term_marks             | A:rw  | A:r  | T:rw      | O:r        | C:r      | –          | –       | –
report_cards           | A:rwx | A:rx | H:rw      | O:r        | C:r      | –          | –       | –
reports                | A:rw  | A:rw | TH:rw     | O:rw       | C:rw     | O:rw       | O:rw    | –
buffers                | A:rwx | –    | –         | –          | –        | –          | –       | –
audit_log              | A:r   | A:r  | –         | –          | –        | –          | –       | –
`;

const VERBS: readonly Verb[] = ['r', 'w', 'x', 'd', 'submit', 'mark', 'void', 'pay', 'reverse', 'rsvp'];

const rows = SPECIFICATION.trim()
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()) as [Capability, ...string[]]);

function expected(cell: string, verb: Verb): string[] {
  const [scopes, verbs] = cell.split(':');
  if (!verbs) return [];
  const [letters, ...words] = verbs.split(' ');
  const granted = [...letters!, ...words];
  // Whoever may void anything may void and reverse by name.
  const isGranted = granted.includes(verb) || (granted.includes('x') && (verb === 'void' || verb === 'reverse'));
  return isGranted ? [...scopes!] : [];
}

describe('permissions', () => {
  it.each(rows)('%s is as the specification has it, for every role and verb', (capability, ...cells) => {
    expect(cells).toHaveLength(ROLES.length);
    for (const [column, role] of ROLES.entries()) {
      for (const verb of VERBS) {
        expect([role, verb, [...can({ roles: [role] }, capability, verb)].sort()]).toEqual([
          role,
          verb,
          expected(cells[column]!, verb).sort(),
        ]);
      }
    }
  });

  it('unites the roles of somebody who has several, the widest scope first', () => {
    const roles: Role[] = ['parent', 'teacher'];
    expect(can({ roles }, 'homework', 'r')).toEqual(['T', 'C']);
    expect(can({ roles }, 'homework', 'w')).toEqual(['T']);
    expect(can({ roles: ['teacher', 'admin'] }, 'attendance', 'w')).toEqual(['A', 'T', 'H']);
  });

  it('grants nothing to somebody without a role', () => {
    for (const [capability] of rows) for (const verb of VERBS) expect(can({ roles: [] }, capability, verb)).toEqual([]);
  });

  it('does not mix up lists of roles that read alike', () => {
    expect(can({ roles: ['student'] }, 'buffers', 'r')).toEqual([]);
    expect(can({ roles: ['admin'] }, 'buffers', 'r')).toEqual(['A']);
    expect(can({ roles: ['student'] }, 'buffers', 'r')).toEqual([]);
  });
});
