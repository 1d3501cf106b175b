import type Joi from 'joi';
import type { FieldError } from '../errors/app-error.ts';
import { MalformedRequestError, UnprocessableError, ValidationError } from '../errors/catalogue.ts';
import { RULE_BROKEN } from '../lib/joi.ts';

/** Nothing in the API nests deeper. */
const MOST_DEPTH = 12;
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** A key as a step of a JSON pointer (RFC 6901). */
const step = (key: string | number): string => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

const unfit = (pointer: string, detail: string): Error => new ValidationError({ errors: [{ pointer, detail }] });

/**
 * What no field may hold, whatever its schema says: texts that a database cannot store, keys that reach into prototypes,
 * nesting without end.
 *
 * @throws ValidationError naming the place
 */
export function inspect(value: unknown, prefix = ''): void {
  // Pointers are spelled only for what is wrong; this runs for every request.
  if (!isFit(value, 0)) refuse(value, prefix, 0);
}

const isFitText = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

function isFit(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return isFitText(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MOST_DEPTH) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!isFit(item, depth + 1)) return false;
    return true;
  }
  for (const key of Object.keys(value)) {
    if (FORBIDDEN_KEYS.has(key) || !isFitText(key) || !isFit((value as Record<string, unknown>)[key], depth + 1))
      return false;
  }
  return true;
}

/** The same walk as `isFit`, keeping track of where it is. */
function refuse(value: unknown, pointer: string, depth: number): void {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw unfit(pointer, 'must not contain the NUL character');
    if (!value.isWellFormed()) throw unfit(pointer, 'must not contain half of a surrogate pair');
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth >= MOST_DEPTH) throw unfit(pointer, `must not nest deeper than ${MOST_DEPTH} levels`);
  for (const [key, item] of Object.entries(value)) {
    // The key itself may be what is unfit to be shown.
    if (!isFitText(key)) throw unfit(pointer, 'has a field name with characters that are not accepted');
    if (!Array.isArray(value) && FORBIDDEN_KEYS.has(key))
      throw unfit(pointer + step(key), 'is not a field of this request');
    refuse(item, pointer + step(key), depth + 1);
  }
}

/** Answers of validators without a schema: shared, so nobody may write to it. */
const NOTHING = Object.freeze({});

/** Checks one part of a request against its schema; compiled once a route. */
export function createValidator(schema: Joi.Schema | undefined, prefix: string): (value: unknown) => unknown {
  if (!schema) {
    return (value) => {
      for (const extra in value as object | undefined)
        throw unfit(prefix + step(extra), 'is not a field of this request');
      return NOTHING;
    };
  }
  // Params, query and body are there unless their schema says by name that they need not be.
  const isOptional = (schema.describe().flags as { presence?: string } | undefined)?.presence === 'optional';
  const strict = (isOptional ? schema : schema.required()).prefs({
    abortEarly: false,
    errors: { wrap: { label: false }, label: false },
  });
  return (value) => {
    const { error, value: parsed } = strict.validate(value);
    if (!error) return parsed;
    const errors = error.details.map((detail) => toFieldError(detail, prefix));
    // A rule counts once everything has the form it asks for.
    throw error.details.every(({ type }) => type === RULE_BROKEN)
      ? new UnprocessableError({ errors })
      : new ValidationError({ errors });
  };
}

const toFieldError = ({ path, message, type }: Joi.ValidationErrorItem, prefix: string): FieldError => ({
  pointer: prefix + path.map(step).join(''),
  detail: type === 'object.unknown' ? 'is not a field of this request' : message.trim(),
});

/** `If-Match: "123"`; lists, weak tags and `*` say less than a write needs. */
export function parseIfMatch(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const version = /^"(\d{1,16})"$/.exec(header.trim())?.[1];
  if (version === undefined)
    throw new MalformedRequestError('If-Match must be one version in quotes, as ETag gives it');
  return Number(version);
}
