import { namedId } from '../src/lib/ids.ts';
import { addDays, daysBetween, weekdayOf } from './dates.ts';
import type { Row } from './rows.ts';

/** The date around which the demo school is made, in tests and figures: a Wednesday in the second term of 2025-26. */
export const SEED_TODAY = '2025-09-10';

const YEAR = { startsOn: '2025-04-01', endsOn: '2026-03-31' };

const TERMS = [
  { seq: 1, name: 'Term 1', startsOn: '2025-04-01', endsOn: '2025-08-31' },
  { seq: 2, name: 'Term 2', startsOn: '2025-09-01', endsOn: '2025-12-31' },
  { seq: 3, name: 'Term 3', startsOn: '2026-01-01', endsOn: '2026-03-31' },
];

const VACATIONS = [
  { name: 'Summer vacation', from: '2025-05-09', to: '2025-06-15' },
  { name: 'Autumn vacation', from: '2025-10-18', to: '2025-10-25' },
  { name: 'Winter vacation', from: '2025-12-26', to: '2026-01-01' },
];

/** Holidays of 2025-26; a `fixed` one keeps its day and month when the year is shifted, the others move along. */
const HOLIDAYS: readonly { name: string; on: string; fixed?: true }[] = [
  { name: 'Mahavir Jayanti', on: '2025-04-10' },
  { name: 'Ambedkar Jayanti', on: '2025-04-14', fixed: true },
  { name: 'Good Friday', on: '2025-04-18' },
  { name: 'Labour Day', on: '2025-05-01', fixed: true },
  { name: 'Muharram', on: '2025-07-07' },
  { name: 'Guru Purnima', on: '2025-07-10' },
  { name: 'Independence Day', on: '2025-08-15', fixed: true },
  { name: 'Janmashtami', on: '2025-08-16' },
  { name: 'Ganesh Chaturthi', on: '2025-08-27' },
  { name: 'Milad-un-Nabi', on: '2025-09-05' },
  { name: 'Agrasen Jayanti', on: '2025-09-22' },
  { name: 'Maha Navami', on: '2025-10-01' },
  { name: 'Gandhi Jayanti', on: '2025-10-02', fixed: true },
  { name: 'Valmiki Jayanti', on: '2025-10-07' },
  { name: 'Guru Nanak Jayanti', on: '2025-11-05' },
  { name: 'Guru Tegh Bahadur Martyrdom Day', on: '2025-11-25' },
  { name: 'Christmas', on: '2025-12-25', fixed: true },
  { name: 'Makar Sankranti', on: '2026-01-14' },
  { name: 'Netaji Jayanti', on: '2026-01-23', fixed: true },
  { name: 'Republic Day', on: '2026-01-26', fixed: true },
  { name: 'Maha Shivaratri', on: '2026-02-16' },
  { name: 'Holi', on: '2026-03-04' },
  { name: 'Id-ul-Fitr', on: '2026-03-21' },
  { name: 'Ram Navami', on: '2026-03-26' },
];

export interface SchoolDay {
  on: string;
  isOpen: boolean;
  reason: string | null;
}

/** What closes the school: a stretch of days, or those of a monthly rule from its first one on. */
export interface Closing {
  name: string;
  from: string;
  to: string;
  byDay?: string;
}

export interface SchoolYear {
  id: string;
  /** For example `2025-26`. */
  name: string;
  startsOn: string;
  endsOn: string;
  today: string;
  terms: { id: string; seq: number; name: string; startsOn: string; endsOn: string }[];
  days: SchoolDay[];
  closings: Closing[];
  /** Open days before today, oldest first. */
  pastOpenDays: string[];
  /** The first open day on or after a date of the year. */
  openOnOrAfter(date: string): string;
}

/**
 * The school year around a date: 2025-26 moved by whole weeks, so that the date lies in the running term and weekdays stay
 * what they are. Second and fourth Saturdays and fixed holidays follow the real calendar.
 */
