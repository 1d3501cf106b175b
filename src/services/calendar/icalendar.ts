import { type CalendarEvent, DAY_MINUTES } from './calendar-event.ts';
import type { StoredEvent } from './calendar-store.ts';
import { type ClosedDays, type Occurrence, occurrencesOf, ruleStartsOf } from './occurrences.ts';
import { hasEnd } from './recurrence.ts';
import { timeZoneComponent } from './time-zone-component.ts';

const LINE_BYTES = 75;
const DAY_MS = 86_400_000;

/**
 * Events as an iCalendar stream (RFC 5545): a series is one component with its rule, the occurrences it lacks as EXDATE and
 * those that differ as components of their own; times stand on the wall clock of their zone.
 *
 * @param closed days that series with `is_skip_closed` leave out
 * @param to the changes of clocks are told up to then: those of a series of centuries are many, and nobody knows them
 */
export function calendarText(
  name: string,
  events: readonly StoredEvent[],
  { closed, to }: { closed: ClosedDays; to: string },
): string {
  const components = events.flatMap((event) => eventComponents(event, closed));
  const lines = [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//Schools24//Calendar//EN',
    'CALSCALE:GREGORIAN',
    'METHOD:PUBLISH',
    `X-WR-CALNAME:${escapeText(name)}`,
    ...zonesOf(events, Date.parse(to)),
    ...components,
    'END:VCALENDAR',
  ];
  return lines.map((line) => `${fold(line)}\r\n`).join('');
}

function zonesOf(events: readonly StoredEvent[], toMs: number): string[] {
  const zones = Map.groupBy(
    events.filter(({ event }) => !event.is_all_day && event.tz !== 'UTC'),
    ({ event }) => event.tz,
  );
  return [...zones].flatMap(([tz, group]) => {
    const starts = group.flatMap(({ event, exceptions }) => [
      ...[ruleStartsOf(event)[0]!, ruleStartsOf(event).at(-1)!],
      ...exceptions.flatMap(({ new_start_local }) => new_start_local ?? []),
    ]);
    const times = starts.map((local) => Date.parse(`${local}:00Z`));
    return timeZoneComponent(tz, Math.min(...times) - 2 * DAY_MS, Math.min(toMs, Math.max(...times) + 2 * DAY_MS));
  });
}

function eventComponents({ event, exceptions }: StoredEvent, closed: ClosedDays): string[] {
  const occurrences = occurrencesOf(event, exceptions, { closed });
  if (event.rrule === null) return occurrences.flatMap((one) => component(event, one, []));
  const starts = ruleStartsOf(event);
  const shown = new Set(occurrences.map(({ occurrence_local }) => occurrence_local));
  const missing = starts.filter((local) => !shown.has(local));
  const rule = hasEnd(event.rrule) ? event.rrule : `${event.rrule};COUNT=${starts.length}`;
  const { key, value } = timesOf(event);
  const series = component(event, { ...event, starts_at: '' }, [
    `RRULE:${rule}`,
    ...(missing.length > 0 ? [`EXDATE${key}:${missing.map(value).join(',')}`] : []),
  ]);
  const changed = occurrences.filter(({ is_changed }) => is_changed);
  return [
    ...series,
    ...changed.flatMap((one) => component(event, one, [`RECURRENCE-ID${key}:${value(one.occurrence_local)}`])),
  ];
}

type Timed = Pick<Occurrence, 'start_local' | 'title'> & { duration_min?: number; starts_at: string; ends_at?: string };

function component(event: CalendarEvent, one: Timed, more: readonly string[]): string[] {
  const { key, value } = timesOf(event);
  return [
    'BEGIN:VEVENT',
    `UID:${event.id}@schools24`,
    `DTSTAMP:${utc(event.updated_at)}`,
    `LAST-MODIFIED:${utc(event.updated_at)}`,
    `DTSTART${key}:${value(one.start_local)}`,
    `DURATION:${durationOf(event, one)}`,
    ...more,
    `SUMMARY:${escapeText(one.title)}`,
    ...(event.description ? [`DESCRIPTION:${escapeText(event.description)}`] : []),
    ...(event.location ? [`LOCATION:${escapeText(event.location)}`] : []),
    `CATEGORIES:${event.kind.toUpperCase()}`,
    'STATUS:CONFIRMED',
    `TRANSP:${event.is_all_day ? 'TRANSPARENT' : 'OPAQUE'}`,
    'END:VEVENT',
  ];
}

/** How an event's times are written: their parameter, and a wall clock's minute as its value. */
function timesOf({ is_all_day, tz }: CalendarEvent): { key: string; value: (local: string) => string } {
  if (is_all_day) return { key: ';VALUE=DATE', value: (local) => local.slice(0, 10).replaceAll('-', '') };
  const compact = (local: string): string => `${local.replace(/[-:]/g, '')}00`;
  return tz === 'UTC' ? { key: '', value: (local) => `${compact(local)}Z` } : { key: `;TZID=${tz}`, value: compact };
}

function durationOf({ is_all_day, duration_min }: CalendarEvent, { starts_at, ends_at }: Timed): string {
  const minutes = ends_at ? Math.round((Date.parse(ends_at) - Date.parse(starts_at)) / 60_000) : duration_min;
  // A day that is an hour shorter or longer is a day all the same.
  return is_all_day ? `P${Math.round(minutes / DAY_MINUTES)}D` : `PT${minutes}M`;
}

const utc = (instant: string): string => `${instant.slice(0, 19).replace(/[-:]/g, '')}Z`;

/** RFC 5545 §3.3.11; other control characters have no place in a text. */
export const escapeText = (text: string): string =>
  text
    .replace(/[\\;,]/g, (character) => `\\${character}`)
    .replace(/\r\n|\r|\n/g, '\\n')
    .replace(/\p{Cc}/gu, (character) => (character === '\t' ? ' ' : ''));

/** RFC 5545 §3.1: lines of 75 octets at most, cut between characters, continued behind a space. */
export function fold(line: string): string {
  let folded = '';
  let bytes = 0;
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (bytes + size > LINE_BYTES) {
      folded += '\r\n ';
      bytes = 1;
    }
    folded += character;
    bytes += size;
  }
  return folded;
}
