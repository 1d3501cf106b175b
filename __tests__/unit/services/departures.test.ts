import { describe, expect, it } from 'vitest';
import { type Obligations, openItemsOf } from '../../../src/services/school/departures.ts';
import { createTestLog } from '../../support/test-log.ts';

const loan = { id: 'l1', label: 'Atlas', due_on: '2025-09-30', amount_minor: null };
const loans: Obligations = { kind: 'loans', openOf: async (studentId) => (studentId === 's1' ? [loan] : []) };
const broken: Obligations = {
  kind: 'dues',
  openOf: async () => {
    throw new Error('away');
  },
};

describe('open items of a leaving student', () => {
  it('A6: come from every service that lends or bills', async () => {
    expect(await openItemsOf('s1', [loans], createTestLog())).toEqual({ items: { loans: [loan] }, degraded: [] });
    expect(await openItemsOf('s2', [loans], createTestLog())).toEqual({ items: { loans: [] }, degraded: [] });
  });

  it('A6: name the service that could not be asked, and show the others', async () => {
    const log = createTestLog();
    expect(await openItemsOf('s1', [broken, loans], log)).toEqual({
      items: { dues: null, loans: [loan] },
      degraded: ['dues'],
    });
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { kind: 'dues' } }]);
  });
});