export function createSchoolYear(today: string): SchoolYear {
  const shift = Math.floor(daysBetween(SEED_TODAY, today) / 7) * 7;
  const startsOn = addDays(YEAR.startsOn, shift);
  const endsOn = addDays(YEAR.endsOn, shift);
  const closings = closingsOf(startsOn, endsOn, shift);
  const days = Array.from({ length: daysBetween(startsOn, endsOn) + 1 }, (_, index): SchoolDay => {
    const on = addDays(startsOn, index);
    const reason = closings.get(on) ?? weeklyClosing(on);
    return { on, isOpen: reason === null, reason };
  });
  const startYear = Number(startsOn.slice(0, 4));
  return {
    id: namedId('academic-year'),
    name: `${startYear}-${String((startYear + 1) % 100).padStart(2, '0')}`,
    startsOn,
    endsOn,
    today,
    terms: TERMS.map((term) => ({
      id: namedId(`term:${term.seq}`),
      seq: term.seq,
      name: term.name,
      startsOn: addDays(term.startsOn, shift),
      endsOn: addDays(term.endsOn, shift),
    })),
    days,
    closings: closingList(startsOn, endsOn, shift),
    pastOpenDays: days.filter(({ isOpen, on }) => isOpen && on < today).map(({ on }) => on),
    openOnOrAfter: (date) => days.find(({ isOpen, on }) => isOpen && on >= date)!.on,
  };
}

function closingsOf(startsOn: string, endsOn: string, shift: number): Map<string, string> {
  const closings = new Map<string, string>();
  for (const { name, from, to, byDay } of closingList(startsOn, endsOn, shift)) {
    if (byDay) continue;
    for (let day = from; day <= to; day = addDays(day, 1)) closings.set(day, name);
  }
  return closings;
}

function closingList(startsOn: string, endsOn: string, shift: number): Closing[] {
  let firstSaturday = startsOn;
  while (!weeklyClosing(firstSaturday)?.endsWith('Saturday')) firstSaturday = addDays(firstSaturday, 1);
  return [
    { name: 'Second and fourth Saturday', from: firstSaturday, to: firstSaturday, byDay: '2SA,4SA' },
    ...VACATIONS.map(({ name, from, to }) => ({ name, from: addDays(from, shift), to: addDays(to, shift) })),
    ...HOLIDAYS.map(({ name, on, fixed }) => {
      const date = fixed ? anniversary(on, startsOn, endsOn) : addDays(on, shift);
      return { name, from: date, to: date };
    }),
  ];
}

/** The same day and month within the year. */
function anniversary(date: string, startsOn: string, endsOn: string): string {
  const candidates = [startsOn, endsOn].map((edge) => edge.slice(0, 4) + date.slice(4));
  return candidates.find((candidate) => candidate >= startsOn && candidate <= endsOn) ?? date;
}

function weeklyClosing(date: string): string | null {
  if (weekdayOf(date) === 0) return 'Sunday';
  if (weekdayOf(date) !== 6) return null;
  const nth = Math.ceil(Number(date.slice(8)) / 7);
  if (nth === 2) return 'Second Saturday';
  return nth === 4 ? 'Fourth Saturday' : null;
}

export const yearRows = (year: SchoolYear): Row[] => [
  { id: year.id, name: year.name, starts_on: year.startsOn, ends_on: year.endsOn, is_current: true },
];

/** A term that has ended was locked five days later, when its report cards went out. */
export const termRows = (year: SchoolYear): Row[] =>
  year.terms.map((term) => {
    const lockedOn = addDays(term.endsOn, 5);
    return {
      id: term.id,
      academic_year_id: year.id,
      seq: term.seq,
      name: term.name,
      starts_on: term.startsOn,
      ends_on: term.endsOn,
      locked_at: lockedOn < year.today ? `${lockedOn}T10:30:00.000Z` : null,
    };
  });
