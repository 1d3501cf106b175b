import { LRUCache } from 'lru-cache';
import { RRuleTemporal } from 'rrule-temporal';
import { BadRruleError, TooManyError } from '../../errors/catalogue.ts';
import { addDays, instantOf, wallTimeOf } from '../../lib/clock.ts';

/** C1: a series has so many occurrences at most; one without an end is shown up to there. */
export const MOST_OCCURRENCES = 730;

/** Where a series starts: on a wall clock, `YYYY-MM-DDTHH:MM`, that of `tz`. */
export interface SeriesStart {
  startLocal: string;
  isAllDay: boolean;
  tz: string;
}

type RuleParts = Map<string, string>;

const KNOWN = ['FREQ', 'INTERVAL', 'BYDAY', 'BYMONTHDAY', 'COUNT', 'UNTIL'];
const FREQUENCIES = ['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'];
const MOST_INTERVAL = 366;
const WEEKDAY = /^(MO|TU|WE|TH|FR|SA|SU)$/;
const ORDINAL_WEEKDAY = /^(-?[1-5])?(MO|TU|WE|TH|FR|SA|SU)$/;
const MONTH_DAY = /^-?([1-9]|[12]\d|3[01])$/;
const UNTIL = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?$/;
/** Beyond it no date of the API lies. */
const LAST_LOCAL = '2199-12-31T23:59';
/** The last start of a series without an end: what begins then ends before that date, however long it lasts. */
const LAST_ENDLESS_LOCAL = '2198-12-31T23:59';
/** Bounds of the library's work: what 730 occurrences of a sensible rule take, and some. */
const MOST_PERIODS = 8_000;
const MOST_CANDIDATES = 80_000;

const refuse = (detail: string): never => {
  throw new BadRruleError({ detail, errors: [{ pointer: '/rrule', detail }] });
};

/**
 * Checks a rule of the subset that C1 allows and writes it in one form: parts in order, UNTIL in UTC (a date for all-day
 * events), as RFC 5545 asks.
 *
 * @throws BadRruleError naming the part; TooManyError beyond 730 occurrences
 */
export function normalizeRule(text: string, start: SeriesStart): string {
  const parts = parse(text);
  const until = parts.get('UNTIL');
  if (until !== undefined) parts.set('UNTIL', formatUntil(untilLocalOf(until, start), start));
  const rule = KNOWN.filter((name) => parts.has(name))
    .map((name) => `${name}=${parts.get(name)}`)
    .join(';');
  if (Number(parts.get('COUNT') ?? 0) > MOST_OCCURRENCES) throw tooMany();
  const starts = expand(rule, start, MOST_OCCURRENCES + 1);
  if (starts[0] !== start.startLocal) refuse('the event must start at an occurrence of its rule');
  if (hasEnd(rule) && starts.length > MOST_OCCURRENCES) throw tooMany();
  return rule;
}

const tooMany = (): Error => {
  const detail = `must give ${MOST_OCCURRENCES} occurrences at most`;
  return new TooManyError({ detail, errors: [{ pointer: '/rrule', detail }] });
};

/** Whether a series ends by itself. */
export const hasEnd = (rule: string): boolean => /(^|;)(COUNT|UNTIL)=/.test(rule);

function parse(text: string): RuleParts {
  const parts: RuleParts = new Map();
  for (const part of text.trim().toUpperCase().split(';')) {
    const [name = '', value = '', ...more] = part.split('=');
    if (!KNOWN.includes(name)) refuse(`does not know ${name.slice(0, 30) || 'an empty part'}`);
    if (value === '' || more.length > 0) refuse(`${name} must have a value`);
    if (parts.has(name)) refuse(`${name} must come once`);
    parts.set(name, value);
  }
  checkParts(parts);
  return parts;
}

function checkParts(parts: RuleParts): void {
  const frequency = parts.get('FREQ');
  if (!frequency || !FREQUENCIES.includes(frequency)) refuse(`FREQ must be one of ${FREQUENCIES.join(', ')}`);
  checkNumber(parts, 'INTERVAL', MOST_INTERVAL);
  checkNumber(parts, 'COUNT', Number.MAX_SAFE_INTEGER);
  if (parts.has('COUNT') && parts.has('UNTIL')) refuse('COUNT and UNTIL do not go together');
  const weekday = frequency === 'MONTHLY' ? ORDINAL_WEEKDAY : WEEKDAY;
  checkList(parts, 'BYDAY', weekday, 'weekdays such as MO,WE; ordinals such as 2SA only with FREQ=MONTHLY');
  checkList(parts, 'BYMONTHDAY', MONTH_DAY, 'days from 1 to 31, or -1 to -31 from the end');
  if (frequency === 'WEEKLY' && parts.has('BYMONTHDAY')) refuse('BYMONTHDAY does not go with FREQ=WEEKLY');
}

function checkNumber(parts: RuleParts, name: string, most: number): void {
  const value = parts.get(name);
  if (value === undefined) return;
  if (!/^\d{1,15}$/.test(value) || Number(value) < 1 || Number(value) > most)
    refuse(`${name} must be from 1 to ${most}`);
  parts.set(name, String(Number(value)));
}

