import { describe, expect, it } from 'vitest';
import { Departures, type Obligation } from '../../../src/services/school/departures.ts';
import { createTestLog } from '../../support/test-log.ts';

const loan: Obligation = { kind: 'loan', id: 'l1', label: 'Atlas', due_on: '2025-09-30', amount_minor: null };

describe('obligations of a leaving student', () => {
  it('A6: come from every service that lends or bills, in their order; others need not know of any', async () => {
    const departures = new Departures(createTestLog());
    expect(await departures.obligationsOf('s1')).toEqual({ items: [], degraded: [] });
    const due: Obligation = { ...loan, kind: 'due', id: 'd1' };
    departures.register({ name: 'fee', obligationsOf: async () => [due] });
    departures.register({ name: 'transport' });
    departures.register({ name: 'inventory', obligationsOf: async (id) => (id === 's1' ? [loan] : []) });
    expect(await departures.obligationsOf('s1')).toEqual({ items: [due, loan], degraded: [] });
    expect(await departures.obligationsOf('s2')).toEqual({ items: [due], degraded: [] });
  });

  it('A6: name the service that could not be asked, whether it throws or rejects, and show the others', async () => {
    const log = createTestLog();
    const departures = new Departures(log);
    departures.register({ name: 'fee', obligationsOf: () => Promise.reject(new Error('away')) });
    departures.register({
      name: 'library',
      obligationsOf() {
        throw new Error('away');
      },
    });
    departures.register({ name: 'inventory', obligationsOf: async () => [loan] });
    expect(await departures.obligationsOf('s1')).toEqual({ items: [loan], degraded: ['fee', 'library'] });
    expect(log.lines).toMatchObject([
      { level: 'warn', fields: { service: 'fee' } },
      { level: 'warn', fields: { service: 'library' } },
    ]);
  });
});
