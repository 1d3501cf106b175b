import ICAL from 'ical.js';
import { describe, expect, it } from 'vitest';
import { addDays, instantOf } from '../../../src/lib/clock.ts';
import { timeZoneComponent } from '../../../src/services/calendar/time-zone-component.ts';

const FROM = '2025-01-20';
const DAYS = 1_000;

describe('a VTIMEZONE', () => {
  it.each([
    'Asia/Kolkata',
    'Europe/Berlin',
    'Europe/Dublin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Africa/Casablanca',
    'America/Santiago',
  ])('C2: has another parser make the same instants of the clock in %s', (tz) => {
    const from = Date.parse(FROM);
    const lines = timeZoneComponent(tz, from, from + DAYS * 86_400_000);
    const zone = new ICAL.Timezone(new ICAL.Component(ICAL.parse(lines.join('\r\n'))));
    for (let day = 1; day < DAYS; day += 3) {
      const date = addDays(FROM, day);
      const [year, month, dayOfMonth] = date.split('-').map(Number) as [number, number, number];
      const time = new ICAL.Time({ year, month, day: dayOfMonth, hour: 10, minute: 0, second: 0, isDate: false }, zone);
      expect(`${date} ${time.toJSDate().toISOString()}`).toBe(`${date} ${instantOf(date, '10:00', tz).toISOString()}`);
    }
  });
});
