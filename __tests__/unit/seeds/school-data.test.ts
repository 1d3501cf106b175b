import { describe, expect, it } from 'vitest';
import { addDays, instantAt, schoolDateOf, weekdayOf } from '../../../seeds/dates.ts';
import { timedId } from '../../../seeds/ids.ts';
import { createRandom } from '../../../seeds/random.ts';
import { createSchoolData } from '../../../seeds/school-data.ts';
import { createSchoolYear, SEED_TODAY } from '../../../seeds/school-year.ts';

describe('demo school year', () => {
  it('is 2025-26 with 225 open days, 90 of them past, and 24 holidays in tests and figures', () => {
    const year = createSchoolYear(SEED_TODAY);
    expect(year).toMatchObject({ name: '2025-26', startsOn: '2025-04-01', endsOn: '2026-03-31' });
    expect(year.days).toHaveLength(365);
    expect(year.days.filter(({ isOpen }) => isOpen)).toHaveLength(225);
    expect(year.pastOpenDays).toHaveLength(90);
    const weekly = ['Sunday', 'Second Saturday', 'Fourth Saturday'];
    const holidays = year.days.filter(
      ({ reason }) => reason && !weekly.includes(reason) && !reason.endsWith('vacation'),
    );
    expect(holidays).toHaveLength(24);
  });

  it('closes Sundays and second and fourth Saturdays', () => {
    const { days } = createSchoolYear(SEED_TODAY);
    const reasonOf = (date: string) => days.find(({ on }) => on === date)!.reason;
    expect(['2025-09-06', '2025-09-07', '2025-09-13', '2025-09-20', '2025-09-27'].map(reasonOf)).toEqual([
      null,
      'Sunday',
      'Second Saturday',
      null,
      'Fourth Saturday',
    ]);
  });

  const dates = Array.from({ length: 90 }, (_, step) => addDays('2024-01-01', step * 17));

  it.each(dates)('lies around %s with that day in the running term', (today) => {
    const year = createSchoolYear(today);
    const [first, running] = year.terms;
    expect(running!.startsOn <= today && today <= running!.endsOn).toBe(true);
    expect(first!.startsOn).toBe(year.startsOn);
    expect(weekdayOf(year.startsOn)).toBe(2);
    expect(year.pastOpenDays.length).toBeGreaterThanOrEqual(85);
    expect(year.pastOpenDays.at(-1)! < today).toBe(true);
    expect(year.days.find(({ on }) => on === year.openOnOrAfter(today))!.isOpen).toBe(true);
  });

  it.each(['2024-02-29', '2026-01-25', '2026-11-24', '2027-08-15'])('knows nothing of %s or later', (today) => {
    const data = createSchoolData({
      scale: 'small',
      today,
      passwordHash: 'x',
    });
    const morning = instantAt(today, '00:00');
    for (const [table, rows] of data) {
      for (const row of rows) {
        for (const column of ['created_at', 'updated_at', 'graded_at', 'marked_at', 'publish_at', 'released_at']) {
          const instant = row[column];
          if (typeof instant === 'string' && instant >= morning) throw new Error(`${table}.${column} is ${instant}`);
        }
      }
    }
    expect(data.find(([table]) => table === 'attendance_sheets')![1].length).toBeGreaterThan(300);
  });
});

describe('full demo school', () => {
  it('has the size of the specification', () => {
    const data = createSchoolData({
      scale: 'full',
      today: SEED_TODAY,
      passwordHash: 'x',
    });
    const count = Object.fromEntries(data.map(([table, rows]) => [table, rows.length]));
    expect(count).toMatchObject({ students: 2_000, guardians: 3_100, classes: 60, subjects: 14, class_subjects: 480 });
    expect(count).toMatchObject({ timetable_slots: 2_640 });
    expect(count).toMatchObject({ homework: 1_440, attendance_sheets: 5_400, staff: 120 + 2 + 4 + 4 + 2 + 25 });
    expect(count).toMatchObject({ events: 160 });
    const events = data.find(([table]) => table === 'events')![1];
    expect(events.filter(({ rrule }) => rrule !== null)).toHaveLength(30);
    const about = { attendance_entries: 180_000, homework_submissions: 44_000, homework_grades: 40_000, files: 20_000 };
    for (const [table, size] of Object.entries(about)) expect(Math.abs(count[table]! / size - 1)).toBeLessThan(0.05);
    const ids = data.flatMap(([table, rows]) => rows.filter(({ id }) => id).map(({ id }) => `${table}:${id}`));
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('demo values', () => {
  it('come from streams that repeat, one for each area', () => {
    const draw = (area: string) => Array.from({ length: 5 }, createRandom(area).next);
    expect(draw('homework')).toEqual(draw('homework'));
    expect(draw('homework')).not.toEqual(draw('attendance'));
  });

  it('are spread evenly', () => {
    const random = createRandom('spread');
    const counts = Array<number>(10).fill(0);
    for (let n = 0; n < 10_000; n++) counts[random.int(0, 9)]!++;
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  it('have ids shaped like UUIDv7, ordered by time and fixed by name', () => {
    const early = timedId('b', '2025-09-01T00:00:00.000Z');
    const late = timedId('a', '2025-09-01T00:00:00.001Z');
    expect(early < late).toBe(true);
    expect(early).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(timedId('b', '2025-09-01T00:00:00.000Z')).toBe(early);
  });

  it('lie on the school’s dates', () => {
    expect(instantAt('2025-09-10', '00:00')).toBe('2025-09-09T18:30:00.000Z');
    expect(schoolDateOf(new Date('2025-09-09T18:29:59.999Z'))).toBe('2025-09-09');
    expect(schoolDateOf(new Date('2025-09-09T18:30:00.000Z'))).toBe('2025-09-10');
  });
});
