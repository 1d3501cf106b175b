import Joi from 'joi';
import { accepted, defineRoute, ok, type Route } from '../../lib/route.ts';
import { type Profile, profileFields } from './profile.entity.ts';
import type { ProfileService } from './profile-service.ts';

export const createProfileRoutes = ({ profiles }: { profiles: ProfileService }): Route[] => [
  defineRoute({
    method: 'GET',
    path: '/auth/me',
    service: 'auth',
    summary: 'The caller, its roles and the rows they reach',
    mode: 'R',
    access: 'authenticated',
    async handle(context) {
      const { data, version, isPending } = await profiles.me(context);
      return ok(data, { pending: isPending }, { etag: version });
    },
  }),
  defineRoute<Record<string, never>, Record<string, never>, Profile>({
    method: 'PATCH',
    path: '/auth/me',
    service: 'auth',
    summary: "Change one's own profile",
    mode: 'B',
    access: { capability: 'own_profile', verb: 'w' },
    body: Joi.object<Profile>(profileFields).min(1),
    errors: ['VERSION_CONFLICT'],
    async handle(context) {
      const version = await profiles.update(context, context.body, context.ifMatch);
      const { data } = await profiles.me(context);
      return accepted(data, { version, location: '/api/v1/auth/me' });
    },
  }),
];
