import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addDays, daysBetween, instantOf, schoolDateOf, schoolTimeOf, weekdayOf } from '../../../src/lib/clock.ts';

describe('school time', () => {
  it.each([
    ['2025-09-10T18:29:59Z', 'Asia/Kolkata', '2025-09-10', '23:59'],
    ['2025-09-10T18:30:00Z', 'Asia/Kolkata', '2025-09-11', '00:00'],
    ['2025-12-31T23:30:00Z', 'UTC', '2025-12-31', '23:30'],
    ['2026-01-01T07:59:00Z', 'America/Los_Angeles', '2025-12-31', '23:59'],
    ['2025-09-10T11:15:00Z', 'Asia/Kathmandu', '2025-09-10', '17:00'],
  ])('%s in %s is %s %s', (instant, zone, date, time) => {
    expect([schoolDateOf(new Date(instant), zone), schoolTimeOf(new Date(instant), zone)]).toEqual([date, time]);
  });

  it('the hour that summer time skips is as much later, the hour that comes twice is the first', () => {
    expect(instantOf('2025-03-30', '01:59', 'Europe/Berlin').toISOString()).toBe('2025-03-30T00:59:00.000Z');
    expect(instantOf('2025-03-30', '02:30', 'Europe/Berlin').toISOString()).toBe('2025-03-30T01:30:00.000Z');
    expect(instantOf('2025-03-30', '03:00', 'Europe/Berlin').toISOString()).toBe('2025-03-30T01:00:00.000Z');
    expect(instantOf('2025-10-26', '02:30', 'Europe/Berlin').toISOString()).toBe('2025-10-26T00:30:00.000Z');
  });

  it('a wall clock leads to its instant and back, in any zone and year', () => {
    const zones = fc.constantFrom(
      'Asia/Kolkata',
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'Pacific/Apia',
    );
    const minutes = fc.integer({ min: Date.UTC(2000, 0, 1) / 60_000, max: Date.UTC(2099, 11, 31) / 60_000 });
    fc.assert(
      fc.property(zones, minutes, (zone, minute) => {
        const instant = new Date(minute * 60_000);
        const back = instantOf(schoolDateOf(instant, zone), schoolTimeOf(instant, zone), zone);
        // In the hour that comes twice the first one stands for both.
        const differenceMs = instant.getTime() - back.getTime();
        expect([schoolDateOf(back, zone), schoolTimeOf(back, zone)]).toEqual([
          schoolDateOf(instant, zone),
          schoolTimeOf(instant, zone),
        ]);
        expect([0, 30 * 60_000, 60 * 60_000]).toContain(differenceMs);
      }),
    );
  });

  it('refuses a zone that does not exist', () => {
    expect(() => schoolDateOf(new Date(), 'Mars/Olympus')).toThrow(RangeError);
  });

  it('counts days over months, leap years and changes of the clock', () => {
    expect(addDays('2024-02-28', 1)).toBe('2024-02-29');
    expect(addDays('2025-03-01', -1)).toBe('2025-02-28');
    expect(daysBetween('2025-03-29', '2025-03-31')).toBe(2);
    expect(daysBetween('2025-12-31', '2025-12-01')).toBe(-30);
    expect(['2025-09-08', '2025-09-14'].map(weekdayOf)).toEqual([1, 7]);
  });
});
