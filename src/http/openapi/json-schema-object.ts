import {
  branchesOf,
  type Described,
  inside,
  type JsonSchema,
  merge,
  type Place,
  UntranslatableSchemaError,
  type When,
} from './joi-description.ts';
import { patternOf } from './json-schema-rules.ts';

/** How a schema inside this one is translated. */
type Convert = (described: Described, place: Place) => JsonSchema;

/** Keys, patterns and what keys demand of each other. An object that names no key takes any. */
export function objectKeywords(described: Described, place: Place, convert: Convert): JsonSchema {
  const { keys, patterns = [], dependencies = [], flags = {} } = described;
  const schema: JsonSchema = {};
  const all: JsonSchema[] = [];
  if (keys) {
    const known = Object.entries(keys).filter(([, key]) => !isAbsent(key));
    schema.properties = Object.fromEntries(known.map(([name, key]) => [name, convert(key, inside(place, `.${name}`))]));
    const required = known.filter(([, key]) => isRequired(key, place)).map(([name]) => name);
    if (required.length > 0) schema.required = required;
    for (const [name, key] of known)
      for (const when of key.whens ?? [])
        all.push(...conditionsOf(name, key, when, inside(place, `.${name}`), convert));
  }
  if (patterns.length > 0) {
    schema.patternProperties = Object.fromEntries(
      patterns.map(({ regex, schema: names, rule }) => [
        namePattern(regex, names, place, convert),
        convert(rule, inside(place, '.*')),
      ]),
    );
  }
  if ((keys || patterns.length > 0) && !flags.unknown) schema.additionalProperties = false;
  for (const dependency of dependencies) all.push(dependencyOf(dependency, place));
  if (all.length > 0) schema.allOf = all;
  return schema;
}

const isAbsent = ({ flags = {} }: Described): boolean => flags.presence === 'forbidden' || flags.result === 'strip';
const isRequired = (key: Described, { presence }: Place): boolean => (key.flags?.presence ?? presence) === 'required';

function namePattern(regex: string | undefined, names: Described | undefined, place: Place, convert: Convert): string {
  const own = names?.rules?.find(({ name }) => name === 'pattern')?.args?.regex;
  const pattern = regex ?? own;
  if (pattern !== undefined) {
    const source = patternOf(String(pattern));
    if (source !== undefined) return source;
  } else if (names?.flags?.only) return `^(${names.allow!.map((name) => String(name)).join('|')})$`;
  else if (names) {
    const { pattern: translated } = convert(names, place);
    if (typeof translated === 'string') return translated;
    if (names.rules === undefined) return '';
  }
  throw new UntranslatableSchemaError(place, 'a pattern of key names');
}

/** `when` over a sibling: if it is so, the key must be thus. References that reach further stay with any of the branches. */
function conditionsOf(
  name: string,
  key: Described,
  { ref, ...when }: When,
  place: Place,
  convert: Convert,
): JsonSchema[] {
  if (ref?.path.length !== 1 || ref.ancestor !== undefined) return [];
  const [sibling] = ref.path as [string];
  const { whens: _, ...base } = key;
  const branches = branchesOf(when).map(({ is, schema }) => {
    const whole = merge(base, schema);
    const isForbidden = whole.flags?.presence === 'forbidden';
    const demand: JsonSchema = isForbidden
      ? { not: { required: [name] } }
      : {
          properties: { [name]: convert(whole, place) },
          ...(whole.flags?.presence === 'required' ? { required: [name] } : {}),
        };
    return { is, demand };
  });
  const last = branches.pop()!.demand;
  return [
    branches.reduceRight<JsonSchema>(
      (otherwise, { is, demand }) => ({
        if: {
          properties: { [sibling]: convert(is!, place) },
          ...(is!.flags?.presence === 'required' ? { required: [sibling] } : {}),
        },
        // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
        then: demand,
        else: otherwise,
      }),
      last,
    ),
  ];
}

type Dependency = NonNullable<Described['dependencies']>[number];

function dependencyOf({ rel, peers, key }: Dependency, place: Place): JsonSchema {
  const eachPresent = peers.map((peer) => ({ required: [peer] }));
  switch (rel) {
    case 'or':
      return { anyOf: eachPresent };
    case 'xor':
      return { oneOf: eachPresent };
    case 'oxor':
      return { oneOf: [...eachPresent, { not: { anyOf: eachPresent } }] };
    case 'and':
      return { dependentRequired: Object.fromEntries(peers.map((peer) => [peer, peers.filter((p) => p !== peer)])) };
    case 'nand':
      return { not: { required: peers } };
    case 'with':
      return { dependentRequired: { [key!]: peers } };
    case 'without':
      return { dependentSchemas: { [key!]: { not: { anyOf: eachPresent } } } };
    default:
      throw new UntranslatableSchemaError(place, `the dependency ${rel}`);
  }
}
