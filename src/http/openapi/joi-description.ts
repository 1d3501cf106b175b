/** A JSON Schema of the dialect 2020-12, which OpenAPI 3.1 takes as it is. */
export type JsonSchema = Record<string, unknown>;

/** What `schema.describe()` says; joi's own type leaves out most of it. */
export interface Described {
  type: string;
  flags?: Record<string, unknown>;
  rules?: { name: string; args?: Record<string, unknown> }[];
  allow?: unknown[];
  invalid?: unknown[];
  preferences?: Record<string, unknown>;
  metas?: Record<string, unknown>[];
  examples?: unknown[];
  notes?: string[];
  whens?: When[];
  keys?: Record<string, Described>;
  patterns?: { regex?: string; schema?: Described; rule: Described }[];
  dependencies?: { rel: string; peers: string[]; key?: string }[];
  items?: Described[];
  ordered?: Described[];
  matches?: (When & { schema?: Described })[];
  [other: string]: unknown;
}

export interface When {
  ref?: { path: string[]; ancestor?: number | 'root' };
  is?: Described;
  then?: Described;
  otherwise?: Described;
  switch?: Pick<When, 'is' | 'then' | 'otherwise'>[];
}

/** Where in a schema we are, for messages; and whether keys are required that say nothing. */
export interface Place {
  path: string;
  presence: string;
}

/** A joi feature that would be lost on the way to JSON Schema: the description must not promise less or more than the check. */
export class UntranslatableSchemaError extends Error {
  override name = 'UntranslatableSchemaError';

  constructor({ path }: Place, what: string) {
    super(
      `${path || 'the schema'}: ${what} has no translation to JSON Schema; add one to src/http/openapi, or say what is accepted with .meta({ jsonSchema: { … } })`,
    );
  }
}

/** What a `when` makes of a schema, each with the test that leads there. */
export function branchesOf(when: When): { is?: Described; schema: Described }[] {
  const tests = when.switch ?? [when];
  const nothing: Described = { type: 'any' };
  return [
    ...tests.map(({ is, then }) => ({ ...(is ? { is } : {}), schema: then ?? nothing })),
    { schema: tests.at(-1)?.otherwise ?? nothing },
  ];
}

/** As joi's `concat` would. */
export function merge(base: Described, more: Described): Described {
  return {
    ...base,
    ...more,
    type: more.type === 'any' ? base.type : more.type,
    flags: { ...base.flags, ...more.flags },
    rules: [...(base.rules ?? []), ...(more.rules ?? [])],
    ...(base.allow || more.allow
      ? {
          allow: more.allow?.some(isOverride) ? more.allow : [...(base.allow ?? []), ...(more.allow ?? [])],
        }
      : {}),
    ...(base.keys || more.keys ? { keys: { ...base.keys, ...more.keys } } : {}),
    ...(base.metas || more.metas ? { metas: [...(base.metas ?? []), ...(more.metas ?? [])] } : {}),
  };
}

export const inside = (place: Place, step: string): Place => ({ ...place, path: `${place.path}${step}` });

/** How joi marks values that replace those of the schema before. */
export const isOverride = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && (value as { override?: unknown }).override === true;
