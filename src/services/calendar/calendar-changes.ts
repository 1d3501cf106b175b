import { ForbiddenError } from '../../errors/catalogue.ts';
import { schoolDateOf } from '../../lib/clock.ts';
import type { School } from '../school/school.ts';
import type { Caller, Change, WriteThrough } from '../write-through.ts';
import { eventChanged } from './calendar.events.ts';
import type { WholeEvent } from './calendar-event.ts';
import type { CalendarStore } from './calendar-store.ts';
import type { MonthCache } from './month-cache.ts';
import { datesOf, datesWithin, monthsOf, occurrencesOf, ruleStartsOf } from './occurrences.ts';
import { hasEnd } from './recurrence.ts';
import { type DayEffects, NO_EFFECTS, type SchoolDayKeeper } from './school-day-keeper.ts';

/** What somebody should look at after a change that was made all the same. */
export interface Warning {
  code: 'EXAM_ON_CLOSED_DAY' | 'SHEETS_VOID' | 'SERIES_CUT';
  detail: string;
  event_id: string | null;
  on: string | null;
}

/** The events that a change has touched, as they were and as they are. */
export interface Touched {
  before: readonly WholeEvent[];
  after: readonly WholeEvent[];
}

interface Effects {
  touched: Touched;
  days: DayEffects;
  warnings: Warning[];
}

export interface CalendarChangesDeps {
  writeThrough: WriteThrough;
  store: CalendarStore;
  days: SchoolDayKeeper;
  months: MonthCache;
  school: School;
}

/**
 * Makes a change of events with all that follows from it (C5): the rows, the school days, the sheets of closed days (AT8) and
 * the events for other services stand or fall together; the caches follow the commit.
 */
export class CalendarChanges {
  readonly #deps: CalendarChangesDeps;

  constructor(deps: CalendarChangesDeps) {
    this.#deps = deps;
  }

  /** @throws ForbiddenError when a day in the past would change and the caller is no admin */
  async run<T extends Touched>(
    caller: Caller,
    work: (change: Change) => Promise<T>,
  ): Promise<{ result: T; warnings: Warning[] }> {
    const timezone = await this.#deps.school.timezone();
    const { result, effects } = await this.#deps.writeThrough.run(
      caller,
      async (change) => {
        const done = await work(change);
        return { result: done, effects: await this.#follow(caller, change, done, timezone) };
      },
      {},
      { settle: (done) => this.#afterCommit(done.effects, timezone) },
    );
    return { result, warnings: effects.warnings };
  }

  async #follow(caller: Caller, change: Change, touched: Touched, timezone: string): Promise<Effects> {
    const warnings = touched.after.flatMap(cutWarnings);
    for (const [id, versions] of Map.groupBy([...touched.before, ...touched.after], ({ event }) => event.id))
      change.emit(eventChanged(id, versions, timezone));
    const dates = closedDatesOf(touched);
    if (dates.length === 0) return { touched, days: NO_EFFECTS, warnings };
    const effects = await this.#deps.days.rewrite(change, dates);
    const { days, sheets } = effects;
    const today = schoolDateOf(caller.now, timezone);
    if (days.changed.some((date) => date < today) && !caller.actor.roles.includes('admin'))
      throw new ForbiddenError('only an admin closes or opens days in the past');
    if (sheets.length > 0 && days.closed.length > 0) {
      warnings.push({
        code: 'SHEETS_VOID',
        detail: `${sheets.length} attendance sheets have changed with their days`,
        event_id: null,
        on: null,
      });
    }
    warnings.push(...(await this.#exams(change, days.closed)));
    return { touched, days: effects, warnings };
  }

  /** C5: exams on days that are closed now. */
  async #exams({ knex }: Change, closed: readonly string[]): Promise<Warning[]> {
    const [first, last] = [closed[0], closed.at(-1)];
    if (first === undefined || last === undefined) return [];
    const timezone = await this.#deps.school.timezone();
    const span = { from: `${first}T00:00:00.000Z`, to: `${last}T23:59:59.999Z` };
    const wide = { from: shiftDay(span.from, -1), to: shiftDay(span.to, 1) };
    const isClosed = new Set(closed);
    const exams = await this.#deps.store.published(knex, { kind: 'exam' }, wide);
    return exams.flatMap(({ event, exceptions }) =>
      occurrencesOf(event, exceptions, { span: wide }).flatMap((occurrence): Warning[] =>
        datesWithin(occurrence, event.is_all_day ? event.tz : timezone)
          .filter((date) => isClosed.has(date))
          .map((on) => ({ code: 'EXAM_ON_CLOSED_DAY', detail: occurrence.title, event_id: event.id, on })),
      ),
    );
  }

  async #afterCommit({ touched, days }: Effects, timezone: string): Promise<void> {
    await this.#deps.days.settle(days);
    const months = [...touched.before, ...touched.after].flatMap(({ event, exceptions }) => [
      ...monthsOf(occurrencesOf(event, exceptions), timezone),
    ]);
    await this.#deps.months.forget(new Set(months));
  }
}

/** Dates that the touched events close, or have closed. */
function closedDatesOf({ before, after }: Touched): string[] {
  const dates = new Set<string>();
  for (const { event, exceptions } of [...before, ...after]) {
    if (event.is_school_closed && event.status === 'published')
      for (const date of datesOf(event, exceptions)) dates.add(date);
  }
  return [...dates].sort();
}

function cutWarnings({ event }: WholeEvent): Warning[] {
  if (event.rrule === null || hasEnd(event.rrule)) return [];
  const starts = ruleStartsOf(event);
  const on = starts.at(-1)!.slice(0, 10);
  return [
    {
      code: 'SERIES_CUT',
      detail: `a series without an end is shown up to its occurrence number ${starts.length}`,
      event_id: event.id,
      on,
    },
  ];
}

const DAY_MS = 86_400_000;
const shiftDay = (instant: string, days: number): string => new Date(Date.parse(instant) + days * DAY_MS).toISOString();
