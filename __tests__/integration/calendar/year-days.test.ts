import { beforeAll, describe, expect, it } from 'vitest';
import { weekdayOf } from '../../../src/lib/clock.ts';
import { buildClosedDay } from '../../support/documents.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { until } from '../../support/until.ts';

const school = useSchool();
let admin: Call;
let teacher: Call;

interface Day {
  date: string;
  is_open: boolean;
  reason: string | null;
}

const daysOf = async (from: string, to: string): Promise<Day[]> =>
  (await admin('GET', `/school-days?from=${from}&to=${to}`)).body.data;
const close = async (title: string, on: string, more: object = {}): Promise<void> => {
  expect((await admin('POST', '/events', { body: buildClosedDay(title, on, more) })).status).toBe(201);
};
const addYear = (name: string, starts_on: string, ends_on: string) =>
  admin('POST', '/academic-years', { body: { name, starts_on, ends_on } });
const change = (id: string, body: object) => admin('PATCH', `/academic-years/${id}`, { body });

beforeAll(() => {
  admin = school.as('admin');
  teacher = school.as('teacher001');
});

describe('a new academic year', () => {
  it('C5: has a row for each of its dates, as the school week and the closing events say', async () => {
    await close('Founders', '2027-06-15');
    await close('First of the month', '2027-05-01', { rrule: 'FREQ=MONTHLY;BYMONTHDAY=1;COUNT=3' });
    await close('Second Saturday', '2027-09-11', { rrule: 'FREQ=MONTHLY;BYDAY=2SA;COUNT=2' });
    await close('Draft', '2027-06-16', { status: 'draft' });
    // The calendar years of both are kept as empty from now on.
    expect(await daysOf('2027-04-01', '2027-12-31')).toEqual([]);
    const added = await addYear('2027-28', '2027-04-01', '2028-03-31');
    expect(added.status).toBe(201);
    const days = await daysOf('2027-04-01', '2028-03-31');
    expect(days).toHaveLength(366);
    const [{ school_weekdays: weekdays }] = (await school.rows('SELECT school_weekdays FROM schools')) as [
      { school_weekdays: number[] },
    ];
    const closedBy = new Map([
      ['2027-06-15', 'Founders'],
      ...['2027-09-11', '2027-10-09'].map((on) => [on, 'Second Saturday'] as const),
      ...['2027-05-01', '2027-06-01', '2027-07-01'].map((on) => [on, 'First of the month'] as const),
    ]);
    for (const { date, is_open, reason } of days) {
      const isOpen = weekdays.includes(weekdayOf(date)) && !closedBy.has(date);
      expect({ date, is_open }).toEqual({ date, is_open: isOpen });
      if (closedBy.has(date)) expect(reason).toBe(closedBy.get(date));
    }
    const [told] = await school.rows(
      "SELECT payload->'payload' AS days FROM outbox_events WHERE name = 'calendar.holiday.changed' ORDER BY seq DESC LIMIT 1",
    );
    expect((told!.days as { dates: string[] }).dates).toHaveLength(366);
  });

  it('C5: that is made while a closing event is written has that day closed, whichever is first', async () => {
    for (const year of [2031, 2032, 2033]) {
      await Promise.all([
        addYear(String(year), `${year}-04-01`, `${year + 1}-03-31`),
        close(`Rush ${year}`, `${year}-07-07`),
      ]);
      expect(await daysOf(`${year}-07-07`, `${year}-07-07`)).toMatchObject([
        { is_open: false, reason: `Rush ${year}` },
      ]);
    }
  });

  it('is two years long at most', async () => {
    const refused = await addYear('Endless', '2040-01-01', '2060-01-01');
    expect(refused).toMatchObject({ status: 422, body: { errors: [{ pointer: '/ends_on' }] } });
    expect(await school.rows("SELECT 1 FROM academic_years WHERE name = 'Endless'")).toEqual([]);
    expect((await addYear('Two', '2040-01-01', '2041-12-31')).status).toBe(201);
  });
});

