import Joi from 'joi';
import { defineEntity, json, text, uuid } from '../../lib/entity.ts';
import { nullable, phone, uuid as uuidRule } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';

/** Preferences by name, as `users.prefs` holds them beside the two below. */
export const prefsFields = {
  quiet_hours: Joi.boolean(),
  email_notifications: Joi.boolean(),
};

/** What people change about themselves; `phone` is a column, all else lives in `users.prefs`. */
export const profileFields = {
  phone: nullable(phone),
  locale: Joi.string()
    .max(LIMITS.schools.locale)
    .pattern(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'language tag'),
  avatar_file_id: uuidRule.allow(null),
};

export const PREFS = Object.keys(prefsFields) as (keyof typeof prefsFields)[];

const jsonNames = ['locale', 'avatar_file_id', ...PREFS];
const all = { ...profileFields, ...prefsFields };

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
      .valid(...Object.keys(all))
      .required(),
    value: Joi.any()
      .required()
      .custom((value: unknown, helpers) => {
        const [{ name }] = helpers.state.ancestors as [{ name: keyof typeof all }];
        const { error } = all[name].validate(value);
        return error ? helpers.message({ custom: error.message.replace('"value" ', '') }) : value;
      }),
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
      json: { column: 'prefs', names: jsonNames },
      only: "stored.status <> 'archived'",
      // The office and drivers call this one.
      also: { table: 'guardians', key: 'user_id', columns: ['phone'] },
    },
  },
  shape: 1,
  examples: [{ fields: [{ value: 'en-IN' }, { value: '+91 98765 43210' }] }],
});
