import Joi from 'joi';
import { ROLES } from '../../lib/actor.ts';
import { isoInstant, schoolDate, uuid } from '../../lib/joi.ts';
import { eventFields, localMinute } from './calendar-event.ts';
import { ANSWERS } from './event-rsvp.entity.ts';

const all = <T>(fields: Joi.SchemaMap<T>): Joi.ObjectSchema<T> => Joi.object<T>(fields).prefs({ presence: 'required' });

export const occurrenceResponse = all({
  event_id: uuid,
  occurrence_local: localMinute,
  start_local: localMinute,
  starts_at: isoInstant,
  ends_at: isoInstant,
  title: eventFields.title,
  kind: eventFields.kind,
  is_all_day: Joi.boolean(),
  is_school_closed: Joi.boolean(),
  is_recurring: Joi.boolean(),
  is_changed: Joi.boolean(),
  is_editable: Joi.boolean(),
  tz: Joi.string(),
  location: eventFields.location,
  status: eventFields.status,
});

const exception = all({
  occurrence_local: localMinute,
  action: Joi.string().valid('cancelled', 'changed'),
  new_start_local: localMinute.allow(null),
  new_duration_min: Joi.number().integer().allow(null),
  new_title: Joi.string().allow(null),
});

const audience = Joi.object({
  kind: Joi.string().valid('school', 'role', 'class', 'user').required(),
  role: Joi.string().valid(...ROLES),
  class_id: uuid,
  user_id: uuid,
});

export const eventResponse = all({
  id: uuid,
  ...eventFields,
  starts_at: isoInstant,
  last_ends_at: isoInstant.allow(null),
  split_from_id: uuid.allow(null),
  created_by: uuid,
  created_at: isoInstant,
  updated_at: isoInstant,
  version: Joi.number().integer(),
  exceptions: Joi.array().items(exception),
  /** Null for those who may not change the event. */
  audiences: Joi.array().items(audience).allow(null),
  is_editable: Joi.boolean(),
});

export const changeResponse = all({
  event: eventResponse.allow(null),
  dropped_exceptions: Joi.array().items(exception),
  warnings: Joi.array().items(
    all({
      code: Joi.string().valid('EXAM_ON_CLOSED_DAY', 'SHEETS_VOID', 'SERIES_CUT'),
      detail: Joi.string(),
      event_id: uuid.allow(null),
      on: schoolDate.allow(null),
    }),
  ),
});

const rsvp = {
  event_id: uuid,
  occurrence_local: localMinute,
  user_id: uuid,
  answer: Joi.string()
    .valid(...ANSWERS)
    .allow(null),
  note: Joi.string().allow(null),
  answered_at: isoInstant,
};

export const rsvpResponse = all({ ...rsvp, version: Joi.number().integer() });

export const rsvpListResponse = all({
  occurrence_local: localMinute,
  counts: all({ yes: Joi.number().integer(), no: Joi.number().integer(), maybe: Joi.number().integer() }),
  answers: Joi.array().items(all({ ...rsvp, name: Joi.string().allow(null), pending: Joi.boolean() })),
});

export const schoolDayResponse = all({
  date: schoolDate,
  is_open: Joi.boolean(),
  reason: Joi.string().allow(null),
  event_id: uuid.allow(null),
});
