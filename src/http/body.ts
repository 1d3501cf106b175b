import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { MalformedRequestError, PayloadTooLargeError, UnsupportedMediaTypeError } from '../errors/catalogue.ts';

/** The client went away before its body was complete: nobody is left to answer. */
export class ClientGoneError extends Error {
  override name = 'ClientGoneError';
}

const JSON_TYPE = /^application\/(?:json|[\w.+-]+\+json)\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined ||
  (headers['content-length'] !== undefined && headers['content-length'] !== '0');

/**
 * Reads and parses a JSON body.
 *
 * @param limitBytes bytes at most; what comes after them is not read
 * @returns undefined when the request has no body
 * @throws UnsupportedMediaTypeError, PayloadTooLargeError, MalformedRequestError
 */
export async function readJson(request: IncomingMessage, limitBytes: number): Promise<unknown> {
  if (!hasBody(request)) return undefined;
  const { headers } = request;
  const type = headers['content-type'];
  // The usual spelling is compared first: the expression costs more than all other checks here.
  if (type !== 'application/json' && !JSON_TYPE.test(type ?? '')) {
    throw new UnsupportedMediaTypeError('send Content-Type: application/json, in UTF-8');
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw new UnsupportedMediaTypeError(`send the body without Content-Encoding`);
  if (Number(headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes);
  const bytes = await readBytes(request, limitBytes);
  return bytes.length === 0 ? undefined : parseJson(bytes);
}

const tooLarge = (limitBytes: number): Error =>
  // The rest of the body is not read, so the connection cannot serve another request.
  new PayloadTooLargeError({ detail: `at most ${limitBytes} bytes`, headers: { Connection: 'close' } });

function readBytes(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let more: Buffer[] | undefined;
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > limitBytes) {
        request.pause();
        request.removeAllListeners('data');
        reject(tooLarge(limitBytes));
        return;
      }
      if (first === undefined) first = chunk;
      else {
        more ??= [first];
        more.push(chunk);
      }
    });
    request.on('end', () => resolve(more ? Buffer.concat(more, size) : (first ?? EMPTY)));
    request.on('error', reject);
    request.on('close', () => {
      // After `end` the promise is settled and this changes nothing.
      if (!request.complete) reject(new ClientGoneError('the request was aborted'));
    });
  });
}

const EMPTY = Buffer.alloc(0);

/** @throws MalformedRequestError saying where the text stops being JSON; never repeats the text */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new MalformedRequestError('the body is not UTF-8');
  const text = bytes.toString();
  try {
    return JSON.parse(text);
  } catch {
    const position = errorPosition(text);
    const before = text.slice(0, position);
    const line = before.split('\n').length;
    const column = position - before.lastIndexOf('\n');
    const what = position >= text.length ? 'it ends too early' : 'unexpected character';
    throw new MalformedRequestError({
      detail: `the body is not JSON: ${what} at position ${position} (line ${line}, column ${column})`,
    });
  }
}

/**
 * The first character that no JSON text with this beginning could have. JSON.parse names a position in some of its messages
 * only; but a prefix that is fine so far fails "at its end", so the place is found by halving.
 */
function errorPosition(text: string): number {
  let fine = 0;
  let bad = text.length + 1;
  while (bad - fine > 1) {
    const middle = (fine + bad) >> 1;
    if (isFineSoFar(text.slice(0, middle))) fine = middle;
    else bad = middle;
  }
  return fine;
}

function isFineSoFar(prefix: string): boolean {
  try {
    JSON.parse(prefix);
    return true;
  } catch (error) {
    const { message } = error as Error;
    if (message.includes('end of JSON input') || message.startsWith('Unterminated string')) return true;
    const at = /at position (\d+)/.exec(message)?.[1];
    return at !== undefined && Number(at) >= prefix.length;
  }
}
