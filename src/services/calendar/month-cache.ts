import type { Cache } from '../../cache/cache.ts';
import { schoolDateOf } from '../../lib/clock.ts';
import type { School } from '../school/school.ts';
import type { CalendarEvent } from './calendar-event.ts';
import type { CalendarStore, StoredAudience } from './calendar-store.ts';
import { type Occurrence, occurrencesOf, type Span, spanOfMonth } from './occurrences.ts';

type ShownEvent = Pick<
  CalendarEvent,
  'id' | 'kind' | 'is_all_day' | 'is_school_closed' | 'location' | 'status' | 'tz' | 'rrule'
>;

/** An event's occurrences in a month, for everybody: who sees them is asked for each caller. */
export interface MonthEntry {
  event: ShownEvent;
  audiences: StoredAudience[];
  occurrences: Occurrence[];
}

/** DOMAIN §7 `calendar:events` */
const MONTH_SECONDS = 12 * 3_600;
const STALE_SECONDS = 86_400;
const DAY_MS = 86_400_000;

/** The calendar by months of the school's zone: what a month shows is read once and kept until an event that touches it changes. */
export class MonthCache {
  readonly #cache: Cache;
  readonly #store: CalendarStore;
  readonly #school: School;

  constructor(deps: { cache: Cache; store: CalendarStore; school: School }) {
    this.#cache = deps.cache;
    this.#store = deps.store;
    this.#school = deps.school;
  }

  /** @param month `YYYY-MM` */
  async get(month: string): Promise<{ entries: MonthEntry[]; source: 'cache' | 'db' }> {
    const timezone = await this.#school.timezone();
    const { value, source } = await this.#cache.get({
      name: keyOf(month),
      ttlSeconds: MONTH_SECONDS,
      staleSeconds: STALE_SECONDS,
      isShared: true,
      load: () => this.#load(spanOfMonth(month, timezone), timezone),
    });
    return { entries: value, source: source === 'cache' ? 'cache' : 'db' };
  }

  /** @param months touched by what an event was, or is now */
  forget(months: Iterable<string>): Promise<void> {
    return this.#cache.drop(...[...months].map(keyOf));
  }

  async #load(span: Span, timezone: string): Promise<MonthEntry[]> {
    // Occurrences that began before the month are judged by the day they began on; those that skip closed days last a day at most.
    const [events, closed] = await Promise.all([this.#store.inSpan(span), this.#closedBefore(span, timezone)]);
    return events.flatMap(({ event, exceptions, audiences }): MonthEntry[] => {
      const occurrences = occurrencesOf(event, exceptions, { span, closed });
      if (occurrences.length === 0) return [];
      const { id, kind, is_all_day, is_school_closed, location, status, tz, rrule } = event;
      return [
        { event: { id, kind, is_all_day, is_school_closed, location, status, tz, rrule }, audiences, occurrences },
      ];
    });
  }

  async #closedBefore({ from, to }: Span, timezone: string) {
    const first = schoolDateOf(new Date(Date.parse(from) - 2 * DAY_MS), timezone);
    const dates = await this.#store.closedDates(first, schoolDateOf(new Date(to), timezone));
    return { timezone, has: (date: string) => dates.has(date) };
  }
}

const keyOf = (month: string): string => `calendar:events:${month}`;
