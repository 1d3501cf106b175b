import type { JsonSchema } from './joi-description.ts';

interface HeaderObject {
  description: string;
  required?: boolean;
  schema: JsonSchema;
  example?: string;
}

const text = (pattern?: string): JsonSchema => ({ type: 'string', ...(pattern ? { pattern } : {}) });

/** Headers of answers, by name. */
export const HEADERS = {
  'X-Request-Id': {
    description:
      "The client's own `X-Request-Id` (8 to 64 of `A-Za-z0-9._-`), else a new one. It is in the log's lines.",
    required: true,
    schema: text('^[A-Za-z0-9._-]{8,64}$'),
  },
  RateLimit: {
    description: 'What is left of the limit (`r`) and in how many seconds it begins anew (`t`).',
    required: true,
    schema: text('^"[a-z]+";r=\\d+;t=\\d+$'),
    example: '"default";r=119;t=60',
  },
  'RateLimit-Policy': {
    description: 'The limit that counts here: requests (`q`) in a window of seconds (`w`).',
    required: true,
    schema: text('^"[a-z]+";q=\\d+;w=\\d+$'),
    example: '"default";q=120;w=60',
  },
  ETag: {
    description: 'The version of the resource; `If-Match` takes it.',
    schema: text('^"\\d{1,16}"$'),
    example: '"1757476800000000"',
  },
  Location: { description: 'Where the resource is.', schema: text('^/api/v1/') },
  'Sync-Status': {
    description: '`buffered`: acknowledged and readable, on its way to its database. `stored`: in its database.',
    schema: { type: 'string', enum: ['buffered', 'stored'] },
  },
  'Idempotency-Replayed': {
    description: 'This is the answer of the first request with this `Idempotency-Key`.',
    schema: { type: 'string', enum: ['true'] },
  },
  'Retry-After': {
    description: 'Seconds after which to come back.',
    required: true,
    schema: text('^\\d+$'),
    example: '5',
  },
  'WWW-Authenticate': { description: 'How to log in.', required: true, schema: { type: 'string', enum: ['Bearer'] } },
} satisfies Record<string, HeaderObject>;

export type HeaderName = keyof typeof HEADERS;

/** References to headers; those under `required` are in every such answer. */
export const headerRefs = (names: readonly HeaderName[], required: readonly HeaderName[] = []): JsonSchema =>
  Object.fromEntries([
    ...names.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
    ...required.map((name) => [name, { ...HEADERS[name], required: true }]),
  ]);
