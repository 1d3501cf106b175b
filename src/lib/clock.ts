/** Where rules read the time; tests hand in their own. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (!format) {
    // en-CA writes dates as YYYY-MM-DD.
    format = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
    formats.set(timeZone, format);
  }
  return format;
}

/** The school date of an instant, `YYYY-MM-DD`. @param timeZone IANA name, from `schools.timezone` */
export const schoolDate = (instant: Date, timeZone: string): string => formatOf(timeZone).format(instant);

const DAY_MS = 86_400_000;

/** @param date `YYYY-MM-DD` @param days may be negative */
export const addDays = (date: string, days: number): string =>
  new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);
