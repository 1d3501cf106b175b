import { type Route, type SuccessStatus, successOf } from '../../lib/route.ts';
import type { JsonSchema } from './joi-description.ts';
import { toJsonSchema } from './json-schema.ts';

/** Members of `meta` that mean the same wherever they appear. */
const META: Readonly<Record<string, JsonSchema>> = {
  next_cursor: {
    type: ['string', 'null'],
    description: 'Ask with it as `cursor` for the next page; null on the last.',
  },
  total: { type: 'integer', minimum: 0, description: 'How many there are on all pages.' },
  pending: { type: 'boolean', description: 'Acknowledged and readable, but not in its database yet.' },
  stored_by: { type: 'string', format: 'date-time', description: 'Until when it is in its database at the latest.' },
  writes: {
    type: 'array',
    items: { type: 'string' },
    description: 'Ids of the buffered writes, for `GET /api/v1/writes/{id}`.',
  },
  source: { type: 'string', enum: ['buffer', 'cache', 'db'], description: 'Where the answer comes from.' },
  degraded: {
    type: 'array',
    items: { type: 'string' },
    minItems: 1,
    description: 'What could not be asked; the answer is complete without the member.',
  },
};

export const META_MEMBERS: readonly string[] = Object.keys(META);

const isList = ({ query }: Route): boolean => query?.describe().keys?.cursor !== undefined;

function requiredMeta(route: Route, status: SuccessStatus): string[] {
  if (route.mode === 'B') return status === 202 ? ['pending', 'stored_by', 'writes'] : ['pending', 'writes'];
  return isList(route) ? ['next_cursor'] : [];
}

function metaOf(route: Route, status: SuccessStatus): JsonSchema {
  const own = Object.entries(route.meta ?? {}).map(([name, schema]) => [name, toJsonSchema(schema, `meta.${name}`)]);
  const pending = { ...META.pending, const: status === 202 };
  const required = requiredMeta(route, status);
  return {
    type: 'object',
    properties: { ...META, ...(route.mode === 'B' ? { pending } : {}), ...Object.fromEntries(own) },
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

/** `{ data, meta }` of one answer. */
export function envelopeOf(route: Route, data: JsonSchema, status: SuccessStatus): JsonSchema {
  return {
    type: 'object',
    properties: { data, meta: metaOf(route, status) },
    required: ['data', 'meta'],
    additionalProperties: false,
  };
}

/** @throws when a route promises data where its statuses have none, or the other way round */
export function requireData(route: Route): void {
  const statuses = successOf(route);
  const hasData = route.response !== null || route.produces !== undefined;
  if (statuses.some((status) => (status === 204) === hasData))
    throw new Error(
      `${route.method} ${route.path}: response and the statuses ${statuses.join(', ')} do not fit together`,
    );
}
