import Joi from 'joi';
import { ROLES } from '../../lib/actor.ts';
import { reference, schoolDate, uuid, view } from '../../lib/joi.ts';
import { defineRoute, ok, type Route, stored, written } from '../../lib/route.ts';
import { emailField, loginField } from '../users/user-fields.ts';
import type { UserService } from '../users/user-service.ts';
import { PREFS, prefsFields, profileFields } from './profile.entity.ts';
import type { ProfileChanges, ProfileService } from './profile-service.ts';

const me = view({
  id: uuid,
  login: Joi.string(),
  name: Joi.string(),
  roles: Joi.array().items(Joi.string().valid(...ROLES)),
  email: Joi.string().allow(null),
  phone: Joi.string().allow(null),
  locale: Joi.string().allow(null),
  avatar_file_id: uuid.allow(null),
  prefs: view(Object.fromEntries(PREFS.map((name) => [name, prefsFields[name].allow(null)]))),
  scopes: view({
    academic_year: reference.allow(null),
    staff_id: uuid.allow(null),
    student_id: uuid.allow(null),
    class_subjects: Joi.array().items(view({ id: uuid, class: reference, subject: reference })),
    homerooms: Joi.array().items(reference),
    substitutions: Joi.array().items(view({ class: reference, on_date: schoolDate })),
    own_class: reference.allow(null),
    children: Joi.array().items(
      view({ student_id: uuid, name: Joi.string(), class: reference.allow(null), can_pay: Joi.boolean() }),
    ),
  }),
});

/** What identifies a user is committed before it is answered: it must be nobody else's. */
interface OwnAccount {
  login?: string;
  email?: string | null;
}

const buffered = [...Object.keys(profileFields), 'prefs'];

export const createProfileRoutes = ({ profiles, users }: { profiles: ProfileService; users: UserService }): Route[] => [
  defineRoute({
    method: 'GET',
    path: '/auth/me',
    service: 'auth',
    summary: 'The caller, its roles and the rows they reach',
    mode: 'R',
    access: 'authenticated',
    response: me,
    async handle(context) {
      const { data, version, isPending } = await profiles.me(context);
      return ok(data, { pending: isPending }, { etag: version });
    },
  }),
  defineRoute<Record<string, never>, Record<string, never>, ProfileChanges & OwnAccount>({
    method: 'PATCH',
    path: '/auth/me',
    service: 'auth',
    summary: "Change one's own profile, or else one's login and e-mail address, which are stored at once",
    mode: 'B',
    access: { capability: 'own_profile', verb: 'w' },
    within: 'self',
    body: Joi.object<ProfileChanges & OwnAccount>({
      ...profileFields,
      prefs: Joi.object(prefsFields).min(1),
      login: loginField,
      email: emailField,
    })
      .min(1)
      // One request has one answer: stored, or accepted.
      .without('login', buffered)
      .without('email', buffered),
    entity: 'profile',
    response: me,
    errors: ['VERSION_CONFLICT', 'TAKEN', 'RULE_BROKEN', 'FILE_NOT_READY', 'FILE_TYPE'],
    async handle(context) {
      const { login, email, ...changes } = context.body;
      if (login !== undefined || email !== undefined) {
        const { actor, ifMatch } = context;
        const { user } = await users.update(context, actor.userId, { login, email }, ifMatch);
        const { data, version } = await profiles.me({ actor: { ...actor, login: user.login, name: user.name } });
        return stored(data, { version, meta: { pending: false, writes: [] } });
      }
      const { view, receipt } = await profiles.update(context, changes, context.ifMatch);
      return written(view.data, [receipt], { location: '/api/v1/auth/me' });
    },
  }),
];
