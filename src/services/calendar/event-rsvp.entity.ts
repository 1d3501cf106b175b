import Joi from 'joi';
import { defineEntity, instant, oneOf, text, uuid, wallMinute } from '../../lib/entity.ts';
import { isoInstant, uuid as uuidRule } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';

export const ANSWERS = ['yes', 'no', 'maybe'] as const;
export type Answer = (typeof ANSWERS)[number];

/** Somebody's answer to one occurrence of an event. */
export interface EventRsvp {
  event_id: string;
  /** Rule's start of the occurrence, `YYYYMMDDTHHMM`. */
  occurrence_local: string;
  user_id: string;
  answer: Answer;
  note: string | null;
  answered_at: string;
  deleted_at: string | null;
}

/** A wall clock's minute without its colons, as it stands in keys. */
export const toKeyMinute = (local: string): string => local.replace(/[-:]/g, '');

export const eventRsvpEntity = defineEntity({
  name: 'event_rsvp',
  service: 'calendar',
  kind: 'document',
  columns: {
    event_id: uuid,
    occurrence_local: wallMinute,
    user_id: uuid,
    answer: oneOf(...ANSWERS),
    note: text,
    answered_at: instant,
    deleted_at: instant,
  },
  // All pending answers to an event lie in one bucket.
  key: ['event_id', 'occurrence_local', 'user_id'],
  relations: ['event_id'],
  scope: [{ rows: 'users', column: 'user_id' }],
  schema: Joi.object({
    event_id: uuidRule,
    occurrence_local: Joi.string().pattern(/^\d{8}T\d{4}$/),
    user_id: uuidRule,
    answer: Joi.string().valid(...ANSWERS),
    note: Joi.string().max(LIMITS.event_rsvps.note).allow(null),
    answered_at: isoInstant,
    deleted_at: isoInstant.allow(null),
  }).prefs({ presence: 'required' }),
  lane: 'bulk',
  durability: 'buffered',
  sink: {
    kind: 'postgres',
    table: 'event_rsvps',
    conflict: ['event_id', 'occurrence_local', 'user_id'],
    version: 'version',
    softDelete: 'deleted_at',
    drop: {
      code: 'EVENT_CANCELLED',
      message: 'the event was cancelled meanwhile',
      when: `EXISTS (SELECT 1 FROM events e WHERE e.id = incoming.event_id AND (e.status = 'cancelled' OR e.deleted_at IS NOT NULL))`,
    },
  },
  shape: 1,
  examples: [
    { note: 'We are two; my sister comes along.' },
    { note: 'I will be half an hour late.' },
    { note: 'Sorry, we are out of town that weekend.' },
  ],
});
