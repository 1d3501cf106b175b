import { AppError, type ErrorKind, type ErrorOccurrence } from '../../errors/app-error.ts';
import * as catalogue from '../../errors/catalogue.ts';
import type { EntityDefinition } from '../../lib/entity.ts';
import { hasRule } from '../../lib/joi.ts';
import type { Route } from '../../lib/route.ts';
import { problemOf } from '../problem.ts';
import { type HeaderName, headerRefs } from './headers.ts';
import type { JsonSchema } from './joi-description.ts';

/** Every kind of error by its code. */
export const KINDS: ReadonlyMap<string, ErrorKind> = new Map(
  Object.values(catalogue).map(({ code, status, title }) => [code, { code, status, title }]),
);

export const PROBLEM_TYPE = 'application/problem+json';

/** RFC 9457, with the members of STYLE.md; single kinds add their own, such as the current version. */
export const PROBLEM_SCHEMA: JsonSchema = {
  type: 'object',
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'Explains the kind of error.' },
    title: { type: 'string', description: 'The kind in words, always the same.' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What is wrong with this request.' },
    instance: { type: 'string', description: 'The path that was asked.' },
    code: { type: 'string', description: 'The kind; it never changes.' },
    requestId: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          pointer: {
            type: 'string',
            description: 'JSON pointer into the body, or into `/query` and `/params` beside it.',
          },
          detail: { type: 'string' },
        },
        required: ['pointer', 'detail'],
        additionalProperties: false,
      },
    },
  },
  required: ['type', 'title', 'status', 'instance', 'code', 'requestId'],
};

/** What a kind says besides its own words, where every answer of that kind says such. */
const OCCURRENCES: Readonly<Record<string, ErrorOccurrence>> = {
  VALIDATION_FAILED: { errors: [{ pointer: '/title', detail: 'is required' }] },
  VERSION_CONFLICT: { detail: 'current version is 1757486400000000', members: { currentVersion: 1757486400000000 } },
};

/** An answer of each kind, as `problemOf` makes it. */
export const PROBLEM_EXAMPLES: Readonly<Record<string, { value: object }>> = Object.fromEntries(
  [...KINDS].map(([code, kind]) => [
    code,
    { value: problemOf(new AppError(kind, OCCURRENCES[code]), '0b7ad6b5-3a0e-4d0c-9d57-6f3f0c7b8a11', '/api/v1/…') },
  ]),
);

const ALWAYS = ['MALFORMED_REQUEST', 'VALIDATION_FAILED', 'RATE_LIMITED', 'INTERNAL', 'BUFFER_UNAVAILABLE'];
const STORES = ['DATABASE_UNAVAILABLE', 'OVERLOADED', 'SHUTTING_DOWN'];
const LOGIN = ['UNAUTHENTICATED', 'INVALID_TOKEN', 'ACCESS_TOKEN_EXPIRED', 'SESSION_ENDED'];
const BODY = ['PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'];
const BUFFERED = ['BUFFER_FULL', 'WRITE_REFUSED'];
const REPEATED = ['IDEMPOTENCY_MISMATCH', 'IDEMPOTENCY_IN_PROGRESS'];

/** Whether a wanted version can be named. */
export const takesIfMatch = ({ mode, method }: Route): boolean => (mode === 'T' || mode === 'B') && method !== 'POST';

/** Codes a route can answer with: its own, and those that follow from what it is. */
export function codesOf(route: Route, entity?: EntityDefinition): string[] {
  const { access, query, body, mode, idempotency, errors = [] } = route;
  return [
    ...ALWAYS,
    ...STORES,
    ...(access === 'public' ? [] : [...LOGIN, 'NOT_FOUND']),
    ...(typeof access === 'object' ? ['FORBIDDEN'] : []),
    ...(body ? BODY : []),
    ...([query, body].some((schema) => hasRule(schema?.describe())) ? ['RULE_BROKEN'] : []),
    ...(mode === 'B' ? BUFFERED : []),
    ...(mode === 'B' || mode === 'T' ? ['FLUSH_PENDING'] : []),
    ...(entity?.uniques ? ['TAKEN'] : []),
    ...(takesIfMatch(route) ? ['VERSION_CONFLICT'] : []),
    ...(idempotency === 'none' ? [] : REPEATED),
    ...(idempotency === 'required' ? ['IDEMPOTENCY_KEY_REQUIRED'] : []),
    ...errors,
  ];
}

const HEADERS_OF: Readonly<Record<number, readonly HeaderName[]>> = {
  401: ['WWW-Authenticate'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

/**
 * Error answers by status.
 *
 * @throws Error for a code that the catalogue does not have
 */
export function problemResponses(where: string, codes: readonly string[]): Record<string, JsonSchema> {
  const kinds = [...new Set(codes)].map((code) => {
    const kind = KINDS.get(code);
    if (!kind) throw new Error(`${where}: errors names ${code}, which src/errors/catalogue.ts does not have`);
    return kind;
  });
  const byStatus = Map.groupBy(kinds, ({ status }) => status);
  const statuses = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(statuses.map(([status, of]) => [String(status), problemResponse(status, of)]));
}

const problemResponse = (status: number, kinds: readonly ErrorKind[]): JsonSchema => ({
  description: kinds.map(({ code, title }) => `\`${code}\` ${title}`).join('  \n'),
  headers: headerRefs(['X-Request-Id', ...(HEADERS_OF[status] ?? [])]),
  content: {
    [PROBLEM_TYPE]: {
      schema: {
        allOf: [
          { $ref: '#/components/schemas/Problem' },
          { properties: { status: { const: status }, code: { enum: kinds.map(({ code }) => code) } } },
        ],
      },
      examples: Object.fromEntries(kinds.map(({ code }) => [code, { $ref: `#/components/examples/${code}` }])),
    },
  },
});
