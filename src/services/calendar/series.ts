import { NoSuchOccurrenceError, UnprocessableError } from '../../errors/catalogue.ts';
import {
  type Audience,
  type CalendarEvent,
  contradictionsOf,
  DAY_MINUTES,
  type EventException,
  type EventInput,
  type WholeEvent,
} from './calendar-event.ts';
import type { EventColumns } from './calendar-store.ts';
import { boundsOf, ruleStartsOf, seriesStartOf } from './occurrences.ts';
import { continueRule, endRuleAt, hasEnd, moveRule, normalizeRule } from './recurrence.ts';

export type EventChanges = Partial<EventInput> & { audiences?: Audience[] };

/** What may differ for one occurrence (C3). */
const OWN_FIELDS = ['start_local', 'duration_min', 'title'];
/** Instants of the API. */
const FIRST_INSTANT = '1900-01-01T00:00:00.000Z';
const LAST_INSTANT = '2199-12-31T23:59:59.999Z';
/** What the end of a rule was written for. */
const MOVING_FIELDS = ['start_local', 'is_all_day', 'tz'] as const;

/**
 * Checks an event as a whole and writes its rule in one form.
 *
 * @throws UnprocessableError naming contradictions; BadRruleError, TooManyError
 */
export function soundEvent<T extends EventInput>(event: T, audiences: readonly Audience[]): T {
  const errors = contradictionsOf(event, audiences);
  if (errors.length > 0) throw new UnprocessableError({ errors });
  return { ...event, rrule: event.rrule === null ? null : normalizeRule(event.rrule, seriesStartOf(event)) };
}

/**
 * An event with changes of some of its fields, checked as a whole.
 *
 * @throws as `soundEvent` does
 */
export function changedEvent(
  old: CalendarEvent,
  changes: Partial<EventInput>,
  audiences: readonly Audience[],
): CalendarEvent {
  const event = { ...old, ...changes };
  const isMoved = MOVING_FIELDS.some((name) => event[name] !== old[name]);
  if (isMoved && old.rrule !== null && changes.rrule === undefined)
    event.rrule = moveRule(old.rrule, seriesStartOf(old));
  return soundEvent(event, audiences);
}

/**
 * Columns of an event whose dates follow from its fields and exceptions.
 *
 * @throws UnprocessableError when some of it lies beyond the instants that the API can tell
 */
export function columnsOf(
  {
    title,
    description,
    kind,
    is_all_day,
    start_local,
    duration_min,
    tz,
    rrule,
    ...rest
  }: EventInput & {
    split_from_id?: string | null;
  },
  exceptions: readonly EventException[],
): EventColumns {
  const { is_school_closed, is_skip_closed, location, status, split_from_id = null } = rest;
  const fields = { title, description, kind, is_all_day, start_local, duration_min, tz, rrule };
  const more = { is_school_closed, is_skip_closed, location, status, split_from_id };
  const { starts_at, ends_at } = boundsOf({ ...fields, is_skip_closed }, exceptions);
  if (starts_at < FIRST_INSTANT || ends_at > LAST_INSTANT) {
    const detail = 'must leave the event between 1900 and 2199 (UTC), from its first start to its last end';
    throw new UnprocessableError({ errors: [{ pointer: '/start_local', detail }] });
  }
  const isEndless = rrule !== null && !hasEnd(rrule);
  return { ...fields, ...more, starts_at, last_ends_at: isEndless ? null : ends_at };
}

/** C3: exceptions whose occurrence the event still has, and those that no longer fit. */
export function fitting(
  event: EventInput,
  exceptions: readonly EventException[],
): { kept: EventException[]; dropped: EventException[] } {
  const starts = new Set(ruleStartsOf(event));
  const fits = (exception: EventException): boolean =>
    starts.has(exception.occurrence_local) && exceptionErrors(event, exception).length === 0;
  return { kept: exceptions.filter(fits), dropped: exceptions.filter((exception) => !fits(exception)) };
}

