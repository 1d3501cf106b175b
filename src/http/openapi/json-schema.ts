import type Joi from 'joi';
import {
  branchesOf,
  type Described,
  inside,
  isOverride,
  type JsonSchema,
  merge,
  type Place,
  UntranslatableSchemaError,
  type When,
} from './joi-description.ts';
import { objectKeywords } from './json-schema-object.ts';
import { RULES } from './json-schema-rules.ts';

const KNOWN_FLAGS = new Set([
  'only',
  'presence',
  'default',
  'description',
  'unknown',
  'single',
  'sparse',
  'match',
  'label',
  'empty',
  'unit',
  'result',
  'unsafe',
]);
const KNOWN_PARTS = new Set([
  'type',
  'flags',
  'rules',
  'allow',
  'invalid',
  'preferences',
  'metas',
  'examples',
  'notes',
  'whens',
  'keys',
  'patterns',
  'dependencies',
  'items',
  'ordered',
  'matches',
]);
const TYPES: Record<string, string | undefined> = {
  any: undefined,
  alternatives: undefined,
  string: 'string',
  number: 'number',
  boolean: 'boolean',
  array: 'array',
  object: 'object',
};

/**
 * The JSON Schema that accepts what a joi schema accepts. Kept here rather than taken from joi's own export or a package: those
 * leave out in silence what they do not know, such as custom rules and presence by preference.
 *
 * @throws UntranslatableSchemaError at the first feature that is not known
 */
export const toJsonSchema = (schema: Joi.Schema, path = ''): JsonSchema =>
  convert(schema.describe() as unknown as Described, { path, presence: 'optional' });

/** Members of `meta({ … })` that matter here. */
const told = ({ metas = [] }: Described): JsonSchema | undefined => {
  const own = metas.flatMap((meta) => (meta.jsonSchema ? [meta.jsonSchema as JsonSchema] : []));
  return own.length > 0 ? Object.assign({}, ...own) : undefined;
};

function convert(described: Described, place: Place): JsonSchema {
  requireKnown(described, place);
  const own = { ...place, presence: (described.preferences?.presence as string | undefined) ?? place.presence };
  const { flags = {}, whens } = described;
  if (whens) return alternativesOf(whens, { ...described, whens: undefined }, own);
  const described2020: JsonSchema = {
    ...(flags.description ? { description: flags.description } : {}),
    ...(isPlain(flags.default) ? { default: flags.default } : {}),
    ...(described.examples ? { examples: described.examples } : {}),
  };
  return { ...valuesOf(described, coreOf(described, own), own), ...described2020 };
}

/** The type and what narrows it, without the single values that are allowed beside it or only. */
function coreOf(described: Described, place: Place): JsonSchema {
  const { type, flags = {}, rules = [], matches = [] } = described;
  if (!(type in TYPES)) throw new UntranslatableSchemaError(place, `the type ${type}`);
  const extra = told(described);
  const core: JsonSchema = TYPES[type] ? { type: TYPES[type] } : {};
  if (flags.only) return core;
  if (type === 'string' && !described.allow?.includes('')) core.minLength = 1;
  for (const { name, args = {} } of rules) {
    if (name === 'custom') {
      if (!extra) throw new UntranslatableSchemaError(place, 'a custom rule');
      continue;
    }
    const rule = RULES[type]?.[name];
    const keywords = rule && !hasReference(args) ? rule(args, described) : undefined;
    if (keywords === undefined && !extra)
      throw new UntranslatableSchemaError(place, `the rule ${name}${hasReference(args) ? ' with a reference' : ''}`);
    narrow(core, keywords ?? {});
  }
  // These say more than that a text is not empty.
  if (core.minLength === 1 && (core.format ?? core.pattern ?? extra?.format ?? extra?.pattern)) delete core.minLength;
  // joi takes no number that JavaScript cannot hold to the unit.
  if (type === 'number' && !flags.unsafe) boundToSafe(core);
  if (type === 'object') Object.assign(core, objectKeywords(described, place, convert));
  if (type === 'array') arrayKeywords(core, described, place);
  if (type === 'alternatives') {
    const name = flags.match === 'one' ? 'oneOf' : flags.match === 'all' ? 'allOf' : 'anyOf';
    core[name] = matches.flatMap((match, index) =>
      match.schema
        ? [convert(match.schema, inside(place, `|${index}`))]
        : branchesOf(match).map(({ schema }) => convert(schema, inside(place, `|${index}`))),
    );
  }
  return Object.assign(core, extra);
}

