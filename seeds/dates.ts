/** Asia/Kolkata is UTC+05:30 all year round. */
const SCHOOL_OFFSET_MINUTES = 330;
const DAY_MS = 86_400_000;

/** Whether a text is a day of the calendar, as `YYYY-MM-DD`. */
export function isDate(text: string): boolean {
  const at = Date.parse(text);
  return !Number.isNaN(at) && new Date(at).toISOString().slice(0, 10) === text;
}

/** `YYYY-MM-DD` so many days later. */
export const addDays = (date: string, days: number): string =>
  new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);

export const daysBetween = (from: string, to: string): number =>
  Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);

/** 0 = Sunday … 6 = Saturday */
export const weekdayOf = (date: string): number => new Date(date).getUTCDay();

/** The instant of a school date's wall clock, as ISO 8601 with `Z`; `clock` is `HH:MM`. */
export function instantAt(date: string, clock: string, plusMs = 0): string {
  const [hours, minutes] = clock.split(':').map(Number) as [number, number];
  return new Date(Date.parse(date) + (hours * 60 + minutes - SCHOOL_OFFSET_MINUTES) * 60_000 + plusMs).toISOString();
}

export const addMs = (instant: string, ms: number): string => new Date(Date.parse(instant) + ms).toISOString();

/** The school date of an instant. */
export const schoolDateOf = (instant: Date): string =>
  new Date(instant.getTime() + SCHOOL_OFFSET_MINUTES * 60_000).toISOString().slice(0, 10);

/** Versions are microseconds; a demo row has that of its last change. */
export const versionOf = (updatedAt: string): number => Date.parse(updatedAt) * 1_000;
