import { addDays, instantOf, schoolDateOf } from '../../lib/clock.ts';
import { type CalendarEvent, DAY_MINUTES, type EventException } from './calendar-event.ts';
import { startsOf } from './recurrence.ts';

/** One time that an event takes place. */
export interface Occurrence {
  /** The start that the rule gives it: its name, whatever became of it (C3). */
  occurrence_local: string;
  start_local: string;
  starts_at: string;
  ends_at: string;
  title: string;
  is_changed: boolean;
}

/** A stretch of time, [from, to), as ISO 8601 instants in UTC. */
export interface Span {
  from: string;
  to: string;
}

type Timed = Pick<
  CalendarEvent,
  'title' | 'start_local' | 'duration_min' | 'tz' | 'is_all_day' | 'rrule' | 'is_skip_closed'
>;

const MINUTE_MS = 60_000;
/** No zone's clock is further from UTC. */
const MOST_OFFSET_DAYS = 1;

export const seriesStartOf = ({ start_local, is_all_day, tz }: Omit<Timed, 'title'>) => ({
  startLocal: start_local,
  isAllDay: is_all_day,
  tz,
});

/** Starts of an event by its rule alone, on its wall clock. */
export const ruleStartsOf = (event: Timed): readonly string[] => startsOf(event.rrule, seriesStartOf(event));

const instantOfLocal = (local: string, tz: string): Date => instantOf(local.slice(0, 10), local.slice(11), tz);

/** All-day events last whole days of their zone, others so many minutes, whatever the clocks do meanwhile (C2). */
function endOf(startLocal: string, startsAt: Date, durationMin: number, { is_all_day, tz }: Timed): Date {
  if (!is_all_day) return new Date(startsAt.getTime() + durationMin * MINUTE_MS);
  return instantOf(addDays(startLocal.slice(0, 10), durationMin / DAY_MINUTES), '00:00', tz);
}

function occurrenceOf(event: Timed, local: string, exception: EventException | undefined): Occurrence {
  const startLocal = exception?.new_start_local ?? local;
  const startsAt = instantOfLocal(startLocal, event.tz);
  const duration = exception?.new_duration_min ?? event.duration_min;
  return {
    occurrence_local: local,
    start_local: startLocal,
    starts_at: startsAt.toISOString(),
    ends_at: endOf(startLocal, startsAt, duration, event).toISOString(),
    title: exception?.new_title ?? event.title,
    is_changed: exception !== undefined,
  };
}

/** Which dates the school is closed on, in which zone it counts them. */
export interface ClosedDays {
  timezone: string;
  has(date: string): boolean;
}

/**
 * The occurrences of an event that overlap a span (C6), or all of them: cancelled ones are left out (C3), and with
 * `is_skip_closed` those on closed days that nobody has moved there (C4).
 */
export function occurrencesOf(
  event: Timed,
  exceptions: readonly EventException[],
  { span, closed }: { span?: Span; closed?: ClosedDays } = {},
): Occurrence[] {
  const byKey = new Map(exceptions.map((exception) => [exception.occurrence_local, exception]));
  const found: Occurrence[] = [];
  for (const local of ruleStartsOf(event)) {
    const exception = byKey.get(local);
    if (exception?.action === 'cancelled') continue;
    if (span && !mayOverlap(event, local, exception, span)) continue;
    const occurrence = occurrenceOf(event, local, exception);
    if (span && !overlaps(occurrence, span)) continue;
    if (closed && event.is_skip_closed && !exception?.new_start_local && isOn(occurrence, event, closed)) continue;
    found.push(occurrence);
  }
  return found;
}

export const overlaps = (
  { starts_at, ends_at }: Pick<Occurrence, 'starts_at' | 'ends_at'>,
  { from, to }: Span,
): boolean => starts_at < to && ends_at > from;

/** By dates alone and therefore cheap: asking a zone for an instant is most of the work. */
function mayOverlap(event: Timed, local: string, exception: EventException | undefined, { from, to }: Span): boolean {
  const on = (exception?.new_start_local ?? local).slice(0, 10);
  const days = Math.ceil((exception?.new_duration_min ?? event.duration_min) / DAY_MINUTES) + MOST_OFFSET_DAYS;
  return addDays(on, -MOST_OFFSET_DAYS) <= to.slice(0, 10) && addDays(on, days) >= from.slice(0, 10);
}

function isOn({ start_local, starts_at }: Occurrence, { is_all_day }: Timed, closed: ClosedDays): boolean {
  return closed.has(is_all_day ? start_local.slice(0, 10) : schoolDateOf(new Date(starts_at), closed.timezone));
}

/** First start and last end of all that is shown of an event. */
export function boundsOf(
  event: Timed,
  exceptions: readonly EventException[],
): Pick<Occurrence, 'starts_at' | 'ends_at'> {
  const all = occurrencesOf(event, exceptions);
  // A series whose occurrences are all cancelled still starts and ends somewhere.
  const times = all.length > 0 ? all : [occurrenceOf(event, event.start_local, undefined)];
  return {
    starts_at: times.map(({ starts_at }) => starts_at).sort()[0]!,
    ends_at: times
      .map(({ ends_at }) => ends_at)
      .sort()
      .at(-1)!,
  };
}

/** Dates that an all-day event's occurrences cover. */
export function datesOf(event: Timed, exceptions: readonly EventException[]): string[] {
  const byKey = new Map(exceptions.map((exception) => [exception.occurrence_local, exception]));
  const dates = new Set<string>();
  for (const local of ruleStartsOf(event)) {
    const exception = byKey.get(local);
    if (exception?.action === 'cancelled') continue;
    const first = (exception?.new_start_local ?? local).slice(0, 10);
    const days = (exception?.new_duration_min ?? event.duration_min) / DAY_MINUTES;
    for (let day = 0; day < days; day++) dates.add(addDays(first, day));
  }
  return [...dates];
}

/** Dates of a zone's calendar that an occurrence touches. */
export function datesWithin({ starts_at, ends_at }: Occurrence, timezone: string): string[] {
  const last = schoolDateOf(new Date(Date.parse(ends_at) - 1), timezone);
  const dates = [schoolDateOf(new Date(starts_at), timezone)];
  while (dates.at(-1)! < last) dates.push(addDays(dates.at(-1)!, 1));
  return dates;
}

/** Months of a zone's calendar that some occurrences touch, `YYYY-MM`. */
export function monthsOf(occurrences: readonly Occurrence[], timezone: string): Set<string> {
  const months = new Set<string>();
  for (const { starts_at, ends_at } of occurrences) {
    const last = schoolDateOf(new Date(Date.parse(ends_at) - 1), timezone).slice(0, 7);
    let month = schoolDateOf(new Date(starts_at), timezone).slice(0, 7);
    for (; month <= last; month = nextMonth(month)) months.add(month);
  }
  return months;
}

/** Months that may show another set of occurrences once the school is open or closed on these dates (C4). */
export const monthsAround = (dates: readonly string[]): Set<string> =>
  // An occurrence that skips a day may reach into the next one, and that into another month.
  new Set(dates.flatMap((date) => [date, addDays(date, 2)]).map((date) => date.slice(0, 7)));

/** @param month `YYYY-MM` */
export const nextMonth = (month: string): string => addDays(`${month}-01`, 31).slice(0, 7);

/** The stretch of a month in a zone. */
export const spanOfMonth = (month: string, timezone: string): Span => ({
  from: instantOf(`${month}-01`, '00:00', timezone).toISOString(),
  to: instantOf(`${nextMonth(month)}-01`, '00:00', timezone).toISOString(),
});
