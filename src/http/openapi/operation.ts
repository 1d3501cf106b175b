import type Joi from 'joi';
import { ROLES, type ScopeCode } from '../../lib/actor.ts';
import { type EntityDefinition, promiseMs } from '../../lib/entity.ts';
import { type Access, type Route, type ScopesFor, type SuccessStatus, successOf } from '../../lib/route.ts';
import { envelopeOf, requireData } from './envelope.ts';
import { type HeaderName, headerRefs } from './headers.ts';
import { type Described, type JsonSchema, UntranslatableSchemaError } from './joi-description.ts';
import { toJsonSchema } from './json-schema.ts';
import { codesOf, problemResponses, takesIfMatch } from './problems.ts';

/** A request and its answer as they were recorded (`npm run openapi:examples`). */
export interface Example {
  request?: unknown;
  status: number;
  response?: unknown;
}

export interface OperationContext {
  entities: ReadonlyMap<string, EntityDefinition>;
  /** The sync interval, ms. */
  intervalMs: number;
  scopesFor: ScopesFor;
  /** By operation id. */
  examples: Readonly<Record<string, Example | undefined>>;
}

/** `/homework/:id` as OpenAPI spells it. */
export const templateOf = (path: string): string => path.replaceAll(/:([a-zA-Z0-9_]+)/g, '{$1}');

/** `GET /homework/:id/submission` → `getHomeworkByIdSubmission` */
export const operationIdOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string =>
  method.toLowerCase() +
  path
    .split(/[/_-]/)
    .filter(Boolean)
    .map((part) => (part.startsWith(':') ? `By${capital(part.slice(1))}` : capital(part)))
    .join('');

const capital = (word: string): string => word[0]!.toUpperCase() + word.slice(1);

const SCOPE_WORDS: Record<ScopeCode, string> = {
  A: 'all rows',
  T: 'class-subjects taught',
  H: 'the homeroom class',
  O: 'own rows',
  C: 'own children',
  R: 'the trip of the own route',
};

const MODE_WORDS: Record<Route['mode'], string> = {
  R: '',
  T: 'Committed in its database before the answer.',
  B: 'Buffered: acknowledged with 202 and readable at once, stored in batches.',
  J: 'Queued: 202 with an id.',
};

/** One endpoint. @throws when its schemas or codes cannot be described */
export function operationOf(route: Route, context: OperationContext): JsonSchema {
  const where = `${route.method} ${route.path}`;
  requireData(route);
  const entity = route.entity === undefined ? undefined : context.entities.get(route.entity);
  if (route.entity !== undefined && !entity) throw new Error(`${where}: there is no entity "${route.entity}"`);
  const example = context.examples[operationIdOf(route)];
  return {
    operationId: operationIdOf(route),
    summary: route.summary,
    description: [
      accessWords(route.access, context.scopesFor),
      MODE_WORDS[route.mode],
      ...(entity ? [promiseWords(entity, context.intervalMs)] : []),
    ]
      .filter(Boolean)
      .join('\n\n'),
    tags: [route.service],
    ...(route.access === 'public' ? { security: [] } : {}),
    parameters: [
      ...parametersOf('path', route.params, where),
      ...parametersOf('query', route.query, where),
      ...(route.idempotency === 'none'
        ? []
        : [{ $ref: `#/components/parameters/IdempotencyKey_${route.idempotency}` }]),
      ...(takesIfMatch(route) ? [{ $ref: '#/components/parameters/IfMatch' }] : []),
    ],
    ...(route.body ? { requestBody: bodyOf(route.body, where, example) } : {}),
    responses: {
      ...Object.fromEntries(successOf(route).map((status) => [status, successResponse(route, status, where, example)])),
      ...problemResponses(where, codesOf(route, entity)),
    },
  };
}

function accessWords(access: Access, scopesFor: OperationContext['scopesFor']): string {
  if (access === 'public') return 'For anybody.';
  if (access === 'authenticated') return 'For anybody logged in.';
  const allowed = ROLES.flatMap((role) => {
    const scopes = scopesFor({ roles: [role] }, access.capability, access.verb, access.roles);
    return scopes.length > 0 ? [`${role} (${scopes.map((code) => SCOPE_WORDS[code]).join(', ')})`] : [];
  });
  return `For ${allowed.join(', ')}.`;
}

/** DESIGN §3.8: longest age, merge, durability. */
function promiseWords({ name, lane, kind, durability }: EntityDefinition, intervalMs: number): string {
  const age = promiseMs(lane, intervalMs) / 1_000;
  const merge = kind === 'sheet' ? 'merged field by field, each with its own version' : 'replaced whole';
  const when =
    durability === 'committed'
      ? 'written through: in its database before the answer'
      : `in its database within ${age} s at the latest (lane \`${lane}\`)`;
  return `Entity \`${name}\`: ${merge}; durability \`${durability}\`, ${when}.`;
}

function parametersOf(place: 'path' | 'query', schema: Joi.ObjectSchema | undefined, where: string): JsonSchema[] {
  if (!schema) return [];
  const { keys = {} } = schema.describe() as unknown as Described;
  return Object.keys(keys).map((name) => {
    const key = schema.extract(name);
    const converted = toJsonSchema(key, `${where} ${place}.${name}`);
    const { description, ...rest } = converted;
    const isRequired = place === 'path' || (keys[name]!.flags?.presence ?? '') === 'required';
    return { name, in: place, required: isRequired, ...(description ? { description } : {}), schema: rest };
  });
}

function bodyOf(schema: Joi.Schema, where: string, example: Example | undefined): JsonSchema {
  return {
    required: true,
    content: {
      'application/json': {
        schema: toJsonSchema(schema, `${where} body`),
        ...(example?.request === undefined ? {} : { example: example.request }),
      },
    },
  };
}

const SUCCESS_WORDS: Record<SuccessStatus, string> = {
  200: 'Done',
  201: 'Created, in its database',
  202: 'Accepted',
  204: 'Done; there is nothing to say',
};

function successResponse(route: Route, status: SuccessStatus, where: string, example: Example | undefined): JsonSchema {
  const { mode, method, response, produces } = route;
  const isWrite = mode !== 'R';
  const required: HeaderName[] = mode === 'B' ? ['Sync-Status'] : status === 201 ? ['Location'] : [];
  const named: HeaderName[] = [
    'X-Request-Id',
    'RateLimit',
    'RateLimit-Policy',
    ...(mode === 'J' ? [] : (['ETag'] as const)),
    ...(isWrite ? (['Location', 'Sync-Status'] as const) : []),
    ...(route.idempotency === 'none' ? [] : (['Idempotency-Replayed'] as const)),
  ];
  const description =
    mode === 'B' && status !== 202
      ? 'Written through to its database'
      : method === 'GET'
        ? 'Found'
        : SUCCESS_WORDS[status];
  const headers = headerRefs(
    named.filter((name) => !required.includes(name)),
    required,
  );
  if (status === 204) return { description, headers };
  if (produces) return { description, headers, content: { [produces]: { schema: { type: 'string' } } } };
  if (!response) throw new UntranslatableSchemaError({ path: where, presence: '' }, 'an answer without a schema');
  const schema = envelopeOf(route, toJsonSchema(response, `${where} response`), status);
  return {
    description,
    headers,
    content: { 'application/json': { schema, ...(example?.status === status ? { example: example.response } : {}) } },
  };
}
