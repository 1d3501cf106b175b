import { describe, expect, it } from 'vitest';
import { instantOf } from '../../../src/lib/clock.ts';
import {
  continueRule,
  endRuleAt,
  MOST_OCCURRENCES,
  normalizeRule,
  startsOf,
} from '../../../src/services/calendar/recurrence.ts';

const from = (startLocal: string, more: { isAllDay?: boolean; tz?: string } = {}) => ({
  startLocal,
  isAllDay: false,
  tz: 'Asia/Kolkata',
  ...more,
});
const days = (rule: string, start: string): string[] => startsOf(rule, from(start)).map((local) => local.slice(0, 10));

describe('recurrence', () => {
  it('C2: golden series skip dates that do not exist and do not count them', () => {
    expect(days('FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4', '2025-06-02T09:00')).toEqual([
      '2025-06-02',
      '2025-06-04',
      '2025-06-09',
      '2025-06-11',
    ]);
    const thirtyFirst = ['2025-01-31', '2025-03-31', '2025-05-31', '2025-07-31'];
    expect(days('FREQ=MONTHLY;COUNT=4', '2025-01-31T09:00')).toEqual(thirtyFirst);
    expect(days('FREQ=MONTHLY;BYMONTHDAY=31;COUNT=4', '2025-01-31T09:00')).toEqual(thirtyFirst);
    expect(days('FREQ=YEARLY;COUNT=3', '2024-02-29T09:00')).toEqual(['2024-02-29', '2028-02-29', '2032-02-29']);
  });

  it('C2: golden instants: a gap uses the offset before it, an overlap the first', () => {
    expect(instantOf('2025-03-30', '02:30', 'Europe/Berlin').toISOString()).toBe('2025-03-30T01:30:00.000Z');
    expect(instantOf('2025-10-26', '02:30', 'Europe/Berlin').toISOString()).toBe('2025-10-26T00:30:00.000Z');
  });

  it('C2: a series keeps its wall clock over a change of summer time', () => {
    const start = from('2025-03-29T02:30', { tz: 'Europe/Berlin' });
    expect(startsOf('FREQ=DAILY;COUNT=3', start)).toEqual(['2025-03-29T02:30', '2025-03-30T02:30', '2025-03-31T02:30']);
  });

  it.each([
    ['FREQ=DAILY;INTERVAL=3;COUNT=3', ['2025-06-02', '2025-06-05', '2025-06-08']],
    ['FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;COUNT=4', ['2025-06-02', '2025-06-08', '2025-06-16', '2025-06-22']],
    ['FREQ=MONTHLY;BYDAY=1MO;COUNT=3', ['2025-06-02', '2025-07-07', '2025-08-04']],
    ['FREQ=MONTHLY;BYMONTHDAY=2,-1;COUNT=4', ['2025-06-02', '2025-06-30', '2025-07-02', '2025-07-31']],
    ['FREQ=DAILY;UNTIL=20250604', ['2025-06-02', '2025-06-03', '2025-06-04']],
    ['FREQ=DAILY;UNTIL=20250604T090000', ['2025-06-02', '2025-06-03', '2025-06-04']],
    ['FREQ=DAILY;UNTIL=20250604T033000Z', ['2025-06-02', '2025-06-03', '2025-06-04']],
    ['FREQ=DAILY;UNTIL=20250604T032959Z', ['2025-06-02', '2025-06-03']],
  ])('C1: %s', (rule, expected) => {
    const start = from('2025-06-02T09:00');
    expect(startsOf(normalizeRule(rule, start), start).map((local) => local.slice(0, 10))).toEqual(expected);
  });

  it('C1: rules have one form, with UNTIL as RFC 5545 asks', () => {
    const timed = from('2025-06-02T09:00');
    expect(normalizeRule(' until=20250630;freq=weekly;byday=mo ', timed)).toBe(
      'FREQ=WEEKLY;BYDAY=MO;UNTIL=20250630T182900Z',
    );
    const allDay = from('2025-06-02T00:00', { isAllDay: true });
    expect(normalizeRule('FREQ=DAILY;UNTIL=20250630T100000Z', allDay)).toBe('FREQ=DAILY;UNTIL=20250630');
  });

  it.each([
    ['FREQ=HOURLY', 'FREQ'],
    ['BYDAY=MO', 'FREQ'],
    ['FREQ=DAILY;BYHOUR=9', 'BYHOUR'],
    ['FREQ=DAILY;BYSETPOS=1', 'BYSETPOS'],
    ['FREQ=MONTHLY;WKST=SU', 'WKST'],
    ['FREQ=DAILY;X-NAME=1', 'X-NAME'],
    ['FREQ=DAILY;', 'empty'],
    ['FREQ=DAILY;FREQ=DAILY', 'FREQ'],
    ['FREQ=DAILY;COUNT', 'COUNT'],
    ['FREQ=DAILY;COUNT=0', 'COUNT'],
    ['FREQ=DAILY;COUNT=-1', 'COUNT'],
    ['FREQ=DAILY;COUNT=1e3', 'COUNT'],
    ['FREQ=DAILY;INTERVAL=0', 'INTERVAL'],
    ['FREQ=DAILY;INTERVAL=1000000000', 'INTERVAL'],
    ['FREQ=DAILY;COUNT=3;UNTIL=20250630', 'COUNT'],
    ['FREQ=DAILY;UNTIL=20250631', 'UNTIL'],
    ['FREQ=DAILY;UNTIL=99991231', 'UNTIL'],
    ['FREQ=DAILY;UNTIL=20200101', 'UNTIL'],
    ['FREQ=DAILY;UNTIL=tomorrow', 'UNTIL'],
    ['FREQ=WEEKLY;BYDAY=1MO', 'BYDAY'],
    ['FREQ=YEARLY;BYDAY=20MO', 'BYDAY'],
    ['FREQ=MONTHLY;BYDAY=6MO', 'BYDAY'],
    ['FREQ=MONTHLY;BYDAY=-MO', 'BYDAY'],
    ['FREQ=WEEKLY;BYMONTHDAY=3', 'BYMONTHDAY'],
    ['FREQ=MONTHLY;BYMONTHDAY=32', 'BYMONTHDAY'],
    ['FREQ=WEEKLY;BYDAY=TU', 'start'],
    ['FREQ=YEARLY;INTERVAL=99;COUNT=3', '2199'],
  ])('C1: refuses %s, naming what is wrong', (rule, named) => {
    expect(() => normalizeRule(rule, from('2025-06-02T09:00'))).toThrow(
      expect.objectContaining({ code: 'BAD_RRULE', message: expect.stringContaining(named) }),
    );
  });

  it.each(['FREQ=DAILY;COUNT=731', 'FREQ=DAILY;COUNT=1000000', 'FREQ=DAILY;UNTIL=21991231'])(
    'C1: %s is too many',
    (rule) => {
      expect(() => normalizeRule(rule, from('2025-06-02T09:00'))).toThrow(
        expect.objectContaining({ code: 'TOO_MANY' }),
      );
    },
  );

  it('C1: takes 730 occurrences, and shows so many of a series without an end', () => {
    const start = from('2025-06-02T09:00');
    expect(startsOf(normalizeRule('FREQ=DAILY;COUNT=730', start), start)).toHaveLength(MOST_OCCURRENCES);
    expect(startsOf(normalizeRule('FREQ=DAILY', start), start).at(-1)).toBe('2027-06-01T09:00');
  });

  it.each([
    ['FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31', '2025-02-02T09:00'],
    ['FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31;COUNT=3', '2025-02-02T09:00'],
    ['FREQ=DAILY;INTERVAL=366;BYMONTHDAY=31;BYDAY=MO', '2025-02-02T09:00'],
  ])('C1: %s, which never or hardly ever occurs, is refused within bounded work', (rule, start) => {
    expect(() => normalizeRule(rule, from(start))).toThrow(expect.objectContaining({ code: 'BAD_RRULE' }));
  });

  it('C3: splits a rule into what was and what follows', () => {
    const start = from('2025-06-02T09:00');
    const rule = 'FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4';
    const old = endRuleAt(rule, '2025-06-04T09:00', start);
    expect(startsOf(old, start)).toEqual(['2025-06-02T09:00', '2025-06-04T09:00']);
    expect(startsOf(continueRule(rule, 2), from('2025-06-09T09:00'))).toEqual(['2025-06-09T09:00', '2025-06-11T09:00']);
  });
});
