import type { ServerResponse } from 'node:http';
import type { AppError } from '../errors/app-error.ts';
import type { Reply, StreamBody } from '../lib/route.ts';
import { problemOf, RETRY_AFTER } from './problem.ts';
import { securityHeaders } from './security-headers.ts';

export type Headers = Readonly<Record<string, string>>;

/** Headers of every answer, as the flat list that Node writes fastest. */
const FIXED: readonly string[] = [...Object.entries(securityHeaders).flat(), 'Cache-Control', 'no-store'];
const JSON_TYPE = 'application/json; charset=utf-8';
const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

function add(list: string[], headers: Headers | undefined): void {
  for (const name in headers) list.push(name, headers[name]!);
}

/** Sends a reply in its envelope. @param extra headers that are not the reply's own, such as rate limits */
export function sendReply(response: ServerResponse, reply: Reply, requestId: string, extra: Headers): void {
  const headers = [...FIXED, 'X-Request-Id', requestId];
  add(headers, extra);
  if (reply.etag !== undefined) headers.push('ETag', `"${reply.etag}"`);
  if (reply.location !== undefined) headers.push('Location', reply.location);
  if (reply.syncStatus !== undefined) headers.push('Sync-Status', reply.syncStatus);
  add(headers, reply.headers);
  if (reply.status === 204) {
    response.writeHead(204, headers).end();
    return;
  }
  if (reply.stream) {
    sendStream(response, reply.status, headers, reply.stream);
    return;
  }
  const { type, body } = reply.text ?? {
    type: JSON_TYPE,
    body: JSON.stringify({ data: reply.data ?? null, meta: reply.meta ?? {} }),
  };
  sendText(response, reply.status, headers, type, body);
}

/** What may wait for a client that reads slowly, bytes, beside the piece that is added to it. */
const MOST_UNREAD_BYTES = 64 * 1024;

/** What is left to read when an answer ends must be read by then. */
const LINGER_MS = 1_000;

/** Sends the head of an answer at once and hands its open end on. */
function sendStream(
  response: ServerResponse,
  status: number,
  headers: string[],
  { contentType, start }: StreamBody,
): void {
  // Proxies must not gather the pieces.
  headers.push('Content-Type', contentType, 'X-Accel-Buffering', 'no');
  response.writeHead(status, headers).flushHeaders();
  // Who asks for the head alone has it; an end that stays open would keep its connection from other requests.
  if (response.req.method === 'HEAD') response.end();
  response.on('error', () => {}); // a client that has gone is told by `close`
  let linger: NodeJS.Timeout | undefined;
  response.once('close', () => clearTimeout(linger));
  start({
    write(text) {
      if (response.writableLength > MOST_UNREAD_BYTES) response.destroy();
      else if (!response.destroyed && !response.writableEnded) response.write(text);
    },
    end() {
      if (response.destroyed || response.writableEnded) return;
      response.end();
      // One that does not read would hold its connection.
      linger = setTimeout(() => response.destroy(), LINGER_MS);
    },
    onClose(listener) {
      if (response.closed || response.destroyed) listener();
      else response.once('close', listener);
    },
  });
}

/** Sends an error as a problem document (RFC 9457). @param path without the query, which may hold anything */
export function sendProblem(response: ServerResponse, error: AppError, requestId: string, path: string): void {
  const headers = [...FIXED, 'X-Request-Id', requestId];
  if (error.status === 401) headers.push('WWW-Authenticate', 'Bearer');
  add(headers, error.headers ?? (error.status === 503 ? RETRY_AFTER : undefined));
  sendText(
    response,
    error.status,
    headers,
    PROBLEM_TYPE,
    JSON.stringify(problemOf(error, requestId, path.slice(0, MOST_PATH_CHARACTERS))),
  );
}

const MOST_PATH_CHARACTERS = 500;

/** Sends a document that is neither in the envelope nor a problem. */
export function sendJson(response: ServerResponse, status: number, body: object, extra: Headers = {}): void {
  const headers = [...FIXED];
  add(headers, extra);
  sendText(response, status, headers, JSON_TYPE, JSON.stringify(body));
}

function sendText(response: ServerResponse, status: number, headers: string[], type: string, text: string): void {
  headers.push('Content-Type', type, 'Content-Length', String(Buffer.byteLength(text)));
  response.writeHead(status, headers).end(text);
}
