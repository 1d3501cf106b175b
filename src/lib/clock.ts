/** Where rules read the time; tests hand in their own. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Building a format takes a hundred times as long as using it. */
function formatOf(timezone: string): Intl.DateTimeFormat {
  let format = formats.get(timezone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: timezone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    });
    formats.set(timezone, format);
  }
  return format;
}

/** The last minute asked for in each zone: requests of one minute ask again and again, and formatting takes 7 µs. */
const lastMinutes = new Map<string, { minute: number; wall: { date: string; time: string } }>();

function wallClock(instant: Date, timezone: string): { date: string; time: string } {
  const minute = Math.floor(instant.getTime() / MINUTE_MS);
  const last = lastMinutes.get(timezone);
  if (last?.minute === minute) return last.wall;
  const wall = formatWallClock(instant, timezone);
  lastMinutes.set(timezone, { minute, wall });
  return wall;
}

function formatWallClock(instant: Date, timezone: string): { date: string; time: string } {
  const part: Record<string, string> = {};
  for (const { type, value } of formatOf(timezone).formatToParts(instant)) part[type] = value;
  return { date: `${part.year!.padStart(4, '0')}-${part.month}-${part.day}`, time: `${part.hour}:${part.minute}` };
}

/** @throws RangeError when the zone is not an IANA one */
export const schoolDateOf = (instant: Date, timezone: string): string => wallClock(instant, timezone).date;

/** A wall clock's minute in a zone, `YYYY-MM-DDTHH:MM`. @throws RangeError when the zone is not an IANA one */
export function wallTimeOf(instant: Date, timezone: string): string {
  const { date, time } = wallClock(instant, timezone);
  return `${date}T${time}`;
}

/** Wall clock at school, `HH:MM`. */
export const schoolTimeOf = (instant: Date, timezone: string): string => wallClock(instant, timezone).time;

/**
 * The instant at which the school's clocks show a date and time. In the hour that summer time skips, the instant is that
 * much later; in the hour that occurs twice, it is the first.
 *
 * @param date `YYYY-MM-DD`
 * @param time `HH:MM`
 */
export function instantOf(date: string, time: string, timezone: string): Date {
  const wanted = Date.parse(`${date}T${time}:00Z`);
  const offsetAt = (ms: number): number => {
    const shown = wallClock(new Date(ms), timezone);
    return Date.parse(`${shown.date}T${shown.time}:00Z`) - Math.floor(ms / MINUTE_MS) * MINUTE_MS;
  };
  // An offset of the day before and one of the day after: a change in between makes two candidates.
  const candidates = [offsetAt(wanted - DAY_MS), offsetAt(wanted + DAY_MS)].map((offset) => wanted - offset);
  const exact = candidates.filter((ms) => ms + offsetAt(ms) === wanted);
  return new Date(exact.length > 0 ? Math.min(...exact) : Math.max(...candidates));
}

/** `YYYY-MM-DD` so many days later. */
export const addDays = (date: string, days: number): string =>
  new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);

/** Whole days from one date to another. */
export const daysBetween = (from: string, to: string): number =>
  Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);

/** ISO weekday of a date: 1 Monday … 7 Sunday. */
export const weekdayOf = (date: string): number => new Date(date).getUTCDay() || 7;
