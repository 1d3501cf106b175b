import Joi from 'joi';

/**
 * Schemas that every service shares. Texts with NUL or half a surrogate pair are refused before any schema is asked.
 * What a `custom` rule accepts is told to the API description by `meta({ jsonSchema: … })`.
 */
export const uuid = Joi.string()
  .guid({ version: ['uuidv4', 'uuidv5', 'uuidv7'], separator: '-' })
  .lowercase();

/**
 * Dates that exist, between 1900 and 2199, as a pattern says it. It is what the description shows: who makes up texts from a
 * pattern then meets the check, too.
 */
export const REAL_DATE = [
  '(19|20|21)\\d{2}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))',
  '((19|20|21)(0[48]|[2468][048]|[13579][26])|2000)-02-29',
].join('|');
/** Hours and minutes of a day, or of a zone. */
export const TIME = '([01]\\d|2[0-3]):[0-5]\\d';

const DATE = new RegExp(`^(${REAL_DATE})$`);
const SECONDS = ':[0-5]\\d(\\.\\d{1,9})?';
const ZONE = `(Z|[+-]${TIME})`;
/** JSON Schema's date-time has seconds; they may be left out here. */
const DATE_TIME = `^(${REAL_DATE})T${TIME}${SECONDS}${ZONE}$`;
const INSTANT = new RegExp(`^(${REAL_DATE})T${TIME}(${SECONDS})?${ZONE}$`);

/** A school date `YYYY-MM-DD` between 1900 and 2199. */
export const schoolDate = Joi.string()
  .custom((value: string, helpers) =>
    DATE.test(value) ? value : helpers.message({ custom: 'must be a date YYYY-MM-DD' }),
  )
  .meta({ jsonSchema: { format: 'date', pattern: DATE.source } });

/** An instant in ISO 8601 with its zone; stored and answered in UTC with milliseconds. */
export const isoInstant = Joi.string()
  .custom((value: string, helpers) =>
    INSTANT.test(value)
      ? new Date(value).toISOString()
      : helpers.message({ custom: 'must be an ISO 8601 instant with a zone, between 1900 and 2199' }),
  )
  .meta({ jsonSchema: { format: 'date-time', pattern: DATE_TIME } });

/** The type of joi's error where a rule is broken, and the mark that the description knows such a schema by. */
export const RULE_BROKEN = 'rule.broken';
const RULE_MARK = 'isRule';

/**
 * A rule over several fields, which no schema can say. What breaks it is answered with 422 instead of 400.
 *
 * @param wrongWith says what is wrong, in words for whoever sent it
 */
export const withRule = <S extends Joi.Schema, V>(schema: S, wrongWith: (value: V) => string | undefined): S =>
  schema
    .custom((value: V, helpers) => {
      const detail = wrongWith(value);
      return detail === undefined ? value : helpers.error(RULE_BROKEN, { detail });
    })
    .messages({ [RULE_BROKEN]: '{{#detail}}' })
    .meta({ jsonSchema: {}, [RULE_MARK]: true }) as S;

/** @param described what `describe()` says of a schema, or a part of that @returns whether a rule is somewhere in it */
export const hasRule = (described: unknown): boolean =>
  typeof described === 'object' &&
  described !== null &&
  (RULE_MARK in described || Object.values(described).some(hasRule));

export const pageLimit = Joi.number().integer().min(1).max(100).default(25);
export const cursor = Joi.string().max(500);

export const idParams = Joi.object<{ id: string }>({ id: uuid.required() });

export const nullable = (schema: Joi.Schema): Joi.Schema => schema.allow(null);

/** What an answer holds: every key is there, unless it says that it is optional. */
export const view = (keys: Joi.SchemaMap): Joi.ObjectSchema => Joi.object(keys).prefs({ presence: 'required' });

/** A row as others name it. */
export const reference = view({ id: uuid, name: Joi.string() });

/** Four digits, blanks, brackets and hyphens at least, with a digit in front: dashes alone are none. */
export const phone = Joi.string()
  .trim()
  .pattern(/^\+?\(?[0-9][0-9 ()-]{3,31}$/, 'phone number')
  .max(32);

/** Any domain: a school's own may be known to nobody else. ASCII only: capitals mean the same to every database. */
export const email = Joi.string().trim().email({ tlds: false, allowUnicode: false }).max(254);

const CONTROL = /\p{Cc}/u;

/** A line of text: a name, a title. Neither empty nor only blanks, and no line breaks or other control characters. */
export const line = (limit: number): Joi.StringSchema =>
  Joi.string()
    .trim()
    .min(1)
    .custom((value: string, helpers) =>
      CONTROL.test(value) ? helpers.message({ custom: 'must not contain control characters' }) : value,
    )
    // joi counts UTF-16 units; the databases and JSON Schema count characters.
    .custom((value: string, helpers) =>
      value.length > limit && [...value].length > limit ? helpers.error('string.max', { limit }) : value,
    )
    // Not every reader of patterns knows classes of characters.
    .meta({ jsonSchema: { maxLength: limit, allOf: [{ pattern: '^[^\\x00-\\x1f\\x7f-\\x9f]+$' }] } });

/** A version in an answer; 0 where nothing was ever written. */
export const version = Joi.number().integer().min(0);
