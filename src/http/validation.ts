import type Joi from 'joi';
import type { FieldError } from '../errors/app-error.ts';
import { MalformedRequestError, UnprocessableError, ValidationError } from '../errors/catalogue.ts';
import { RULE_BROKEN } from '../lib/joi.ts';

/** Nothing in the API nests deeper. */
const MOST_DEPTH = 12;
/** Nor has longer lists, or objects of more members. A schema looks at every item, and says what is wrong with each. */
const MOST_MEMBERS = 1_000;
/** In all lists and objects of one part of a request. */
const MOST_VALUES = 10_000;
/** Problems that an answer lists; whoever has made so many needs no more to see what is wrong. */
const MOST_PROBLEMS = 100;
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** A key as a step of a JSON pointer (RFC 6901). */
const step = (key: string | number): string => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

const unfit = (pointer: string, detail: string): Error => new ValidationError({ errors: [{ pointer, detail }] });

/**
 * What no field may hold, whatever its schema says: texts that a database cannot store, keys that reach into prototypes,
 * nesting and lists without end.
 *
 * @throws ValidationError naming the place
 */
export function inspect(value: unknown, prefix = ''): void {
  // Pointers are spelled only for what is wrong; this runs for every request.
  if (sizeOf(value, 0) <= MOST_VALUES) return;
  refuse(value, prefix, 0);
  throw unfit(prefix, `must hold at most ${MOST_VALUES} values`);
}

const isFitText = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** How many values it holds, itself one of them; infinitely many when one of them is unfit. */
function sizeOf(value: unknown, depth: number): number {
  if (typeof value === 'string') return isFitText(value) ? 1 : Number.POSITIVE_INFINITY;
  if (typeof value !== 'object' || value === null) return 1;
  if (depth >= MOST_DEPTH) return Number.POSITIVE_INFINITY;
  let size = 1;
  if (Array.isArray(value)) {
    if (value.length > MOST_MEMBERS) return Number.POSITIVE_INFINITY;
    for (const item of value) size += sizeOf(item, depth + 1);
    return size;
  }
  const keys = Object.keys(value);
  if (keys.length > MOST_MEMBERS) return Number.POSITIVE_INFINITY;
  for (const key of keys) {
    if (FORBIDDEN_KEYS.has(key) || !isFitText(key)) return Number.POSITIVE_INFINITY;
    size += sizeOf((value as Record<string, unknown>)[key], depth + 1);
  }
  return size;
}

/** The same walk as `sizeOf`, keeping track of where it is. */
function refuse(value: unknown, pointer: string, depth: number): void {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw unfit(pointer, 'must not contain the NUL character');
    if (!value.isWellFormed()) throw unfit(pointer, 'must not contain half of a surrogate pair');
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth >= MOST_DEPTH) throw unfit(pointer, `must not nest deeper than ${MOST_DEPTH} levels`);
  const members = Object.entries(value);
  if (members.length > MOST_MEMBERS)
    throw unfit(pointer, `must have at most ${MOST_MEMBERS} ${Array.isArray(value) ? 'items' : 'fields'}`);
  for (const [key, item] of members) {
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
    const errors = error.details.slice(0, MOST_PROBLEMS).map((detail) => toFieldError(detail, prefix));
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
