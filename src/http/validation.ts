import type Joi from 'joi';
import type { FieldError } from '../errors/app-error.ts';
import { MalformedRequestError, ValidationError } from '../errors/catalogue.ts';

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
export function inspect(value: unknown, pointer = '', depth = 0): void {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw unfit(pointer, 'must not contain the NUL character');
    if (!value.isWellFormed()) throw unfit(pointer, 'must not contain half of a surrogate pair');
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth >= MOST_DEPTH) throw unfit(pointer, `must not nest deeper than ${MOST_DEPTH} levels`);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) inspect(value[index], pointer + step(index), depth + 1);
    return;
  }
  for (const key of Object.keys(value)) {
    if (FORBIDDEN_KEYS.has(key)) throw unfit(pointer + step(key), 'is not a field name that is accepted');
    inspect(key, pointer + step(key), depth);
    inspect((value as Record<string, unknown>)[key], pointer + step(key), depth + 1);
  }
}

/** Checks one part of a request against its schema; compiled once a route. */
export function createValidator(schema: Joi.Schema | undefined, prefix: string): (value: unknown) => unknown {
  if (!schema) {
    return (value) => {
      const [extra] = Object.keys((value as object | undefined) ?? {});
      if (extra !== undefined) throw unfit(prefix + step(extra), 'is not a field of this request');
      return {};
    };
  }
  const strict = schema.required().prefs({ abortEarly: false, errors: { wrap: { label: false }, label: false } });
  return (value) => {
    const { error, value: parsed } = strict.validate(value);
    if (error) throw new ValidationError({ errors: error.details.map((detail) => toFieldError(detail, prefix)) });
    return parsed;
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
  if (version === undefined) throw new MalformedRequestError('If-Match must be one version in quotes, as ETag gives it');
  return Number(version);
}