function exceptionErrors(
  { is_all_day, is_skip_closed }: EventInput,
  { new_start_local, new_duration_min }: EventException,
): { pointer: string; detail: string }[] {
  const errors: { pointer: string; detail: string }[] = [];
  if (is_all_day && new_start_local !== null && !new_start_local.endsWith('T00:00'))
    errors.push({ pointer: '/start_local', detail: 'must be midnight for an all-day event' });
  if (is_all_day && new_duration_min !== null && new_duration_min % DAY_MINUTES !== 0)
    errors.push({ pointer: '/duration_min', detail: 'must be whole days of 1440 for an all-day event' });
  if (is_skip_closed && new_duration_min !== null && new_duration_min > DAY_MINUTES)
    errors.push({ pointer: '/duration_min', detail: 'must be a day at most where closed days are skipped' });
  return errors;
}

/** @throws NoSuchOccurrenceError when the rule does not give it, or it was cancelled */
export function requireOccurrence({ event, exceptions }: WholeEvent, occurrence: string): void {
  const isCancelled = exceptions.some(
    ({ occurrence_local, action }) => occurrence_local === occurrence && action === 'cancelled',
  );
  if (isCancelled || !ruleStartsOf(event).includes(occurrence)) {
    const detail = 'is not the start of an occurrence of this event';
    throw new NoSuchOccurrenceError({ errors: [{ pointer: '/query/occurrence', detail }] });
  }
}

/** The exceptions with one occurrence changed; what it had of its own already stays. @throws UnprocessableError */
export function withChanged(
  { event, exceptions }: WholeEvent,
  occurrence: string,
  changes: EventChanges,
): EventException[] {
  const strange = Object.keys(changes).filter((name) => !OWN_FIELDS.includes(name));
  if (strange.length > 0) {
    throw new UnprocessableError({
      errors: strange.map((name) => ({ pointer: `/${name}`, detail: 'cannot differ for one occurrence' })),
    });
  }
  const old = exceptions.find(({ occurrence_local }) => occurrence_local === occurrence);
  const exception: EventException = {
    occurrence_local: occurrence,
    action: 'changed',
    new_start_local: changes.start_local ?? old?.new_start_local ?? null,
    new_duration_min: changes.duration_min ?? old?.new_duration_min ?? null,
    new_title: changes.title ?? old?.new_title ?? null,
  };
  const errors = exceptionErrors(event, exception);
  if (errors.length > 0) throw new UnprocessableError({ errors });
  return replaced(exceptions, exception);
}

/** The exceptions with one occurrence cancelled. */
export const withCancelled = ({ exceptions }: WholeEvent, occurrence: string): EventException[] =>
  replaced(exceptions, {
    occurrence_local: occurrence,
    action: 'cancelled',
    new_start_local: null,
    new_duration_min: null,
    new_title: null,
  });

function replaced(exceptions: readonly EventException[], exception: EventException): EventException[] {
  const others = exceptions.filter(({ occurrence_local }) => occurrence_local !== exception.occurrence_local);
  return [...others, exception].sort((a, b) => (a.occurrence_local < b.occurrence_local ? -1 : 1));
}

/** A series cut in two: the part before an occurrence, and what the rest starts from. */
export interface Split {
  ended: CalendarEvent;
  /** Exceptions of the part that ends. */
  kept: EventException[];
  rest: { start_local: string; rrule: string };
  /** Exceptions of the rest. */
  moved: EventException[];
}

/** @returns undefined when nothing comes before the occurrence */
export function splitAt({ event, exceptions }: WholeEvent, occurrence: string): Split | undefined {
  const starts = ruleStartsOf(event);
  const index = starts.indexOf(occurrence);
  if (event.rrule === null || index <= 0) return undefined;
  return {
    ended: { ...event, rrule: endRuleAt(event.rrule, starts[index - 1]!, seriesStartOf(event)) },
    kept: exceptions.filter(({ occurrence_local }) => occurrence_local < occurrence),
    rest: { start_local: occurrence, rrule: continueRule(event.rrule, index) },
    moved: exceptions.filter(({ occurrence_local }) => occurrence_local >= occurrence),
  };
}