function boundToSafe(core: JsonSchema): void {
  if (core.maximum === undefined && core.exclusiveMaximum === undefined) core.maximum = Number.MAX_SAFE_INTEGER;
  if (core.minimum === undefined && core.exclusiveMinimum === undefined) core.minimum = Number.MIN_SAFE_INTEGER;
}

/** Two patterns of one text hold together; other keywords replace what was said before. */
function narrow(core: JsonSchema, keywords: JsonSchema): void {
  const { pattern, ...rest } = keywords;
  Object.assign(core, rest);
  if (pattern === undefined) return;
  if (core.pattern === undefined) core.pattern = pattern;
  else core.allOf = [...((core.allOf as JsonSchema[]) ?? []), { pattern }];
}

function arrayKeywords(core: JsonSchema, { items = [], ordered, flags = {} }: Described, place: Place): void {
  const each = inside(place, '[]');
  const [first] = items;
  if (ordered) {
    core.prefixItems = ordered.map((item) => convert(item, each));
    core.items = first ? oneOfMany(items, each) : false;
  } else if (first) core.items = oneOfMany(items, each);
  if (flags.single && first) {
    const whole = { ...core };
    for (const name of Object.keys(core)) delete core[name];
    core.anyOf = [whole, oneOfMany(items, each)];
  }
}

const oneOfMany = (items: readonly Described[], place: Place): JsonSchema =>
  items.length === 1 ? convert(items[0]!, place) : { anyOf: items.map((item) => convert(item, place)) };

/** Values that are allowed besides the type, or instead of it. */
function valuesOf({ flags = {}, allow = [], invalid }: Described, core: JsonSchema, place: Place): JsonSchema {
  const values = allow.filter((value) => !isOverride(value));
  if (values.some((value) => hasReference(value)))
    throw new UntranslatableSchemaError(place, 'a reference among values');
  let schema = core;
  if (flags.only) schema = enumOf(values);
  else if (Object.keys(core).length > 0) {
    const others = values.filter((value) => !(value === '' && core.type === 'string'));
    if (others.length === 1 && others[0] === null && typeof core.type === 'string')
      schema = { ...core, type: [core.type, 'null'] };
    else if (others.length > 0) schema = { anyOf: [core, enumOf(others)] };
  }
  return invalid ? { ...schema, not: { enum: invalid } } : schema;
}

function enumOf(values: readonly unknown[]): JsonSchema {
  const types = [...new Set(values.map((value) => (value === null ? 'null' : typeof value)))];
  const [type] = types;
  return { ...(types.length > 1 ? { type: types } : type === undefined ? {} : { type }), enum: [...new Set(values)] };
}

/** Any of the branches; which one it must be is said by the object around it (`objectKeywords`). */
function alternativesOf(whens: readonly When[], base: Described, place: Place): JsonSchema {
  let variants = [base];
  for (const when of whens)
    variants = variants.flatMap((variant) => branchesOf(when).map(({ schema }) => merge(variant, schema)));
  const schemas = variants
    .filter(({ flags }) => flags?.presence !== 'forbidden')
    .map((variant) => convert(variant, place));
  const different = [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
  return different.length === 1 ? different[0]! : { anyOf: different };
}

function requireKnown(described: Described, place: Place): void {
  for (const part of Object.keys(described))
    if (!KNOWN_PARTS.has(part)) throw new UntranslatableSchemaError(place, `joi's "${part}"`);
  for (const flag of Object.keys(described.flags ?? {}))
    if (!KNOWN_FLAGS.has(flag)) throw new UntranslatableSchemaError(place, `the flag ${flag}`);
}

/** Defaults that are functions are described by `{ special }` or not at all. */
const isPlain = (value: unknown): boolean =>
  value !== undefined && !(typeof value === 'object' && value !== null && 'special' in value);

function hasReference(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return 'ref' in value || Object.values(value).some(hasReference);
}
