import Joi from 'joi';
import { defineEntity, instant, json, oneOf, text, uuid } from '../../lib/entity.ts';
import { namedId } from '../../lib/ids.ts';
import { isoInstant, uuid as uuidRule } from '../../lib/joi.ts';

export const SEVERITIES = ['info', 'warn', 'urgent'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Notification {
  user_id: string;
  id: string;
  topic: string;
  title: string;
  body: string;
  /** Ids of what it is about. */
  data: Record<string, string>;
  severity: Severity;
  created_at: string;
  channels: { in_app: boolean; email: boolean };
  dedupe_key: string;
  expire_at: string;
}

/** The same for the same person and thing, so that what is sent twice is there once. */
export const notificationId = (userId: string, dedupeKey: string): string => namedId('notification', userId, dedupeKey);

const COLLECTION = 'notification_archive';
export const MOST_TITLE_CHARACTERS = 200;
export const MOST_BODY_CHARACTERS = 1_000;

/** One message to one person; the first of a dedupe key wins. Its `_id` is `user:id`. */
export const notificationEntity = defineEntity({
  name: 'notification',
  service: 'dashboard',
  kind: 'document',
  columns: {
    user_id: uuid,
    id: uuid,
    topic: text,
    title: text,
    body: text,
    data: json,
    severity: oneOf(...SEVERITIES),
    created_at: instant,
    channels: json,
    dedupe_key: text,
    expire_at: instant,
  },
  key: ['user_id', 'id'],
  schema: Joi.object({
    user_id: uuidRule,
    id: uuidRule,
    topic: Joi.string().max(100),
    title: Joi.string().max(MOST_TITLE_CHARACTERS),
    body: Joi.string().max(MOST_BODY_CHARACTERS).allow(''),
    data: Joi.object().pattern(Joi.string(), Joi.string()),
    severity: Joi.string().valid(...SEVERITIES),
    created_at: isoInstant,
    channels: Joi.object({ in_app: Joi.boolean(), email: Joi.boolean() }),
    dedupe_key: Joi.string().max(300),
    expire_at: isoInstant,
  }).prefs({ presence: 'required' }),
  lane: 'bulk',
  durability: 'buffered',
  sink: { kind: 'mongo', collection: COLLECTION, merge: 'first' },
  relations: ['user_id'],
  shape: 1,
  warmSeconds: 0,
  examples: [
    {
      topic: 'homework.published',
      title: 'New homework: Fractions',
      body: 'Due on 2025-09-12 at 18:00.',
      data: { homework_id: '' },
      channels: { in_app: true, email: false },
      dedupe_key: 'homework.published::2025-09-10',
    },
  ],
});

/** That a person has read a notification, and when first. */
export const notificationReadEntity = defineEntity({
  name: 'notification_read',
  service: 'dashboard',
  kind: 'document',
  columns: { user_id: uuid, id: uuid, read_at: instant },
  key: ['user_id', 'id'],
  schema: Joi.object({ user_id: uuidRule, id: uuidRule, read_at: isoInstant }).prefs({ presence: 'required' }),
  lane: 'bulk',
  durability: 'buffered',
  sink: { kind: 'mongo', collection: COLLECTION, merge: 'earliest' },
  parents: [{ entity: 'notification', key: ({ user_id, id }) => `${user_id}:${id}` }],
  relations: ['user_id'],
  shape: 1,
  warmSeconds: 0,
  examples: [{ read_at: '2025-09-10T03:00:00.000Z' }],
});
