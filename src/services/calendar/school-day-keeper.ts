import type { Knex } from 'knex';
import { HasDataError } from '../../errors/catalogue.ts';
import type { SheetVoiding } from '../attendance/sheet-voiding.ts';
import type { School } from '../school/school.ts';
import type { Change } from '../write-through.ts';
import { type HolidayChanged, holidayChanged } from './calendar.events.ts';
import type { MonthCache } from './month-cache.ts';
import { monthsAround } from './occurrences.ts';
import type { SchoolDayChanges, SchoolDays, YearSpan } from './school-days.ts';

/** What a change has done to school days; plain JSON, since a repeated request settles what the first one did. */
export interface DayEffects {
  days: SchoolDayChanges;
  /** Keys of the sheets that changed with their days. */
  sheets: string[];
}

export const NO_EFFECTS: DayEffects = { days: { changed: [], closed: [], opened: [] }, sheets: [] };

/** Changes school days with all that hangs on them: in the transaction of what changes them, then, once it is committed, in the caches. */
export class SchoolDayKeeper {
  readonly #knex: Knex;
  readonly #days: SchoolDays;
  readonly #sheets: SheetVoiding;
  readonly #months: MonthCache;
  readonly #school: School;

  constructor(deps: { knex: Knex; days: SchoolDays; sheets: SheetVoiding; months: MonthCache; school: School }) {
    this.#knex = deps.knex;
    this.#days = deps.days;
    this.#sheets = deps.sheets;
    this.#months = deps.months;
    this.#school = deps.school;
  }

  /** Closing events of these dates have changed (C5): their rows follow, their sheets too (AT8), and others hear of it. */
  async rewrite(change: Change, dates: readonly string[]): Promise<DayEffects> {
    await this.#days.lock(change.knex);
    return this.#follow(change, await this.#days.rewrite(change.knex, dates));
  }

  /**
   * A year has got these dates: from then on it has a row for each of them and for no other.
   *
   * @throws HasDataError when a roll was taken on a day that would no longer be the year's
   */
  async keepYear(change: Change, year: YearSpan): Promise<DayEffects> {
    const { knex } = change;
    await this.#days.lock(knex);
    const leaving = await this.#days.outside(knex, year);
    if (leaving.length > 0 && (await this.#sheets.hasSheets(knex, leaving)))
      throw new HasDataError('attendance was taken on a day that would no longer be in this year');
    return this.#follow(change, await this.#days.keepYear(knex, year));
  }

  /** Call after the commit, also for a repeated request. */
  async settle({ days, sheets }: DayEffects): Promise<void> {
    await this.#forgetDays(days.changed);
    await this.#sheets.forget(sheets);
    if (days.closed.length > 0 && (await this.#sheets.hasPending(days.closed))) await this.#voidLate(days.closed);
  }

  /** Does the same for whoever died before it: by what the days are now, since others may have changed them again. */
  async settleAgain({ dates, closed, opened }: HolidayChanged): Promise<void> {
    await this.#forgetDays(dates);
    await this.#sheets.forget(await this.#sheets.keysOf([...closed, ...opened]));
    await this.#voidLate(closed);
  }

  /** From here on rolls of closed days are refused. */
  async #forgetDays(dates: readonly string[]): Promise<void> {
    // The days first: a month that is read anew leaves out what they close (C4).
    await this.#school.forgetSchoolDays(dates);
    await this.#months.forget(monthsAround(dates));
  }

  /** AT8: rolls that were accepted while the days were still open. */
  async #voidLate(dates: readonly string[]): Promise<void> {
    const sheets = await this.#knex.transaction(async (knex) => {
      // Nobody opens them meanwhile.
      await this.#days.lock(knex);
      return this.#sheets.follow(knex, { closed: await this.#days.closedOf(knex, dates), opened: [] });
    });
    await this.#sheets.forget(sheets);
  }

  async #follow(change: Change, days: SchoolDayChanges): Promise<DayEffects> {
    const sheets = await this.#sheets.follow(change.knex, days);
    if (days.changed.length > 0) change.emit(holidayChanged(days));
    return { days, sheets };
  }
}
