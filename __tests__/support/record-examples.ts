import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

/** Long enough to show what a list holds. */
const MOST_ITEMS = 2;
const MOST_CHARACTERS = 200;
/** Links hold a signature, or the secret of who subscribes. */
const SECRETS = /token$|password$|^(.+_)?url$/;

/**
 * With RECORD_EXAMPLES=<folder>: notes a request that went well and its answer, one line each, for the API description
 * (`npm run openapi:examples` makes a file of them). Lists are cut short, secrets are left out.
 */
export function recordExample(id: string, request: unknown, answer: { status: number; body: unknown }): void {
  const folder = process.env.RECORD_EXAMPLES;
  if (!folder || answer.status >= 300 || typeof request === 'string') return;
  const line = { id, request: shortened(request), status: answer.status, response: shortened(answer.body) };
  appendFileSync(join(folder, `${process.pid}.jsonl`), `${JSON.stringify(line)}\n`);
}

function shortened(value: unknown): unknown {
  if (typeof value === 'string' && value.length > MOST_CHARACTERS) return `${value.slice(0, MOST_CHARACTERS)}…`;
  if (Array.isArray(value)) return value.slice(0, MOST_ITEMS).map(shortened);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      typeof item === 'string' && SECRETS.test(name) ? `<${name}>` : shortened(item),
    ]),
  );
}
