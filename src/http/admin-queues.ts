import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import type { Queue } from 'bullmq';
import express, { type NextFunction, type Request, type Response, Router } from 'express';
import type { Queues } from '../../queues/index.ts';
import type { Actor } from '../lib/actor.ts';
import { requestIdOf } from './api.ts';
import { plainIp } from './plain-ip.ts';
import { problemOf, toAppError } from './problem.ts';
import { securityHeaders } from './security-headers.ts';

export interface AdminQueuesDeps {
  queues: Queues;
  isWritable: boolean;
  /** @returns an access token */
  login: (
    login: string,
    password: string,
    origin: { requestId: string; ip: string; userAgent: string },
  ) => Promise<string>;
  authenticate: (authorization: string) => Actor | Promise<Actor>;
}

const PATH = '/admin/queues';
const COOKIE = 's24_admin';
/** Bull Board's pages bring their styles and start values inline. */
const PAGE_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'";

const LOGIN_PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Schools24 queues</title><style>body{font:16px system-ui;display:grid;place-items:center;min-height:90vh;color:#223}
form{display:grid;gap:.8rem;width:18rem}input,button{font:inherit;padding:.5rem}</style>
<form method="post" action="${PATH}/login"><h1>Queues</h1><!--message-->
<label>Login <input name="login" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button></form></html>`;

const cookieOf = (request: Request): string | undefined =>
  new RegExp(`(?:^|;\\s*)${COOKIE}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1];

/** Bull Board for admins: the API's login and role by cookie or bearer; read-only unless BULL_BOARD_WRITABLE is set. */
export function createAdminQueues({ queues, isWritable, login, authenticate }: AdminQueuesDeps): {
  path: string;
  router: Router;
} {
  const adapter = new ExpressAdapter();
  adapter.setBasePath(PATH);
  createBullBoard({
    queues: Object.values(queues).map((queue) => new BullMQAdapter(queue as Queue, { readOnlyMode: !isWritable })),
    // The adapter's type lags one optional member behind the board's.
    serverAdapter: adapter as unknown as Parameters<typeof createBullBoard>[0]['serverAdapter'],
    options: { uiConfig: { boardTitle: 'Schools24' } },
  });
  const router = Router();
  const page = (response: Response, status: number, message = ''): void => {
    response
      .writeHead(status, {
        ...securityHeaders,
        'Content-Security-Policy': PAGE_POLICY,
        'Content-Type': 'text/html; charset=utf-8',
        'Cache-Control': 'no-store',
      })
      .end(LOGIN_PAGE.replace('<!--message-->', message ? `<p role="alert">${message}</p>` : ''));
  };

  router.post('/login', express.urlencoded({ extended: false, limit: '4kb' }), async (request, response) => {
    const { login: name, password } = (request.body ?? {}) as Record<string, unknown>;
    try {
      const token = await login(String(name ?? ''), String(password ?? ''), {
        requestId: requestIdOf(request),
        ip: plainIp(request.ip),
        userAgent: (request.headers['user-agent'] ?? '').slice(0, 500),
      });
      const actor = await authenticate(`Bearer ${token}`);
      if (!actor.roles.includes('admin')) {
        page(response, 403, 'Only admins may see the queues.');
        return;
      }
      response.cookie(COOKIE, token, { httpOnly: true, sameSite: 'strict', secure: request.secure, path: PATH });
      response.redirect(303, PATH);
    } catch (error) {
      const { status, title } = toAppError(error);
      page(response, status, title);
    }
  });

  router.use(async (request: Request, response: Response, next: NextFunction) => {
    const bearer = request.headers.authorization;
    const cookie = cookieOf(request);
    try {
      const actor = await authenticate(bearer ?? (cookie ? `Bearer ${cookie}` : ''));
      if (actor.roles.includes('admin')) {
        for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
        response.setHeader('Content-Security-Policy', PAGE_POLICY);
        next();
        return;
      }
      page(response, 403, 'Only admins may see the queues.');
    } catch (thrown) {
      const error = toAppError(thrown);
      if (bearer) {
        response
          .writeHead(error.status, { ...securityHeaders, 'Content-Type': 'application/problem+json' })
          .end(JSON.stringify(problemOf(error, '', PATH)));
      } else page(response, 401);
    }
  });
  router.use(adapter.getRouter() as Router);
  return { path: PATH, router };
}
