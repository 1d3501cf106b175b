import Joi from 'joi';
import { defineRoute, ok, type Route, written } from '../../lib/route.ts';
import { prefsFields, profileFields } from './profile.entity.ts';
import type { ProfileChanges, ProfileService } from './profile-service.ts';

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
  defineRoute<Record<string, never>, Record<string, never>, ProfileChanges>({
    method: 'PATCH',
    path: '/auth/me',
    service: 'auth',
    summary: "Change one's own profile",
    mode: 'B',
    access: { capability: 'own_profile', verb: 'w' },
    body: Joi.object<ProfileChanges>({ ...profileFields, prefs: Joi.object(prefsFields).min(1) }).min(1),
    errors: ['VERSION_CONFLICT', 'FILE_NOT_READY', 'FILE_TYPE'],
    async handle(context) {
      const { view, receipt } = await profiles.update(context, context.body, context.ifMatch);
      return written(view.data, [receipt], { location: '/api/v1/auth/me' });
    },
  }),
];
