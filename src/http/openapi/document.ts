import type { EntityDefinition } from '../../lib/entity.ts';
import type { Route } from '../../lib/route.ts';
import { HEADERS } from './headers.ts';
import type { JsonSchema } from './joi-description.ts';
import { type Example, type OperationContext, operationIdOf, operationOf, templateOf } from './operation.ts';
import { PROBLEM_EXAMPLES, PROBLEM_SCHEMA } from './problems.ts';

export interface DescriptionOptions {
  routes: readonly Route[];
  entities: readonly EntityDefinition[];
  intervalMs: number;
  scopesFor: OperationContext['scopesFor'];
  prefix: string;
  examples: Readonly<Record<string, Example | undefined>>;
}

const VERSION = '1';

const DESCRIPTION = `Answers are \`{ "data": …, "meta": … }\`; errors are problem documents (RFC 9457) whose \`code\` never changes.

Instants are ISO 8601 in UTC, dates are those of the school's time zone. \`*_x100\` are hundredths of a mark, \`*_bp\` basis points, \`*_minor\` minor
units of the currency. No text holds the NUL character or half of a surrogate pair; unknown fields are refused.

A version is a number that only grows. It is the \`ETag\`; \`If-Match\` with it makes a change fail with 412 when somebody was faster.

A buffered write is acknowledged with 202 and seen by every read from then on. \`meta.stored_by\` says until when it is in its database, and
\`GET /api/v1/writes/{id}\` with an id of \`meta.writes\` what became of it.`;

const parameters = {
  IdempotencyKey_optional: {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description: 'The same key with the same request takes effect once, for 24 h.',
    schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,200}$' },
  },
  IdempotencyKey_required: {
    name: 'Idempotency-Key',
    in: 'header',
    required: true,
    description: 'The same key with the same request takes effect once, for 24 h.',
    schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,200}$' },
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    required: false,
    description: 'The version to be replaced, as `ETag` gives it.',
    schema: { type: 'string', pattern: '^"[0-9]{1,16}"$' },
  },
};

/**
 * The OpenAPI 3.1 description of these routes, made of what validates and answers.
 *
 * @throws at a schema, code or entity that cannot be described: a process with such a route does not start
 */
export function describeApi({ routes, entities, prefix, ...context }: DescriptionOptions): JsonSchema {
  const named = new Map(entities.map((entity) => [entity.name, entity]));
  const paths: Record<string, Record<string, JsonSchema>> = {};
  const ids = new Map<string, string>();
  for (const route of routes) {
    const path = prefix + templateOf(route.path);
    const id = operationIdOf(route);
    const other = ids.get(id);
    if (other) throw new Error(`${route.method} ${route.path} and ${other} have the same operation id ${id}`);
    ids.set(id, `${route.method} ${route.path}`);
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operationOf(route, { ...context, entities: named });
  }
  const tags = [...new Set(routes.map(({ service }) => service))].sort();
  return {
    openapi: '3.1.0',
    info: { title: 'Schools24', version: VERSION, description: DESCRIPTION },
    servers: [{ url: '/' }],
    tags: tags.map((name) => ({ name })),
    security: [{ bearer: [] }],
    paths: { ...paths, ...probes },
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'The `access_token` that a login answers with.',
        },
      },
      schemas: { Problem: PROBLEM_SCHEMA },
      examples: PROBLEM_EXAMPLES,
      headers: HEADERS,
      parameters,
    },
  };
}

const probe = (summary: string, statuses: Record<string, string>): { get: JsonSchema } => ({
  get: {
    operationId: summary.toLowerCase().replaceAll(/\s+(\w)/g, (_, letter: string) => letter.toUpperCase()),
    summary,
    tags: ['probes'],
    security: [],
    responses: Object.fromEntries(
      Object.entries(statuses).map(([status, description]) => [
        status,
        {
          description,
          content: {
            'application/json': {
              schema: { type: 'object', properties: { status: { type: 'string' } }, required: ['status'] },
            },
          },
        },
      ]),
    ),
  },
});

/** For whoever runs the processes; outside the API and its envelope. */
const probes = {
  '/healthz': probe('Is alive', { 200: 'The process answers' }),
  '/readyz': probe('Is ready', { 200: 'It takes writes', 503: 'It does not, and why' }),
};
