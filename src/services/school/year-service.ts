import type { Knex } from 'knex';
import {
  DateOverlapError,
  HasDataError,
  NotFoundError,
  TermLockedError,
  UnprocessableError,
} from '../../errors/catalogue.ts';
import { daysBetween } from '../../lib/clock.ts';
import type { SchoolDayKeeper } from '../calendar/school-day-keeper.ts';
import type { Caller, WriteThrough } from '../write-through.ts';
import { SCHOOL_COPIES } from './school.ts';
import type { SchoolCaches } from './school-caches.ts';

export interface YearFields {
  name: string;
  starts_on: string;
  ends_on: string;
  is_current: boolean;
}
export interface YearRow extends YearFields {
  id: string;
}

export interface TermFields {
  seq: number;
  name: string;
  starts_on: string;
  ends_on: string;
}
export interface TermRow extends TermFields {
  id: string;
  academic_year_id: string;
  locked_at: string | null;
}

/** Stores what is still buffered of the sheets of some days: after the lock they would be refused. */
export type FlushSheets = (from: string, to: string) => Promise<void>;

/** The calendar's rows of the dates of a year: they follow its dates in the same change. */
export type YearDays = Pick<SchoolDayKeeper, 'keepYear' | 'settle'>;

const YEAR = 'id, name, starts_on, ends_on, is_current';
const TERM = 'id, academic_year_id, seq, name, starts_on, ends_on, locked_at';
const YEAR_UNIQUES = { academic_years_name_uq: '/name' };
const TERM_UNIQUES = { terms_academic_year_id_seq_uq: '/seq', terms_academic_year_id_name_uq: '/name' };
/** Two years: each of its days has a row, and a wrong digit is not to make millions. */
const MOST_YEAR_DAYS = 731;
/** Everything that is kept of the current year. */
const COPIES = [SCHOOL_COPIES.years, SCHOOL_COPIES.terms, SCHOOL_COPIES.classes, SCHOOL_COPIES.classSubjects];

/** Academic years and their terms. */
export class YearService {
  readonly #writes: WriteThrough;
  readonly #knex: Knex;
  readonly #caches: SchoolCaches;
  readonly #days: YearDays;
  readonly #flushSheets: FlushSheets;

  constructor(deps: {
    writes: WriteThrough;
    knex: Knex;
    caches: SchoolCaches;
    days: YearDays;
    flushSheets: FlushSheets;
  }) {
    this.#writes = deps.writes;
    this.#knex = deps.knex;
    this.#caches = deps.caches;
    this.#days = deps.days;
    this.#flushSheets = deps.flushSheets;
  }

  /** Of any year, in their order. */
  async terms(yearId: string): Promise<TermRow[]> {
    const result = await this.#knex.raw(`SELECT ${TERM} FROM terms WHERE academic_year_id = ? ORDER BY seq`, [yearId]);
    return result.rows;
  }

