import type { Described, JsonSchema } from './joi-description.ts';

type Translate = (args: Record<string, unknown>, described: Described) => JsonSchema | undefined;

const limit =
  (keyword: string): Translate =>
  ({ limit: value }) => ({ [keyword]: value });
const nothing: Translate = () => ({});

/** `/^a/` as the pattern inside; flags have no place in a pattern. */
export function patternOf(regex: string): string | undefined {
  const [, source, flags] = /^\/(.*)\/([a-z]*)$/s.exec(regex) ?? [];
  return source === undefined || (flags !== '' && flags !== 'u') ? undefined : source;
}

/** What is left of a text that is trimmed must be something, where an empty one is refused. White space as `trim` knows it. */
const NOT_BLANK = '[^\\s\\ufeff]';

const text: Record<string, Translate> = {
  min: ({ limit: value }, { allow = [] }) => (Number(value) === 0 && !allow.includes('') ? {} : { minLength: value }),
  max: limit('maxLength'),
  length: ({ limit: value }) => ({ minLength: value, maxLength: value }),
  pattern: ({ regex, options }) => {
    const pattern = patternOf(String(regex));
    if (pattern === undefined) return undefined;
    return (options as { invert?: boolean } | undefined)?.invert ? { not: { pattern } } : { pattern };
  },
  guid: ({ options }) => {
    const versions = (options as { version?: string | string[] } | undefined)?.version ?? [];
    const digits = [versions].flat().map((version) => version.replace('uuidv', ''));
    return {
      format: 'uuid',
      ...(digits.length > 0
        ? {
            pattern: `^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[${digits.join('')}][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$`,
          }
        : {}),
    };
  },
  trim: (_args, { allow = [] }) => (allow.includes('') ? {} : { pattern: NOT_BLANK }),
  case: nothing,
  normalize: nothing,
  email: () => ({ format: 'email' }),
  uri: () => ({ format: 'uri' }),
  hostname: () => ({ format: 'hostname' }),
  ip: () => ({ anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] }),
  isoDate: () => ({ format: 'date-time' }),
  hex: () => ({ pattern: '^[0-9a-fA-F]+$' }),
  base64: () => ({ contentEncoding: 'base64' }),
  alphanum: () => ({ pattern: '^[a-zA-Z0-9]+$' }),
  token: () => ({ pattern: '^[a-zA-Z0-9_]+$' }),
};

const number: Record<string, Translate> = {
  integer: () => ({ type: 'integer' }),
  min: limit('minimum'),
  max: limit('maximum'),
  greater: limit('exclusiveMinimum'),
  less: limit('exclusiveMaximum'),
  multiple: ({ base }) => ({ multipleOf: base }),
  sign: ({ sign }) => (sign === 'positive' ? { exclusiveMinimum: 0 } : { exclusiveMaximum: 0 }),
  port: () => ({ type: 'integer', minimum: 0, maximum: 65_535 }),
  precision: nothing,
};

const array: Record<string, Translate> = {
  min: limit('minItems'),
  max: limit('maxItems'),
  length: ({ limit: value }) => ({ minItems: value, maxItems: value }),
  // Uniqueness by a member has no keyword.
  unique: ({ comparator }) => (comparator === undefined ? { uniqueItems: true } : {}),
  sort: nothing,
};

const object: Record<string, Translate> = {
  min: limit('minProperties'),
  max: limit('maxProperties'),
  length: ({ limit: value }) => ({ minProperties: value, maxProperties: value }),
};

/** Keywords of each rule by joi type; undefined where this use of it has none. */
export const RULES: Readonly<Record<string, Readonly<Record<string, Translate>>>> = {
  string: text,
  number,
  array,
  object,
};
