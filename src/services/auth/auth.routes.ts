import Joi from 'joi';
import { ROLES } from '../../lib/actor.ts';
import { uuid, view } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { defineRoute, ok, type Route } from '../../lib/route.ts';
import type { AuthService, TokenPair } from './auth-service.ts';
import { MOST_PASSWORD_CHARACTERS } from './passwords.ts';

interface LoginBody {
  login: string;
  password: string;
}

const tokenFields = {
  access_token: Joi.string(),
  refresh_token: Joi.string(),
  token_type: Joi.string().valid('Bearer'),
  expires_in: Joi.number().integer().min(1),
};

const pairOf = ({ accessToken, refreshToken, expiresIn }: TokenPair) => ({
  access_token: accessToken,
  refresh_token: refreshToken,
  token_type: 'Bearer',
  expires_in: expiresIn,
});

export const createAuthRoutes = ({ auth }: { auth: AuthService }): Route[] => [
  defineRoute<Record<string, never>, Record<string, never>, LoginBody>({
    method: 'POST',
    path: '/auth/login',
    service: 'auth',
    summary: 'Log in with a login name and password',
    mode: 'T',
    access: 'public',
    rateLimit: 'login',
    body: Joi.object<LoginBody>({
      login: Joi.string().max(LIMITS.users.login).required(),
      password: Joi.string().max(MOST_PASSWORD_CHARACTERS).required(),
    }),
    success: [200],
    errors: ['BAD_CREDENTIALS', 'SUSPENDED', 'LOCKED'],
    response: view({
      ...tokenFields,
      is_password_temporary: Joi.boolean(),
      user: view({
        id: uuid,
        login: Joi.string(),
        name: Joi.string(),
        roles: Joi.array().items(Joi.string().valid(...ROLES)),
      }),
    }),
    async handle({ body, requestId, ip, userAgent, now, newId }) {
      const login = await auth.login(body.login, body.password, { requestId, ip, userAgent, now, newId });
      return ok({
        ...pairOf(login),
        is_password_temporary: login.isPasswordTemporary,
        user: login.user,
      });
    },
  }),
  defineRoute<Record<string, never>, Record<string, never>, { refresh_token: string }>({
    method: 'POST',
    path: '/auth/refresh',
    service: 'auth',
    summary: 'Renew a login: a new pair of tokens for a refresh token, which is used up',
    mode: 'T',
    access: 'public',
    success: [200],
    body: Joi.object({ refresh_token: Joi.string().max(200).required() }),
    errors: ['REFRESH_INVALID', 'REFRESH_REUSED'],
    response: view(tokenFields),
    handle: async ({ body, requestId, ip, now, newId }) =>
      ok(pairOf(await auth.refresh(body.refresh_token, { requestId, ip, now, newId }))),
  }),
];
