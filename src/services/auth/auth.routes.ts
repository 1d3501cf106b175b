import Joi from 'joi';
import { ROLES } from '../../lib/actor.ts';
import { uuid, view } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { defineRoute, ok, type Route } from '../../lib/route.ts';
import type { AuthService } from './auth-service.ts';

interface LoginBody {
  login: string;
  password: string;
}

const MOST_PASSWORD_CHARACTERS = 128;

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
    response: view({
      access_token: Joi.string(),
      refresh_token: Joi.string(),
      token_type: Joi.string().valid('Bearer'),
      expires_in: Joi.number().integer().min(1),
      is_password_temporary: Joi.boolean(),
      user: view({
        id: uuid,
        login: Joi.string(),
        name: Joi.string(),
        roles: Joi.array().items(Joi.string().valid(...ROLES)),
      }),
    }),
    errors: ['BAD_CREDENTIALS', 'SUSPENDED', 'LOCKED'],
    async handle({ body, ip, userAgent, now }) {
      const { accessToken, refreshToken, expiresIn, isPasswordTemporary, user } = await auth.login(
        body.login,
        body.password,
        { ip, userAgent, now },
      );
      return ok({
        access_token: accessToken,
        refresh_token: refreshToken,
        token_type: 'Bearer',
        expires_in: expiresIn,
        is_password_temporary: isPasswordTemporary,
        user,
      });
    },
  }),
];
