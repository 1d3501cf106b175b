import Joi from 'joi';
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
