import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import Joi from 'joi';
import { describe, expect, it } from 'vitest';
import { toJsonSchema } from '../../../../src/http/openapi/json-schema.ts';
import { isoInstant, pageLimit, schoolDate, uuid, view } from '../../../../src/lib/joi.ts';

const ID = '0190c0de-0000-7000-8000-000000000001';
const late = Joi.number().integer().min(1).allow(null).default(null);

/** What joi and the JSON Schema must both take, and what both must refuse. */
const CASES: [name: string, schema: Joi.Schema, good: unknown[], bad: unknown[]][] = [
  ['a text', Joi.string().min(2).max(3), ['ab', 'abc'], ['', 'a', 'abcd', 5, null]],
  ['a text that may be empty', Joi.string().allow('', null), ['', 'a', null], [5]],
  ['a trimmed text', Joi.string().trim().min(1), ['a', ' a '], ['', '  ', '\ufeff']],
  ['a pattern', Joi.string().pattern(/^[a-z]+$/), ['abc'], ['ABC', '']],
  ['words', Joi.string().valid('a', 'b').allow(null), ['a', null], ['c', '']],
  ['a UUID', uuid, [ID], ['0190c0de-0000-1000-8000-000000000001', 'x']],
  [
    'a school date',
    schoolDate,
    ['2025-02-28', '2024-02-29', '2000-02-29'],
    ['2025-2-28', '2025-02-29', '2100-02-29', '1800-01-01'],
  ],
  [
    'an instant',
    isoInstant,
    ['2025-02-28T10:00:00Z', '2025-02-28T10:00:00.5+05:30'],
    ['2025-02-28', '2025-02-30T10:00:00Z', '2025-02-28T24:00:00Z', '0001-01-01T00:00:00Z'],
  ],
  ['a number', Joi.number().greater(1).less(5).multiple(2), [2, 4], [1, 3, 6]],
  ['a number without bounds', Joi.number().integer(), [2 ** 53 - 1, 1 - 2 ** 53], [1e20, -1e20]],
  ['a whole number', pageLimit, [1, 100], [0, 101, 1.5]],
  ['a list', Joi.array().items(Joi.number()).min(1).max(2).unique(), [[1], [1, 2]], [[], [1, 1], [1, 2, 3], ['a']]],
  ['kinds of items', Joi.array().items(Joi.number(), Joi.boolean()), [[1, true], []], [['a']]],
  [
    'keys',
    Joi.object({ a: Joi.number().required(), b: Joi.boolean() }),
    [{ a: 1 }, { a: 1, b: true }],
    [{}, { a: 1, c: 2 }],
  ],
  ['any keys', Joi.object(), [{}, { a: 1 }], [5, []]],
  ['unknown keys', Joi.object({ a: Joi.number() }).unknown(), [{ b: 1 }], [{ a: 'x' }]],
  [
    'a view',
    view({ a: Joi.number(), b: view({ c: Joi.number() }) }),
    [{ a: 1, b: { c: 1 } }],
    [{ a: 1, b: {} }, { b: { c: 1 } }],
  ],
  ['an optional key of a view', view({ a: Joi.number().optional() }), [{}, { a: 1 }], [{ b: 1 }]],
  ['keys by pattern', Joi.object().pattern(/^[a-z]$/, Joi.number()), [{ a: 1 }, {}], [{ a: 'x' }, { A: 1 }]],
  ['at least one key', Joi.object({ a: Joi.number(), b: Joi.number() }).min(1), [{ a: 1 }], [{}]],
  ['or', Joi.object({ a: Joi.number(), b: Joi.number() }).or('a', 'b'), [{ a: 1 }, { a: 1, b: 1 }], [{}]],
  ['xor', Joi.object({ a: Joi.number(), b: Joi.number() }).xor('a', 'b'), [{ a: 1 }], [{}, { a: 1, b: 1 }]],
  ['and', Joi.object({ a: Joi.number(), b: Joi.number() }).and('a', 'b'), [{}, { a: 1, b: 1 }], [{ a: 1 }]],
  ['with', Joi.object({ a: Joi.number(), b: Joi.number() }).with('a', 'b'), [{}, { b: 1 }], [{ a: 1 }]],
  [
    'without',
    Joi.object({ a: Joi.number(), b: Joi.number() }).without('a', 'b'),
    [{ a: 1 }, { b: 1 }],
    [{ a: 1, b: 1 }],
  ],
  ['alternatives', Joi.alternatives().try(Joi.number(), view({ a: Joi.number() })), [1, { a: 1 }], [{}, true]],
  [
    'a value that depends on another',
    Joi.object({ s: Joi.string(), m: late.when('s', { is: 'late', otherwise: Joi.valid(null) }) }),
    [{ s: 'late', m: 5 }, { s: 'late' }, { s: 'x', m: null }],
    [
      { s: 'x', m: 5 },
      { s: 'late', m: 0 },
    ],
  ],
  [
    'a key that another demands or forbids',
    Joi.object({
      s: Joi.string(),
      // biome-ignore lint/suspicious/noThenProperty: joi's name for it
      m: Joi.number().when('s', { is: 'a', then: Joi.required(), otherwise: Joi.forbidden() }),
    }),
    [{ s: 'a', m: 1 }, { s: 'b' }, {}],
    [{ s: 'a' }, { s: 'b', m: 1 }],
  ],
];

describe('JSON Schema of a joi schema', () => {
  it.each(CASES)('%s: both take the same', (_name, schema, good, bad) => {
    const ajv = new Ajv2020({ strict: false });
    formats.default(ajv);
    const takes = ajv.compile(toJsonSchema(schema));
    const options = { convert: schema.type === 'string' };
    for (const value of good) {
      expect({ value, joi: !schema.validate(value, options).error, json: takes(value) }).toEqual({
        value,
        joi: true,
        json: true,
      });
    }
    for (const value of bad) {
      expect({ value, joi: !schema.validate(value, options).error, json: takes(value) }).toEqual({
        value,
        joi: false,
        json: false,
      });
    }
  });

  it.each([
    ['a custom rule', Joi.string().custom((value) => value), 'custom'],
    ['a reference', Joi.object({ a: Joi.number(), b: Joi.number().min(Joi.ref('a')) }), 'min with a reference'],
    ['a renamed key', Joi.object({ a: Joi.number() }).rename('b', 'a'), 'renames'],
    ['a type of its own', Joi.date(), 'type date'],
    ['a pattern with flags', Joi.string().pattern(/a/i), 'pattern'],
  ])('refuses %s rather than lose it', (_what, schema, message) => {
    expect(() => toJsonSchema(Joi.object({ key: schema }), 'POST /x')).toThrow(message);
    expect(() => toJsonSchema(Joi.object({ key: schema }), 'POST /x')).toThrow('POST /x.key');
  });

  it('takes the word of a schema for its custom rule', () => {
    const schema = Joi.string()
      .custom((value) => value)
      .meta({ jsonSchema: { pattern: '^a' } });
    expect(toJsonSchema(schema)).toEqual({ type: 'string', pattern: '^a' });
  });
});
