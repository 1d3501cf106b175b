import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { RouteTable } from '../../src/http/route-table.ts';
import type { Route } from '../../src/lib/route.ts';

/** As much of an OpenAPI document as is read here. */
export interface ApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components: { headers: Record<string, HeaderDescription> };
}

interface Operation {
  operationId: string;
  description?: string;
  responses: Record<string, ResponseDescription>;
  requestBody?: { content: Record<string, { schema: object; example?: unknown }> };
}

interface ResponseDescription {
  headers?: Record<string, HeaderDescription & { $ref?: string }>;
  content?: Record<string, { schema: object; example?: unknown }>;
}

interface HeaderDescription {
  required?: boolean;
  schema: object;
}

interface Place {
  path: string;
  method: string;
  operation: Operation;
}

interface SeenAnswer {
  status: number;
  headers: Headers;
  body: unknown;
}

const DOCUMENT = 'openapi';
const MOST_SHOWN = 5;

const token = (text: string): string => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'));

/** An answer that is not what the API description says of it. */
export class UndescribedAnswerError extends Error {
  override name = 'UndescribedAnswerError';
}

/** Holds answers against the OpenAPI document that the same process serves. */
export class ApiDescription {
  readonly document: ApiDocument;
  readonly #ajv: Ajv2020;
  readonly #table = new RouteTable<Place>();
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: ApiDocument) {
    this.document = document;
    this.#ajv = new Ajv2020({ strict: false, allErrors: true });
    formats.default(this.#ajv);
    this.#ajv.addSchema(document, DOCUMENT);
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const template = path.replaceAll(/\{(\w+)\}/g, ':$1');
        this.#table.add(method.toUpperCase() as Route['method'], template, { path, method, operation });
      }
    }
  }

  operations(): Place[] {
    return Object.entries(this.document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({ path, method, operation })),
    );
  }

  find(method: string, path: string): Place | undefined {
    return this.#table.find(method, path.split('?')[0]!)?.target;
  }

  /** @throws UndescribedAnswerError that names the path of each member that is wrong */
  check(method: string, path: string, answer: SeenAnswer): void {
    const place = this.find(method, path);
    // Nothing is promised where nothing is, and of methods that a path does not take.
    if (!place || method === 'HEAD') return;
    const problems = this.#problemsOf(place, answer);
    if (problems.length === 0) return;
    const shown = problems.slice(0, MOST_SHOWN).map((problem) => `  - ${problem}`);
    const more = problems.length > MOST_SHOWN ? `\n  … and ${problems.length - MOST_SHOWN} more` : '';
    throw new UndescribedAnswerError(
      `${method} ${path} answered ${answer.status}, which is not what its route declares:\n${shown.join('\n')}${more}\n${JSON.stringify(answer.body).slice(0, 600)}`,
    );
  }

  #problemsOf({ path, method, operation }: Place, { status, headers, body }: SeenAnswer): string[] {
    const response = operation.responses[status];
    if (!response) {
      const code = (body as { code?: string } | undefined)?.code;
      return [
        status < 400
          ? `status ${status} is not declared (${Object.keys(operation.responses).join(', ')}): name it in the route's \`success\``
          : `code ${code} is not declared: name it in the route's \`errors\``,
      ];
    }
    const problems: string[] = [];
    for (const [name, described] of Object.entries(response.headers ?? {})) {
      const header = described.$ref ? this.document.components.headers[name]! : described;
      const value = headers.get(name);
      if (value === null) {
        if (header.required) problems.push(`header ${name} is missing`);
      } else if (!this.#ajv.validate(header.schema, value)) problems.push(`header ${name}: ${value} does not fit`);
    }
    if (!response.content) return body === '' ? problems : [...problems, 'there is a body, but none is declared'];
    const type = (headers.get('content-type') ?? '').split(';')[0]!;
    if (!response.content[type]) return [...problems, `content type ${type} is not declared`];
    const pointer = ['paths', path, method, 'responses', String(status), 'content', type, 'schema'];
    return [...problems, ...this.validate(pointer, body)];
  }

  /** @param pointer steps to a schema in the document @returns what is wrong with the value, by its path */
  validate(pointer: readonly string[], value: unknown): string[] {
    const reference = `${DOCUMENT}#/${pointer.map(token).join('/')}`;
    let validator = this.#validators.get(reference);
    if (!validator) {
      validator = this.#ajv.compile({ $ref: reference });
      this.#validators.set(reference, validator);
    }
    if (validator(value)) return [];
    return [...new Set((validator.errors ?? []).map(wordsOf))];
  }
}

function wordsOf({ instancePath, keyword, params, message }: ErrorObject): string {
  const place = instancePath || '/';
  switch (keyword) {
    case 'additionalProperties':
      return `${instancePath}/${params.additionalProperty} is not declared${hint(instancePath)}`;
    case 'required':
      return `${instancePath}/${params.missingProperty} is missing`;
    case 'enum':
      return place === '/code'
        ? `code is not among those declared (${params.allowedValues.join(', ')}): name it in the route's \`errors\``
        : `${place} must be one of ${params.allowedValues.join(', ')}`;
    default:
      return `${place} ${message}`;
  }
}

const hint = (instancePath: string): string =>
  instancePath === '/meta'
    ? ": name it in the route's `meta`, or in src/http/openapi/envelope.ts if it is common"
    : instancePath.startsWith('/data')
      ? ": name it in the route's `response`"
      : '';
