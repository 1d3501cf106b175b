import type { Knex } from 'knex';
import { addDays, daysBetween, weekdayOf } from '../../lib/clock.ts';
import type { CalendarStore, StoredEvent } from './calendar-store.ts';
import { datesOf } from './occurrences.ts';

/** What the calendar says about a date. */
export interface SchoolDayRow {
  on_date: string;
  is_open: boolean;
  reason: string | null;
  event_id: string | null;
}

export interface YearSpan {
  id: string;
  starts_on: string;
  ends_on: string;
}

/** A date of a year with its row, whose columns are null while it has none. */
interface KeptRow {
  on_date: string;
  /** The year that the date lies in. */
  year_id: string;
  academic_year_id: string | null;
  is_open: boolean | null;
  reason: string | null;
  event_id: string | null;
}

/** What a rewriting of school days has changed. */
export interface SchoolDayChanges {
  /** All dates whose row differs from before, in order. */
  changed: string[];
  /** Dates that were not closed before, and those that were. */
  closed: string[];
  opened: string[];
}

const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
/** Changes of closing events follow each other: each must see what the one before has written. */
const LOCK_KEY = 0x64617973;

/** How closely an event is about a date: a single holiday gives the reason before a vacation, and that before a weekly rule. */
const closeness = ({ event }: StoredEvent): string =>
  `${event.rrule === null ? 0 : 1} ${String(event.duration_min).padStart(8, '0')} ${event.starts_at} ${event.id}`;

/**
 * Whether the school is open on each date: a closing event decides, else the days of the school week.
 *
 * @param closings published events that close the school
 * @param schoolWeekdays ISO weekdays, 1 Monday … 7 Sunday
 */
export function schoolDayRows(
  dates: readonly string[],
  closings: readonly StoredEvent[],
  schoolWeekdays: readonly number[],
): SchoolDayRow[] {
  const closedBy = new Map<string, StoredEvent>();
  const wanted = new Set(dates);
  for (const closing of [...closings].sort((a, b) => (closeness(a) < closeness(b) ? -1 : 1))) {
    for (const date of datesOf(closing.event, closing.exceptions))
      if (wanted.has(date) && !closedBy.has(date)) closedBy.set(date, closing);
  }
  return dates.map((date) => {
    const event = closedBy.get(date)?.event;
    const weekday = weekdayOf(date);
    if (event) return { on_date: date, is_open: false, reason: event.title, event_id: event.id };
    const isOpen = schoolWeekdays.includes(weekday);
    return { on_date: date, is_open: isOpen, reason: isOpen ? null : WEEKDAYS[weekday - 1]!, event_id: null };
  });
}

/** Keeps one row a date of each academic year in step with the closing events (C5). */
export class SchoolDays {
  readonly #store: CalendarStore;

  constructor(store: CalendarStore) {
    this.#store = store;
  }

  /** Call before days are changed, so that two such changes never cross. */
  async lock(knex: Knex.Transaction): Promise<void> {
    await knex.raw('SELECT pg_advisory_xact_lock(?)', [LOCK_KEY]);
  }

  /** Rewrites the rows of some dates; those outside of all academic years have none. */
  async rewrite(knex: Knex.Transaction, dates: readonly string[]): Promise<SchoolDayChanges> {
    const before = await this.#rowsOf(knex, dates);
    const known = [...before.keys()].sort();
    const [first, last] = [known[0], known.at(-1)];
    if (first === undefined || last === undefined) return { changed: [], closed: [], opened: [] };
    const span = { from: `${addDays(first, -1)}T00:00:00Z`, to: `${addDays(last, 2)}T00:00:00Z` };
    const closings = await this.#store.published(knex, { isClosing: true }, span);
    const { rows } = await knex.raw('SELECT school_weekdays FROM schools LIMIT 1');
    const after = schoolDayRows(known, closings, rows[0].school_weekdays);
    const differing = after.filter((row) => {
      const old = before.get(row.on_date)!;
      return (
        old.is_open !== row.is_open ||
        old.reason !== row.reason ||
        old.event_id !== row.event_id ||
        old.academic_year_id !== old.year_id
      );
    });
    await this.#write(knex, differing);
    const wasOpen = ({ on_date }: SchoolDayRow): boolean | null => before.get(on_date)!.is_open;
    return {
      changed: differing.map(({ on_date }) => on_date),
      closed: differing.filter((row) => !row.is_open && wasOpen(row) !== false).map(({ on_date }) => on_date),
      opened: differing.filter((row) => row.is_open && wasOpen(row) === false).map(({ on_date }) => on_date),
    };
  }

