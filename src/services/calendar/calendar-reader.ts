import { RangeTooWideError, UnprocessableError } from '../../errors/catalogue.ts';
import { instantOf, schoolDateOf } from '../../lib/clock.ts';
import { decodeCursor, encodeCursor } from '../../lib/cursor.ts';
import type { School } from '../school/school.ts';
import { edits, sees, type Viewer, type Viewing, viewerOf } from './audience.ts';
import type { EventKind } from './calendar-event.ts';
import type { MonthCache, MonthEntry } from './month-cache.ts';
import { nextMonth, type Occurrence, overlaps, type Span, spanOfMonth } from './occurrences.ts';

export interface ShownOccurrence extends Occurrence {
  event: MonthEntry['event'];
  isEditable: boolean;
}

const MOST_DAYS = 100;
const MONTHS_AHEAD = 2;
const DAY_MS = 86_400_000;

/** The calendar as a caller sees it, out of the months' caches (C6, C7). */
export class CalendarReader {
  readonly #months: MonthCache;
  readonly #school: School;

  constructor({ months, school }: { months: MonthCache; school: School }) {
    this.#months = months;
    this.#school = school;
  }

  /** @param month `YYYY-MM` of the school's zone */
  async month(caller: Viewing, month: string): Promise<ShownOccurrence[]> {
    return this.#shown(caller, spanOfMonth(month, await this.#school.timezone()));
  }

  /**
   * Occurrences that overlap [from, to), by start then title (C6), page by page.
   *
   * @param range school dates, or instants
   * @throws RangeTooWideError beyond 100 days
   */
  async range(
    caller: Viewing,
    range: Span,
    { kind, limit, cursor }: { kind?: EventKind | undefined; limit: number; cursor?: string | undefined },
  ): Promise<{ items: ShownOccurrence[]; next: string | null }> {
    const timezone = await this.#school.timezone();
    const at = (text: string): string => (text.includes('T') ? text : instantOf(text, '00:00', timezone).toISOString());
    const span = { from: at(range.from), to: at(range.to) };
    if (span.from >= span.to)
      throw new UnprocessableError({ errors: [{ pointer: '/query/to', detail: 'must be later than from' }] });
    if (Date.parse(span.to) - Date.parse(span.from) > MOST_DAYS * DAY_MS + DAY_MS / 8)
      throw new RangeTooWideError({
        errors: [{ pointer: '/query/to', detail: `must be ${MOST_DAYS} days after from at most` }],
      });
    const after = decodeCursor(cursor);
    const all = (await this.#shown(caller, span)).filter(({ event }) => kind === undefined || event.kind === kind);
    const rest = after ? all.filter((one) => isBehind(one, after)) : all;
    const items = rest.slice(0, limit);
    const last = rest.length > limit ? items.at(-1) : undefined;
    return { items, next: last ? encodeCursor({ value: positionOf(last), id: last.event.id }) : null };
  }

  /** The next occurrences that somebody sees, of those that are not over, in this month and the two after it. */
  async next(viewer: Viewer, now: Date, count: number): Promise<ShownOccurrence[]> {
    const timezone = await this.#school.timezone();
    let month = schoolDateOf(now, timezone).slice(0, 7);
    let span = { ...spanOfMonth(month, timezone), from: now.toISOString() };
    const next: ShownOccurrence[] = [];
    for (let ahead = 0; ; ahead++) {
      const shown = (await this.#shownTo(viewer, span)).filter(({ event }) => event.status === 'published');
      // Of later months those that begin there: what goes on into them was found before.
      next.push(...(ahead === 0 ? shown : shown.filter(({ starts_at }) => starts_at >= span.from)));
      if (next.length >= count || ahead === MONTHS_AHEAD) return next.slice(0, count);
      month = nextMonth(month);
      span = spanOfMonth(month, timezone);
    }
  }

  async #shown(caller: Viewing, span: Span): Promise<ShownOccurrence[]> {
    return this.#shownTo(await viewerOf(caller), span);
  }

  async #shownTo(viewer: Viewer, span: Span): Promise<ShownOccurrence[]> {
    const timezone = await this.#school.timezone();
    const last = schoolDateOf(new Date(Date.parse(span.to) - 1), timezone).slice(0, 7);
    const months: string[] = [];
    for (let month = schoolDateOf(new Date(span.from), timezone).slice(0, 7); month <= last; month = nextMonth(month))
      months.push(month);
    const loaded = await Promise.all(months.map((month) => this.#months.get(month)));
    const found = new Map<string, ShownOccurrence>();
    for (const entry of loaded.flatMap(({ entries }) => entries)) {
      if (!sees(entry, viewer)) continue;
      const isEditable = edits(entry, viewer);
      for (const one of entry.occurrences) {
        if (overlaps(one, span))
          found.set(`${entry.event.id} ${one.occurrence_local}`, { ...one, event: entry.event, isEditable });
      }
    }
    return [...found.values()].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
  }
}

const positionOf = ({ starts_at, title, occurrence_local }: ShownOccurrence): string =>
  `${starts_at} ${occurrence_local} ${title}`;
/** C6: by start, then title, whose end comes before all that a title may go on with; the rest makes the order whole. */
const keyOf = (startsAt: string, title: string, id: string, local: string): string =>
  `${startsAt} ${title}\0${id} ${local}`;
const orderOf = ({ starts_at, title, event, occurrence_local }: ShownOccurrence): string =>
  keyOf(starts_at, title, event.id, occurrence_local);

function isBehind(one: ShownOccurrence, { value, id }: { value: unknown; id: string }): boolean {
  const [startsAt = '', local = '', ...title] = String(value).split(' ');
  return orderOf(one) > keyOf(startsAt, title.join(' '), id, local);
}
