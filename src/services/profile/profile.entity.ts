import Joi from 'joi';
import { defineEntity, json, text, uuid } from '../../lib/entity.ts';
import { uuid as uuidRule } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';

/** What people change about themselves; names other than `phone` live in `users.prefs`. */
export const profileFields = {
  phone: Joi.string()
    .trim()
    .pattern(/^\+?[0-9 ()-]{4,32}$/, 'phone number')
    .max(LIMITS.users.phone)
    .allow(null),
  locale: Joi.string()
    .max(LIMITS.schools.locale)
    .pattern(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'language tag'),
  avatar_file_id: uuidRule.allow(null),
  quiet_hours: Joi.boolean(),
  email_notifications: Joi.boolean(),
};

export type Profile = { [Name in keyof typeof profileFields]?: unknown };

export const profileEntity = defineEntity({
  name: 'profile',
  service: 'auth',
  kind: 'sheet',
  columns: { user_id: uuid },
  key: ['user_id'],
  // A field each, so that two devices changing different things never overwrite each other.
  fields: { key: 'name', columns: { name: text, value: json } },
  schema: Joi.object({ user_id: uuidRule.required() }),
  fieldSchema: Joi.object({
    name: Joi.string()
      .valid(...Object.keys(profileFields))
      .required(),
    value: Joi.any(),
  }),
  lane: 'bulk',
  durability: 'buffered',
  sink: {
    kind: 'postgres',
    table: 'users',
    conflict: ['id'],
    version: 'version',
    patch: {
      columns: { phone: text },
      json: { column: 'prefs', names: ['locale', 'avatar_file_id', 'quiet_hours', 'email_notifications'] },
      only: "stored.status <> 'archived'",
    },
  },
  shape: 1,
  examples: [{ fields: [{ value: 'en-IN' }, { value: '+91 98765 43210' }] }],
});
