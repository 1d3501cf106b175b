import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { type Request, type Response, Router } from 'express';
import type { ErrorKind } from '../errors/app-error.ts';
import { KINDS } from './openapi/problems.ts';
import { anchorOf } from './problem.ts';
import { securityHeaders } from './security-headers.ts';

/** The page runs its own files and asks its own origin; its pictures are inline. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const ASSETS_MAX_AGE = '1d';
/** Of the package's files only these are served. */
const ASSETS = ['swagger-ui-bundle.js', 'swagger-ui.css', 'favicon-32x32.png'];

const STYLE = `body { margin: 0 }
.swagger-ui .info { margin: 24px 0 }
body.errors { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #223 }
.errors code { background: #eef; padding: .1rem .3rem } .errors td, .errors th { text-align: left; padding: .3rem .8rem .3rem 0 }
.errors tr:target { background: #ffd }`;

const START = `window.addEventListener('load', () => {
  SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#docs',
    deepLinking: true,
    docExpansion: 'list',
    filter: true,
    tagsSorter: 'alpha',
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    validatorUrl: null,
  });
});`;

const page = (title: string, head: string, body: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><link rel="icon" href="/docs/favicon-32x32.png">${head}<link rel="stylesheet" href="/docs/page.css"></head>${body}</html>`;

const DOCS_PAGE = page(
  'Schools24 API',
  '<link rel="stylesheet" href="/docs/swagger-ui.css">',
  `<body><div id="docs"></div><noscript>This page needs scripts; the description itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body>`,
);

const errorRow = ({ code, status, title }: ErrorKind): string =>
  `<tr id="${anchorOf(code)}"><td>${status}</td><td><code>${code}</code></td><td>${title}</td></tr>`;

const errorsPage = (): string =>
  page(
    'Schools24 errors',
    '',
    `<body class="errors"><h1>Errors</h1><p>An error is a problem document (RFC 9457). Its <code>code</code> never changes.</p>
<table><tr><th>Status</th><th>Code</th><th>Title</th></tr>${[...KINDS.values()]
      .sort((a, b) => a.status - b.status || (a.code < b.code ? -1 : 1))
      .map(errorRow)
      .join('')}</table></body>`,
  );

/** The description of the API at `/openapi.json`, and pages that show it at `/docs` and its errors at `/docs/errors`. */
export function createDocs(description: object): Router {
  const router = Router();
  const serve = (path: string, type: string, content: string): void => {
    const bytes = Buffer.from(content);
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
    router.get(path, (request: Request, response: Response) => {
      setHeaders(response);
      // Kept, but asked about before each use: it changes with a deployment.
      response.setHeader('Cache-Control', 'public, no-cache').setHeader('ETag', etag);
      if (request.headers['if-none-match']?.includes(etag)) response.status(304).end();
      else response.type(type).send(bytes);
    });
  };
  serve('/openapi.json', 'application/json; charset=utf-8', JSON.stringify(description));
  serve('/docs', 'html', DOCS_PAGE);
  serve('/docs/errors', 'html', errorsPage());
  serve('/docs/page.css', 'css', STYLE);
  serve('/docs/start.js', 'text/javascript; charset=utf-8', START);
  const root = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  for (const name of ASSETS) {
    router.get(`/docs/${name}`, (_request: Request, response: Response) => {
      setHeaders(response);
      response.sendFile(name, { root, maxAge: ASSETS_MAX_AGE });
    });
  }
  return router;
}

function setHeaders(response: Response): void {
  for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
  response.setHeader('Content-Security-Policy', PAGE_POLICY);
}
