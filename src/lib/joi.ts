import Joi from 'joi';

/** Schemas that every service shares. Texts with NUL or half a surrogate pair are refused before any schema is asked. */
export const uuid = Joi.string()
  .guid({ version: ['uuidv4', 'uuidv5', 'uuidv7'], separator: '-' })
  .lowercase();

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;

/** A school date `YYYY-MM-DD` between 1900 and 2199. */
export const schoolDate = Joi.string().custom((value: string, helpers) => {
  const ms = DATE.test(value) ? Date.parse(value) : Number.NaN;
  const isReal =
    !Number.isNaN(ms) &&
    new Date(ms).toISOString().slice(0, 10) === value &&
    value >= '1900-01-01' &&
    value < '2200-01-01';
  return isReal ? value : helpers.message({ custom: 'must be a date YYYY-MM-DD' });
});

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

/** An instant in ISO 8601 with its zone; stored and answered in UTC with milliseconds. */
export const isoInstant = Joi.string().custom((value: string, helpers) => {
  const ms = INSTANT.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms) || value < '1900' || value >= '2200')
    return helpers.message({ custom: 'must be an ISO 8601 instant with a zone, between 1900 and 2199' });
  return new Date(ms).toISOString();
});

export const pageLimit = Joi.number().integer().min(1).max(100).default(25);
export const cursor = Joi.string().max(500);

export const idParams = Joi.object<{ id: string }>({ id: uuid.required() });

export const phone = Joi.string()
  .trim()
  .pattern(/^\+?[0-9 ()-]{4,32}$/, 'phone number')
  .max(32);

/** Any domain: a school's own may be known to nobody else. */
export const email = Joi.string().email({ tlds: false }).max(254);

/** A line of text: a name, a title. Neither empty nor only blanks. */
export const line = (limit: number): Joi.StringSchema => Joi.string().trim().min(1).max(limit);

/** The version of a row, as an answer holds it. */
export const version = Joi.number().integer().min(0);
