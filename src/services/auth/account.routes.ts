import Joi from 'joi';
import { decodeCursor, encodeCursor } from '../../lib/cursor.ts';
import { cursor, isoInstant, pageLimit, uuid, view } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { defineRoute, noContent, ok, type Reply, type Route, stored } from '../../lib/route.ts';
import type { PasswordService } from './password-service.ts';
import { MOST_PASSWORD_CHARACTERS } from './passwords.ts';
import type { SessionService } from './session-service.ts';

const SERVICE = 'auth';
const read = { capability: 'own_profile', verb: 'r' } as const;
const write = { capability: 'own_profile', verb: 'w' } as const;
const password = Joi.string().max(MOST_PASSWORD_CHARACTERS).required();

type None = Record<string, never>;

/** A request taken on, whatever becomes of it. */
const accepted = (): Reply => ({ status: 202, data: null });

/** One's own logins and password. None of them takes an Idempotency-Key: what they send and answer must not be kept. */
export const createAccountRoutes = ({
  sessions,
  passwords,
}: {
  sessions: SessionService;
  passwords: PasswordService;
}): Route[] => [
  defineRoute<None, None, { all: boolean }>({
    method: 'POST',
    path: '/auth/logout',
    service: SERVICE,
    summary: 'End this login, or all of the caller’s',
    mode: 'T',
    access: write,
    within: 'self',
    idempotency: 'none',
    body: Joi.object<{ all: boolean }>({ all: Joi.boolean().default(false) })
      .default({ all: false })
      .optional(),
    response: null,
    async handle(context) {
      await sessions.logout(context, context.body.all);
      return noContent();
    },
  }),
  defineRoute<None, { limit: number; cursor?: string }>({
    method: 'GET',
    path: '/auth/sessions',
    service: SERVICE,
    summary: 'The caller’s logins, newest first',
    mode: 'R',
    access: read,
    within: 'self',
    query: Joi.object({ limit: pageLimit, cursor }),
    response: Joi.array().items(
      view({
        id: uuid,
        ip: Joi.string(),
        user_agent: Joi.string().allow(''),
        created_at: isoInstant,
        refreshed_at: isoInstant,
        expires_at: isoInstant,
        is_current: Joi.boolean(),
      }),
    ),
    async handle({ actor, now, query }) {
      const before = decodeCursor(query.cursor)?.id;
      const page = await sessions.list({ actor, now }, { limit: query.limit, before });
      const last = page.sessions.at(-1);
      return ok(
        page.sessions.map(({ id, ip, userAgent, createdAt, rotatedAt, expiresAt }) => ({
          id,
          ip,
          user_agent: userAgent,
          created_at: createdAt,
          refreshed_at: rotatedAt,
          expires_at: expiresAt,
          is_current: id === actor.sid,
        })),
        { next_cursor: page.hasMore && last ? encodeCursor({ value: last.id, id: last.id }) : null },
      );
    },
  }),
  defineRoute<{ sid: string }>({
    method: 'DELETE',
    path: '/auth/sessions/:sid',
    service: SERVICE,
    summary: 'End one of the caller’s logins',
    mode: 'T',
    access: write,
    within: 'self',
    params: Joi.object<{ sid: string }>({ sid: uuid.required() }),
    response: null,
    async handle(context) {
      await sessions.end(context, context.params.sid);
      return noContent();
    },
  }),
  defineRoute<None, None, { old_password: string; new_password: string }>({
    method: 'POST',
    path: '/auth/password/change',
    service: SERVICE,
    summary: 'Change one’s own password; the other logins end',
    mode: 'T',
    access: write,
    within: 'self',
    idempotency: 'none',
    body: Joi.object({ old_password: password, new_password: password }),
    success: [200],
    errors: ['BAD_CREDENTIALS', 'LOCKED', 'WEAK_PASSWORD'],
    response: view({
      access_token: Joi.string(),
      token_type: Joi.string().valid('Bearer'),
      expires_in: Joi.number().integer(),
    }),
    async handle(context) {
      const { old_password: oldPassword, new_password: newPassword } = context.body;
      const { accessToken, expiresIn } = await passwords.change(context, oldPassword, newPassword);
      return stored({ access_token: accessToken, token_type: 'Bearer', expires_in: expiresIn });
    },
  }),
  defineRoute<None, None, { login: string }>({
    method: 'POST',
    path: '/auth/password/forgot',
    service: SERVICE,
    summary: 'Ask for a mail with a link to a new password',
    mode: 'T',
    access: 'public',
    rateLimit: 'recovery',
    body: Joi.object({ login: Joi.string().max(LIMITS.users.login).required() }),
    success: [202],
    response: Joi.valid(null),
    async handle({ body, requestId, ip, now, newId }) {
      await passwords.forgot({ requestId, ip, now, newId }, body.login);
      return accepted();
    },
  }),
  defineRoute<None, None, { token: string; new_password: string }>({
    method: 'POST',
    path: '/auth/password/reset',
    service: SERVICE,
    summary: 'Set a password with the token of an invite or a reset; all logins end',
    mode: 'T',
    access: 'public',
    rateLimit: 'recovery',
    body: Joi.object({ token: Joi.string().max(200).required(), new_password: password }),
    response: null,
    errors: ['WEAK_PASSWORD', 'TOKEN_EXPIRED'],
    async handle({ body, requestId, ip, now, newId }) {
      await passwords.reset({ requestId, ip, now, newId }, body.token, body.new_password);
      return noContent();
    },
  }),
];