  /** Those of some dates on which the school is not open. */
  async closedOf(knex: Knex.Transaction, dates: readonly string[]): Promise<string[]> {
    const result = await knex.raw('SELECT on_date FROM school_days WHERE on_date = ANY(?::date[]) AND is_open', [
      [...dates],
    ]);
    const open = new Set(result.rows.map(({ on_date }: { on_date: string }) => on_date));
    return dates.filter((date) => !open.has(date));
  }

  /** Dates that have a row of the year and lie outside of it, in order. */
  async outside(knex: Knex.Transaction, { id, starts_on, ends_on }: YearSpan): Promise<string[]> {
    const result = await knex.raw(
      'SELECT on_date FROM school_days WHERE academic_year_id = ? AND on_date NOT BETWEEN ? AND ? ORDER BY on_date',
      [id, starts_on, ends_on],
    );
    return result.rows.map(({ on_date }: { on_date: string }) => on_date);
  }

  /** Makes the rows of a year those of its dates; days that leave it have none, as if they were closed. */
  async keepYear(knex: Knex.Transaction, { id, starts_on, ends_on }: YearSpan): Promise<SchoolDayChanges> {
    const { rows } = await knex.raw(
      'DELETE FROM school_days WHERE academic_year_id = ? AND on_date NOT BETWEEN ? AND ? RETURNING on_date, is_open',
      [id, starts_on, ends_on],
    );
    const left = rows as Pick<SchoolDayRow, 'on_date' | 'is_open'>[];
    const length = daysBetween(starts_on, ends_on) + 1;
    const { changed, closed, opened } = await this.rewrite(
      knex,
      Array.from({ length }, (_, index) => addDays(starts_on, index)),
    );
    const datesOfLeft = (all: typeof left): string[] => all.map(({ on_date }) => on_date);
    return {
      changed: [...changed, ...datesOfLeft(left)].sort(),
      closed: [...closed, ...datesOfLeft(left.filter(({ is_open }) => is_open))].sort(),
      opened,
    };
  }

  /** Rows of the dates that lie in an academic year. */
  async #rowsOf(knex: Knex.Transaction, dates: readonly string[]): Promise<Map<string, KeptRow>> {
    const result = await knex.raw(
      `SELECT wanted.on_date, y.id AS year_id, d.academic_year_id, d.is_open, d.reason, d.event_id
       FROM unnest(?::date[]) AS wanted(on_date)
       JOIN academic_years y ON wanted.on_date BETWEEN y.starts_on AND y.ends_on
       LEFT JOIN school_days d ON d.on_date = wanted.on_date`,
      [[...dates]],
    );
    return new Map(result.rows.map((row: KeptRow) => [row.on_date, row]));
  }

  async #write(knex: Knex.Transaction, rows: readonly SchoolDayRow[]): Promise<void> {
    if (rows.length === 0) return;
    await knex.raw(
      `INSERT INTO school_days (on_date, academic_year_id, is_open, reason, event_id)
       SELECT r.on_date, (SELECT y.id FROM academic_years y WHERE r.on_date BETWEEN y.starts_on AND y.ends_on LIMIT 1),
              r.is_open, r.reason, r.event_id
       FROM json_to_recordset(?) AS r(on_date date, is_open boolean, reason text, event_id uuid)
       ON CONFLICT (on_date) DO UPDATE SET academic_year_id = excluded.academic_year_id, is_open = excluded.is_open,
         reason = excluded.reason, event_id = excluded.event_id`,
      [JSON.stringify(rows)],
    );
  }
}