  /** @throws NotFoundError */
  term(id: string): Promise<TermRow> {
    return findTerm(this.#knex, id);
  }

  /** @throws TakenError, DateOverlapError, UnprocessableError */
  createYear(caller: Caller, fields: YearFields): Promise<YearRow> {
    return this.#changeYear(caller, 'create', async (knex) => {
      const row = { id: caller.newId(), ...fields };
      requireOrder(row, 1, MOST_YEAR_DAYS);
      if (fields.is_current) await knex.raw('UPDATE academic_years SET is_current = false WHERE is_current');
      await knex('academic_years').insert(row);
      return row;
    });
  }

  /**
   * A year that gets shorter gives up its days, unless somebody needs them.
   *
   * @throws NotFoundError, TakenError, DateOverlapError, HasDataError, UnprocessableError, FlushPendingError
   */
  updateYear(caller: Caller, id: string, changes: Partial<YearFields>): Promise<YearRow> {
    return this.#changeYear(caller, 'update', async (knex) => {
      const found = await knex.raw(`SELECT ${YEAR} FROM academic_years WHERE id = ? FOR UPDATE`, [id]);
      const before: YearRow | undefined = found.rows[0];
      if (!before) throw new NotFoundError();
      if (before.is_current && changes.is_current === false)
        throw refusal('/is_current', 'make another year the current one instead');
      const row = { ...before, ...changes };
      requireOrder(row, 1, MOST_YEAR_DAYS);
      await requireInside(knex, row);
      if (changes.is_current)
        await knex.raw('UPDATE academic_years SET is_current = false WHERE is_current AND id <> ?', [id]);
      await knex('academic_years').where({ id }).update(changes);
      return row;
    });
  }

  /** @throws NotFoundError, TakenError, DateOverlapError, UnprocessableError */
  createTerm(
    caller: Caller,
    { academic_year_id, ...fields }: TermFields & { academic_year_id: string },
  ): Promise<TermRow> {
    return this.#changeTerm(caller, 'create', async (knex) => {
      const row: TermRow = { id: caller.newId(), academic_year_id, ...fields, locked_at: null };
      requireOrder(row, 0);
      await lockYear(knex, academic_year_id);
      await knex('terms').insert(row);
      return row;
    });
  }

  /** @throws NotFoundError, TakenError, DateOverlapError, TermLockedError, UnprocessableError */
  updateTerm(caller: Caller, id: string, changes: Partial<TermFields>): Promise<TermRow> {
    return this.#changeTerm(caller, 'update', async (knex) => {
      const before = await findTerm(knex, id);
      await lockYear(knex, before.academic_year_id);
      const { locked_at } = await findTerm(knex, id);
      if (locked_at !== null) throw new TermLockedError();
      const row = { ...before, ...changes };
      requireOrder(row, 0);
      await knex('terms').where({ id }).update(changes);
      return row;
    });
  }

  /**
   * Closes a term for good: its attendance and marks change no more (AT1). What was accepted for it is stored first.
   *
   * @throws NotFoundError, FlushPendingError
   */
  async lockTerm(caller: Caller, id: string): Promise<TermRow> {
    const { starts_on, ends_on } = await findTerm(this.#knex, id);
    await this.#flushSheets(starts_on, ends_on);
    const term = await this.#writes.run(caller, async ({ knex, record }) => {
      const result = await knex.raw(
        `UPDATE terms SET locked_at = coalesce(locked_at, :now) WHERE id = :id RETURNING ${TERM}, locked_at = :now AS "isNew"`,
        { now: caller.now, id },
      );
      const { isNew, ...row } = result.rows[0] as TermRow & { isNew: boolean };
      if (isNew) record({ service: 'auth', action: 'term.lock', entity: { type: 'term', id } });
      return row;
    });
    await this.#caches.forget({ copies: [SCHOOL_COPIES.terms] });
    return term;
  }

  async #changeYear(caller: Caller, verb: string, work: (knex: Knex) => Promise<YearRow>): Promise<YearRow> {
    const { year, effects } = await this.#writes.run(
      caller,
      async (change) => {
        const { knex, record } = change;
        // One at a time: no two years may overlap, and one is the current one.
        await knex.raw('LOCK TABLE academic_years IN SHARE ROW EXCLUSIVE MODE');
        const row = await work(knex);
        await requireApart(knex, 'academic_years', row, 'true', []);
        record({ service: 'auth', action: `year.${verb}`, entity: { type: 'academic_year', id: row.id }, after: row });
        return { year: row, effects: await this.#days.keepYear(change, row) };
      },
      YEAR_UNIQUES,
    );
    // Classes, subjects and everybody's scopes are those of the current year.
    await this.#caches.forget({ copies: COPIES, ...(year.is_current ? { users: 'everybody' as const } : {}) });
    await this.#days.settle(effects);
    return year;
  }

  async #changeTerm(caller: Caller, verb: string, change: (knex: Knex) => Promise<TermRow>): Promise<TermRow> {
    const term = await this.#writes.run(
      caller,
      async ({ knex, record }) => {
        const row = await change(knex);
        const year = await knex.raw('SELECT starts_on, ends_on FROM academic_years WHERE id = ?', [
          row.academic_year_id,
        ]);
        const { starts_on, ends_on } = year.rows[0];
        if (row.starts_on < starts_on || row.ends_on > ends_on)
          throw refusal('/starts_on', 'the term is not inside its year');
        await requireApart(knex, 'terms', row, 'academic_year_id = ?', [row.academic_year_id]);
        record({ service: 'auth', action: `term.${verb}`, entity: { type: 'term', id: row.id }, after: row });
        return row;
      },
      TERM_UNIQUES,
    );
    await this.#caches.forget({ copies: [SCHOOL_COPIES.terms] });
    return term;
  }
}

const refusal = (pointer: string, detail: string): Error => new UnprocessableError({ errors: [{ pointer, detail }] });

/** What the tables check, too: a term may be a day, a year is longer. */
function requireOrder(
  row: { starts_on: string; ends_on: string },
  leastDays: number,
  mostDays = Number.POSITIVE_INFINITY,
): void {
  const days = daysBetween(row.starts_on, row.ends_on);
  if (days < leastDays) throw refusal('/ends_on', 'is too early');
  if (days >= mostDays) throw refusal('/ends_on', `is too late: a year has ${mostDays} days at most`);
}

async function requireApart(
  knex: Knex,
  table: 'academic_years' | 'terms',
  { id, starts_on, ends_on }: { id: string; starts_on: string; ends_on: string },
  among: string,
  values: string[],
): Promise<void> {
  const result = await knex.raw(
    `SELECT name FROM ${table} WHERE id <> ? AND starts_on <= ? AND ends_on >= ? AND ${among} LIMIT 1`,
    [id, ends_on, starts_on, ...values],
  );
  if (result.rows[0]) {
    const detail = `overlaps with ${result.rows[0].name}`;
    throw new DateOverlapError({ errors: [{ pointer: '/starts_on', detail }] });
  }
}

/** Terms and memberships lie inside their year. */
async function requireInside(knex: Knex, { id, starts_on, ends_on }: YearRow): Promise<void> {
  const result = await knex.raw(
    `SELECT EXISTS (SELECT 1 FROM terms WHERE academic_year_id = :id AND (starts_on < :starts_on OR ends_on > :ends_on)) AS terms,
            EXISTS (SELECT 1 FROM enrollments e JOIN classes c ON c.id = e.class_id
                    WHERE c.academic_year_id = :id AND (e.starts_on < :starts_on OR e.starts_on > :ends_on)) AS enrolments`,
    { id, starts_on, ends_on },
  );
  const { terms, enrolments } = result.rows[0];
  if (terms) throw new HasDataError('a term of this year would lie outside of it');
  if (enrolments) throw new HasDataError('a student joined a class of this year outside of these dates');
}

/** Terms of one year are changed one at a time, so that none overlap. */
async function lockYear(knex: Knex, id: string): Promise<void> {
  const result = await knex.raw('SELECT 1 FROM academic_years WHERE id = ? FOR NO KEY UPDATE', [id]);
  if (!result.rows[0]) throw new NotFoundError({ errors: [{ pointer: '/academic_year_id', detail: 'is not a year' }] });
}

async function findTerm(knex: Knex, id: string): Promise<TermRow> {
  const result = await knex.raw(`SELECT ${TERM} FROM terms WHERE id = ?`, [id]);
  if (!result.rows[0]) throw new NotFoundError();
  return result.rows[0];
}
