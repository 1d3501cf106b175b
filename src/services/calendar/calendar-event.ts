import Joi from 'joi';
import { ROLES, type Role } from '../../lib/actor.ts';
import { line, REAL_DATE, TIME, uuid } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';

export const EVENT_KINDS = ['event', 'holiday', 'exam', 'meeting', 'closure'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];
export const EVENT_STATUSES = ['draft', 'published', 'cancelled'] as const;
export type EventStatus = (typeof EVENT_STATUSES)[number];

/** Whom an event is for (C7). */
export interface Audience {
  kind: 'school' | 'role' | 'class' | 'user';
  role?: Role;
  class_id?: string;
  user_id?: string;
}

/** What a client says about an event. Times are those of a wall clock: `YYYY-MM-DDTHH:MM` in `tz`. */
export interface EventInput {
  title: string;
  description: string | null;
  kind: EventKind;
  is_all_day: boolean;
  start_local: string;
  /** Minutes; whole days of 1440 for all-day events. */
  duration_min: number;
  tz: string;
  rrule: string | null;
  is_school_closed: boolean;
  is_skip_closed: boolean;
  location: string | null;
  status: EventStatus;
}

/** A stored event. */
export interface CalendarEvent extends EventInput {
  id: string;
  starts_at: string;
  /** Null for a series without an end. */
  last_ends_at: string | null;
  split_from_id: string | null;
  created_by: string;
  created_at: string;
  updated_at: string;
  version: number;
}

/** What one occurrence has of its own (C3); keyed by the start that the rule gives it. */
export interface EventException {
  occurrence_local: string;
  action: 'cancelled' | 'changed';
  new_start_local: string | null;
  new_duration_min: number | null;
  new_title: string | null;
}

/** An event with all that hangs on it. */
export interface WholeEvent {
  event: CalendarEvent;
  exceptions: EventException[];
  audiences: Audience[];
}

export const DAY_MINUTES = 1_440;
/** A term of holidays, and some. */
const MOST_MINUTES = 190 * DAY_MINUTES;
const LOCAL = new RegExp(`^(${REAL_DATE})T${TIME}(:00)?$`);

/** A wall clock's minute, `YYYY-MM-DDTHH:MM`. */
export const localMinute = Joi.string()
  .custom((value: string, helpers) =>
    LOCAL.test(value) ? value.slice(0, 16) : helpers.message({ custom: 'must be a wall clock time YYYY-MM-DDTHH:MM' }),
  )
  .meta({ jsonSchema: { pattern: LOCAL.source } });

/** A zone's name in its own letters; one that the runtime knows by an older name, as Asia/Kolkata, stays as it is. */
function zoneNameOf(value: string): string | undefined {
  // The runtime takes offsets, too; nobody can say when their clocks change.
  if (!/^[A-Za-z]/.test(value)) return undefined;
  try {
    const { timeZone: known } = new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions();
    return known.toLowerCase() === value.toLowerCase() ? known : value;
  } catch {
    return undefined;
  }
}

const timeZone = Joi.string()
  .max(LIMITS.events.tz)
  .custom((value: string, helpers) => {
    const name = zoneNameOf(value);
    return name ?? helpers.message({ custom: 'must be a time zone such as Asia/Kolkata' });
  })
  .meta({ jsonSchema: { description: 'Name of a time zone, such as Asia/Kolkata', pattern: '^[A-Za-z]' } });

/** Fields of an event; which of them must be there is the caller's to say. */
export const eventFields = {
  title: line(LIMITS.events.title),
  description: Joi.string().max(LIMITS.events.description).allow(null),
  kind: Joi.string().valid(...EVENT_KINDS),
  is_all_day: Joi.boolean(),
  start_local: localMinute,
  duration_min: Joi.number().integer().min(1).max(MOST_MINUTES),
  tz: timeZone,
  rrule: Joi.string().max(LIMITS.events.rrule).allow(null),
  is_school_closed: Joi.boolean(),
  is_skip_closed: Joi.boolean(),
  location: line(LIMITS.events.location).allow(null),
  status: Joi.string().valid(...EVENT_STATUSES),
};

export const audience = Joi.alternatives<Audience>(
  Joi.object({ kind: Joi.valid('school').required() }),
  Joi.object({
    kind: Joi.valid('role').required(),
    role: Joi.string()
      .valid(...ROLES)
      .required(),
  }),
  Joi.object({ kind: Joi.valid('class').required(), class_id: uuid.required() }),
  Joi.object({ kind: Joi.valid('user').required(), user_id: uuid.required() }),
);

export const audienceList = Joi.array().items(audience).min(1).max(100).unique();

const CLOSING_KINDS: readonly EventKind[] = ['holiday', 'closure'];

/**
 * What must hold between the fields of an event, whether it is new or changed.
 *
 * @returns what is wrong, as errors of fields
 */
export function contradictionsOf(
  event: EventInput,
  audiences: readonly Audience[],
): { pointer: string; detail: string }[] {
  const errors: { pointer: string; detail: string }[] = [];
  const check = (isRight: boolean, pointer: string, detail: string): void => {
    if (!isRight) errors.push({ pointer, detail });
  };
  if (event.is_all_day) {
    check(event.start_local.endsWith('T00:00'), '/start_local', 'must be midnight for an all-day event');
    check(event.duration_min % DAY_MINUTES === 0, '/duration_min', 'must be whole days of 1440 for an all-day event');
  }
  if (event.is_skip_closed)
    check(event.duration_min <= DAY_MINUTES, '/duration_min', 'must be a day at most where closed days are skipped');
  if (event.is_school_closed) {
    check(CLOSING_KINDS.includes(event.kind), '/is_school_closed', 'is for holidays and closures');
    check(event.is_all_day, '/is_all_day', 'must be true where the school is closed');
    check(!event.is_skip_closed, '/is_skip_closed', 'must be false where the school is closed');
    check(
      audiences.some(({ kind }) => kind === 'school'),
      '/audiences',
      'must hold the school where it is closed',
    );
  }
  return errors;
}
