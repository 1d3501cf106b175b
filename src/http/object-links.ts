import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { AppError } from '../errors/app-error.ts';
import {
  ForbiddenError,
  MalformedRequestError,
  MethodNotAllowedError,
  NotFoundError,
  PayloadTooLargeError,
  UnsupportedMediaTypeError,
} from '../errors/catalogue.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Grant, LinkSigner } from '../stores/objects/link-signer.ts';
import { type LocalObjects, UploadSizeError } from '../stores/objects/local-objects.ts';
import { attachment } from '../stores/objects/object-store.ts';
import { sendProblem } from './answer.ts';
import { toAppError } from './problem.ts';
import { securityHeaders } from './security-headers.ts';

export const OBJECTS_PATH = '/objects';

export interface ObjectLinksDeps {
  objects: LocalObjects;
  links: LinkSigner;
  clock: Clock;
  log: Log;
}

/** Serves the signed links of objects in the local folder, as a bucket serves its own. The signature is all that counts. */
export function createObjectLinks({ objects, links, clock, log }: ObjectLinksDeps) {
  const grantOf = (method: Grant['method'], url: string): Grant => {
    const { pathname, searchParams } = new URL(url, 'http://localhost');
    const grant = links.verify(method, pathname.slice(OBJECTS_PATH.length + 1), searchParams);
    if (!grant) throw new ForbiddenError('the link is not one of ours');
    if (grant.expiresAt <= clock.now()) throw new ForbiddenError('the link has expired');
    return grant;
  };

  const put = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { key, terms } = grantOf('PUT', request.url!);
    const sizeBytes = Number(terms.size);
    const wrongSize = `the link is for a file of ${sizeBytes} bytes`;
    if (request.headers['content-type'] !== terms.type)
      throw new UnsupportedMediaTypeError(`the link is for Content-Type: ${terms.type}`);
    if (Number(request.headers['content-length'] ?? sizeBytes) > sizeBytes) throw new PayloadTooLargeError(wrongSize);
    try {
      await objects.receive(key, request, sizeBytes);
    } catch (error) {
      if (error instanceof UploadSizeError) throw new MalformedRequestError(wrongSize);
      throw error;
    }
    response.writeHead(204, { ...securityHeaders }).end();
  };

  const get = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { key, terms } = grantOf('GET', request.url!);
    const found = await objects.stream(key);
    if (!found) throw new NotFoundError();
    response.writeHead(200, {
      ...securityHeaders,
      'Content-Type': terms.type!,
      'Content-Length': found.sizeBytes,
      'Content-Disposition': attachment(terms.name!),
      'Cache-Control': 'private, no-store',
    });
    await pipeline(found.content, response);
  };

  const refuse = (thrown: unknown, request: IncomingMessage, response: ServerResponse): void => {
    // Who went away cannot be answered, nor who was cut off for sending more than it said.
    if (response.headersSent || (request.destroyed && !request.complete)) {
      response.destroy();
      return;
    }
    const error: AppError = toAppError(thrown);
    if (error.status >= 500) log.error('object link failed', { code: error.code, error: error.cause ?? error });
    // The rest of an upload is not read, so the connection cannot serve another request.
    if (!request.complete) response.shouldKeepAlive = false;
    sendProblem(response, error, '', OBJECTS_PATH);
  };

  /** Never rejects: what goes wrong is answered. */
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      if (request.method === 'PUT') await put(request, response);
      else if (request.method === 'GET') await get(request, response);
      else throw new MethodNotAllowedError({ headers: { Allow: 'GET, PUT' } });
    } catch (error) {
      refuse(error, request, response);
    }
  };
}