function checkList(parts: RuleParts, name: string, item: RegExp, what: string): void {
  const values = parts.get(name)?.split(',');
  if (values && !values.every((value) => item.test(value))) refuse(`${name} must list ${what}`);
}

/** The last minute that UNTIL lets a start have, on the event's wall clock. */
function untilLocalOf(until: string, { startLocal, isAllDay, tz }: SeriesStart): string {
  const found = UNTIL.exec(until) ?? refuse('UNTIL must be YYYYMMDD, YYYYMMDDTHHMMSS or YYYYMMDDTHHMMSSZ');
  const [, year, month, day, hours, minutes, seconds, zulu] = found as string[];
  const date = `${year}-${month}-${day}`;
  const iso = `${date}T${hours ?? '00'}:${minutes ?? '00'}:${seconds ?? '00'}.000Z`;
  const ms = Date.parse(iso);
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== iso) refuse('UNTIL is no date of the calendar');
  const local = zulu ? wallTimeOf(new Date(ms), tz) : iso.slice(0, 16);
  const last = hours === undefined || isAllDay ? `${local.slice(0, 10)}T23:59` : local;
  if (last > LAST_LOCAL) refuse('UNTIL must lie before 2200');
  if (last < startLocal) refuse('UNTIL must not lie before the start');
  return last;
}

const compact = (local: string): string => `${local.replace(/[-:]/g, '')}00`;

function formatUntil(local: string, { isAllDay, tz }: SeriesStart): string {
  if (isAllDay) return compact(local).slice(0, 8);
  return `${compact(instantOf(local.slice(0, 10), local.slice(11), tz).toISOString().slice(0, 16))}Z`;
}

/** The same rule ending before a start of its series. @param last the start that stays the last one */
export function endRuleAt(rule: string, last: string, start: SeriesStart): string {
  const parts = parse(rule);
  parts.delete('COUNT');
  parts.set('UNTIL', formatUntil(last, start));
  return [...parts].map(([name, value]) => `${name}=${value}`).join(';');
}

/** The same rule for the occurrences from one on. @param before how many come before it */
export function continueRule(rule: string, before: number): string {
  const parts = parse(rule);
  const count = parts.get('COUNT');
  if (count !== undefined) parts.set('COUNT', String(Number(count) - before));
  return [...parts].map(([name, value]) => `${name}=${value}`).join(';');
}

/**
 * The same rule for a series that now starts at another hour, in another zone or for whole days: its last date stays.
 *
 * @param old where the series started
 */
export function moveRule(rule: string, old: SeriesStart): string {
  const parts = parse(rule);
  const until = parts.get('UNTIL');
  if (until === undefined) return rule;
  const [date = '', time = ''] = untilLocalOf(until, old).split('T');
  // On a date before whose hour the rule ends there is no occurrence.
  const last = time < old.startLocal.slice(11) ? addDays(date, -1) : date;
  parts.set('UNTIL', last.replaceAll('-', ''));
  return [...parts].map((part) => part.join('=')).join(';');
}

/** A series' starts follow from its rule alone, and every month's loader asks for them again. */
const known = new LRUCache<string, readonly string[]>({ max: 2_000 });

/** Starts of a series on its wall clock, in order; at most `MOST_OCCURRENCES` (C2: dates that do not exist are skipped). */
export function startsOf(rule: string | null, start: SeriesStart): readonly string[] {
  if (rule === null) return [start.startLocal];
  const key = `${start.startLocal} ${start.isAllDay} ${start.tz} ${rule}`;
  let starts = known.get(key);
  if (!starts) {
    starts = expand(rule, start, MOST_OCCURRENCES);
    known.set(key, starts);
  }
  return starts;
}

/**
 * The wall clock is expanded as if it were UTC, where every minute exists once; what an instant it is in the event's zone is
 * asked of each start afterwards.
 */
function expand(rule: string, start: SeriesStart, most: number): string[] {
  const parts = parse(rule);
  const until = parts.get('UNTIL');
  const count = parts.get('COUNT');
  parts.delete('COUNT');
  // A rule without an end must not look for one in all eternity.
  const latest = count === undefined ? LAST_ENDLESS_LOCAL : LAST_LOCAL;
  parts.set('UNTIL', `${compact(until === undefined ? latest : untilLocalOf(until, start))}Z`);
  const wanted = Math.min(Number(count ?? most), most);
  const starts: string[] = [];
  try {
    new RRuleTemporal({
      rruleString: `DTSTART:${compact(start.startLocal)}Z\nRRULE:${[...parts].map((part) => part.join('=')).join(';')}`,
      maxIterations: MOST_PERIODS,
      maxCandidateEvaluations: MOST_CANDIDATES,
      cache: false,
    }).all((occurrence) => {
      starts.push(new Date(occurrence.epochMilliseconds).toISOString().slice(0, 16));
      return starts.length < wanted;
    });
  } catch (cause) {
    const detail = 'finds no occurrence for too long';
    throw new BadRruleError({ detail, errors: [{ pointer: '/rrule', detail }], cause });
  }
  if (count !== undefined && starts.length < wanted) refuse('its occurrences reach beyond 2199');
  return starts;
}
