import Joi from 'joi';
import { isoInstant, schoolDate, uuid, version, view } from '../../lib/joi.ts';
import { audience, eventFields, localMinute } from './calendar-event.ts';
import { ANSWERS } from './event-rsvp.entity.ts';

export const occurrenceResponse = view({
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

const exception = view({
  occurrence_local: localMinute,
  action: Joi.string().valid('cancelled', 'changed'),
  new_start_local: localMinute.allow(null),
  new_duration_min: Joi.number().integer().allow(null),
  new_title: Joi.string().allow(null),
});

export const eventResponse = view({
  id: uuid,
  ...eventFields,
  starts_at: isoInstant,
  last_ends_at: isoInstant.allow(null),
  split_from_id: uuid.allow(null),
  created_by: uuid,
  created_at: isoInstant,
  updated_at: isoInstant,
  version,
  exceptions: Joi.array().items(exception),
  /** Null for those who may not change the event. */
  audiences: Joi.array().items(audience).allow(null),
  is_editable: Joi.boolean(),
});

export const changeResponse = view({
  event: eventResponse.allow(null),
  dropped_exceptions: Joi.array().items(exception),
  warnings: Joi.array().items(
    view({
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

export const rsvpResponse = view({ ...rsvp, version });

export const rsvpListResponse = view({
  occurrence_local: localMinute,
  counts: view({ yes: Joi.number().integer(), no: Joi.number().integer(), maybe: Joi.number().integer() }),
  answers: Joi.array().items(view({ ...rsvp, name: Joi.string().allow(null), pending: Joi.boolean() })),
});

export const schoolDayResponse = view({
  date: schoolDate,
  is_open: Joi.boolean(),
  reason: Joi.string().allow(null),
  event_id: uuid.allow(null),
});
