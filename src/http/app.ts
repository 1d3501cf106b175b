import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express';
import { MethodNotAllowedError, NotFoundError } from '../errors/catalogue.ts';
import type { EntityDefinition } from '../lib/entity.ts';
import { sendJson, sendProblem } from './answer.ts';
import { API_PREFIX, Api, type ApiDeps, requestIdOf } from './api.ts';
import { createDocs } from './docs.ts';
import { type createObjectLinks, OBJECTS_PATH } from './object-links.ts';
import { describeApi } from './openapi/document.ts';
import examples from './openapi/examples.json' with { type: 'json' };
import { RETRY_AFTER, toAppError } from './problem.ts';
import type { Readiness } from './readiness.ts';

export interface AppDeps extends ApiDeps {
  /** Buffered entities and the sync interval in ms, for what the API description promises. */
  entities: readonly EntityDefinition[];
  intervalMs: number;
  readiness: () => Promise<Readiness>;
  /** Bull Board, already behind its own login. */
  adminQueues?: { path: string; router: Router };
  /** Signed links of files, where this application serves them itself. */
  objectLinks?: ReturnType<typeof createObjectLinks>;
}

/** The application without a server. */
export function createApp(deps: AppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', deps.trustedProxies);
  app.set('query parser', 'simple');

  const api = new Api(deps);
  const isApi = (url: string): boolean => url.startsWith(`${API_PREFIX}/`);
  // The first layer, so that the API's requests pass no other.
  app.use((request: Request, response: Response, next: NextFunction) => {
    if (isApi(request.url)) void api.handle(request, response);
    else if (deps.objectLinks && request.url.startsWith(`${OBJECTS_PATH}/`)) void deps.objectLinks(request, response);
    else next();
  });
  app.get('/healthz', (_request, response) => sendJson(response, 200, { status: 'ok' }));
  app.get('/readyz', async (_request, response) => {
    const { isReady, body } = await deps.readiness();
    sendJson(response, isReady ? 200 : 503, body, isReady ? {} : RETRY_AFTER);
  });
  const { entities, intervalMs, scopesFor } = deps;
  app.use(
    createDocs(describeApi({ routes: api.routes, entities, intervalMs, scopesFor, prefix: API_PREFIX, examples })),
  );
  app.all(['/healthz', '/readyz'], () => {
    throw new MethodNotAllowedError({ headers: { Allow: 'GET, HEAD' } });
  });
  if (deps.adminQueues) app.use(deps.adminQueues.path, deps.adminQueues.router);
  app.use(() => {
    throw new NotFoundError('nothing answers at this path');
  });
  // Express tells an error handler by its four parameters.
  app.use((thrown: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) {
      next(thrown);
      return;
    }
    const error = toAppError(thrown);
    const requestId = requestIdOf(request);
    if (error.status >= 500)
      deps.log.error('request failed', {
        requestId,
        path: request.path,
        code: error.code,
        error: error.cause ?? error,
      });
    sendProblem(response, error, requestId, request.path);
  });
  return app;
}