describe('a year whose dates change', () => {
  it('C5: gains and gives up days with them', async () => {
    const { id } = (await addYear('2035', '2035-04-01', '2036-03-31')).body.data;
    await close('Late', '2036-04-07');
    expect(await daysOf('2036-04-01', '2036-04-30')).toEqual([]);
    expect((await change(id, { ends_on: '2036-04-30' })).status).toBe(200);
    expect(await daysOf('2036-04-01', '2036-04-30')).toHaveLength(30);
    expect(await daysOf('2036-04-07', '2036-04-07')).toMatchObject([{ is_open: false, reason: 'Late' }]);
    expect((await change(id, { starts_on: '2035-04-03', ends_on: '2036-02-29' })).status).toBe(200);
    const left = await daysOf('2035-04-01', '2036-04-30');
    expect([left[0]!.date, left.at(-1)!.date, left.length]).toEqual(['2035-04-03', '2036-02-29', 333]);
    const other = (await addYear('2036', '2036-03-01', '2036-12-31')).body.data;
    const rows = await school.rows(
      "SELECT DISTINCT academic_year_id AS id FROM school_days WHERE on_date > '2036-02-29' AND on_date < '2037-01-01'",
    );
    expect(rows).toEqual([{ id: other.id }]);
  });

  it('keeps the days on which attendance was taken, accepted a moment ago or stored', async () => {
    const { id } = (await addYear('Short', '2025-03-24', '2025-03-31')).body.data;
    const homeroom = (await teacher('GET', '/auth/me')).body.data.scopes.homerooms[0].id;
    const [student] = await school.rows(
      'SELECT student_id, starts_on::text FROM enrollments WHERE class_id = $1 AND ends_on IS NULL LIMIT 1',
      [homeroom],
    );
    await school.rows("UPDATE enrollments SET starts_on = '2025-03-24' WHERE student_id = $1", [student!.student_id]);
    school.clock.set('2025-03-25T09:00:00+05:30');
    try {
      const sheet = `/attendance/classes/${homeroom}/sheets/2025-03-24`;
      const entries = [{ student_id: student!.student_id, status: 'present' }];
      expect((await admin('PUT', sheet, { body: { entries } })).status).toBe(202);
      expect(await school.rows("SELECT 1 FROM attendance_sheets WHERE on_date = '2025-03-24'")).toEqual([]);
      expect(await change(id, { starts_on: '2025-03-25' })).toMatchObject({ status: 409, body: { code: 'HAS_DATA' } });
      expect(await daysOf('2025-03-24', '2025-03-31')).toHaveLength(8);
      expect(await school.rows("SELECT status FROM attendance_sheets WHERE on_date = '2025-03-24'")).toEqual([
        { status: 'open' },
      ]);
      expect((await change(id, { ends_on: '2025-03-28' })).status).toBe(200);
      expect(await daysOf('2025-03-24', '2025-03-31')).toHaveLength(5);
      const late = await admin('PUT', `/attendance/classes/${homeroom}/sheets/2025-03-31`, { body: { entries } });
      expect(late.status).toBe(422);
    } finally {
      await school.rows('UPDATE enrollments SET starts_on = $2 WHERE student_id = $1', [
        student!.student_id,
        student!.starts_on,
      ]);
      school.clock.set('2025-09-10T08:30:00+05:30');
    }
  });

  it('C5: brings days in step that were changed past the API, and their sheets with them (AT8)', async () => {
    const [year] = await school.rows('SELECT id FROM academic_years WHERE is_current');
    const [sheet] = await school.rows(
      "SELECT on_date::text, count(*)::int AS sheets FROM attendance_sheets WHERE extract(isodow FROM on_date) = 1 AND status = 'open' GROUP BY on_date ORDER BY on_date DESC LIMIT 1",
    );
    const voided = () =>
      school.rows("SELECT count(*)::int AS sheets FROM attendance_sheets WHERE on_date = $1 AND status = 'void'", [
        sheet!.on_date,
      ]);
    await school.rows('UPDATE schools SET school_weekdays = array_remove(school_weekdays, 1::smallint)');
    expect((await change(String(year!.id), { name: 'Free Mondays' })).status).toBe(200);
    expect(await daysOf(String(sheet!.on_date), String(sheet!.on_date))).toMatchObject([
      { is_open: false, reason: 'Monday' },
    ]);
    expect(await voided()).toEqual([{ sheets: sheet!.sheets }]);
    await school.rows('UPDATE schools SET school_weekdays = array_append(school_weekdays, 1::smallint)');
    expect((await change(String(year!.id), { name: 'Mondays again' })).status).toBe(200);
    await until('the days', async () =>
      (await daysOf(String(sheet!.on_date), String(sheet!.on_date)))[0]!.is_open ? true : undefined,
    );
    expect(await voided()).toEqual([{ sheets: 0 }]);
  });
});
