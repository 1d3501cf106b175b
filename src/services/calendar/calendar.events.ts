import type { NewEvent } from '../../lib/events.ts';
import type { WholeEvent } from './calendar-event.ts';
import { monthsOf, occurrencesOf } from './occurrences.ts';
import type { SchoolDayChanges } from './school-days.ts';

/** Payload of `calendar.event.changed`. */
export interface EventChanged {
  event_id: string;
  /** From the first start to the last end of what it was and is; no end for a series without one. */
  from: string;
  to: string | null;
  /** Months of the school's calendar that it was shown in, or is, `YYYY-MM`: a series without an end is shown for so long only. */
  months: string[];
}

/** Payload of `calendar.holiday.changed`: school dates. */
export interface HolidayChanged {
  /** All whose row differs from before. */
  dates: string[];
  closed: string[];
  opened: string[];
}

/**
 * Tells of an event that has changed.
 *
 * @param versions of one event, as it was and as it is
 * @param timezone the school's
 */
export function eventChanged(id: string, versions: readonly WholeEvent[], timezone: string): NewEvent {
  const starts = versions.map(({ event }) => event.starts_at).sort();
  const ends = versions.map(({ event }) => event.last_ends_at);
  const months = versions.flatMap(({ event, exceptions }) => [...monthsOf(occurrencesOf(event, exceptions), timezone)]);
  const payload: EventChanged = {
    event_id: id,
    from: starts[0]!,
    to: ends.includes(null) ? null : ends.sort().at(-1)!,
    months: [...new Set(months)].sort(),
  };
  return { name: 'calendar.event.changed', aggregateId: id, payload: { ...payload } };
}

/** Tells of school days that have changed. */
export function holidayChanged({ changed, closed, opened }: SchoolDayChanges): NewEvent {
  const payload: HolidayChanged = { dates: changed, closed, opened };
  return { name: 'calendar.holiday.changed', aggregateId: 'school_days', payload: { ...payload } };
}
