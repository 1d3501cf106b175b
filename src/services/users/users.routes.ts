import Joi from 'joi';
import { ROLES, type Role } from '../../lib/actor.ts';
import { decodeCursor, encodeCursor } from '../../lib/cursor.ts';
import { cursor, idParams, pageLimit, uuid } from '../../lib/joi.ts';
import { created, defineRoute, ok, type Route, stored } from '../../lib/route.ts';
import type { AccessService } from './access-service.ts';
import {
  type NewUser,
  newUserBody,
  rolesField,
  type UserChanges,
  userAndCredentialsResponse,
  userChangesBody,
  userResponse,
} from './user-fields.ts';
import type { UserService } from './user-service.ts';
import type { UserFilter, UserRow } from './user-store.ts';

const SERVICE = 'auth';
const allow = (verb: 'r' | 'w' | 'x') => ({ capability: 'users', verb }) as const;

type None = Record<string, never>;
type ListQuery = Omit<UserFilter, 'after'> & { cursor?: string };

const viewOf = ({ staff, student, guardian, ...user }: UserRow) => ({ ...user, person: { staff, student, guardian } });
const changed = (user: UserRow) => stored(viewOf(user), { version: user.version });

export const createUserRoutes = ({ users, access }: { users: UserService; access: AccessService }): Route[] => [
  defineRoute<None, ListQuery>({
    method: 'GET',
    path: '/users',
    service: SERVICE,
    summary: 'Accounts by login',
    mode: 'R',
    access: allow('r'),
    query: Joi.object<ListQuery>({
      role: Joi.string().valid(...ROLES),
      q: Joi.string().trim().max(100),
      class_id: uuid,
      status: Joi.string().valid('invited', 'active', 'suspended', 'archived'),
      limit: pageLimit,
      cursor,
    }),
    response: Joi.array().items(userResponse),
    async handle({ query: { cursor: position, ...filter }, now }) {
      const after = decodeCursor(position);
      const page = await users.list({ ...filter, ...(after ? { after } : {}) }, now);
      const last = page.users.at(-1);
      return ok(page.users.map(viewOf), {
        next_cursor: page.hasMore && last ? encodeCursor({ value: last.login.toLowerCase(), id: last.id }) : null,
      });
    },
  }),
  defineRoute<{ id: string }>({
    method: 'GET',
    path: '/users/:id',
    service: SERVICE,
    summary: 'One account',
    mode: 'R',
    access: allow('r'),
    params: idParams,
    response: userResponse,
    async handle({ params }) {
      const user = await users.get(params.id);
      return ok(viewOf(user), undefined, { etag: user.version });
    },
  }),
  defineRoute<None, None, NewUser>({
    method: 'POST',
    path: '/users',
    service: SERVICE,
    summary: 'Make an account, the person behind it and a way in',
    mode: 'T',
    access: allow('w'),
    body: newUserBody,
    response: userAndCredentialsResponse,
    errors: ['TAKEN', 'RULE_BROKEN'],
    async handle(context) {
      const { user, handedOut } = await users.create(context, context.body);
      const data = { ...viewOf(user), ...handedOut };
      return {
        ...created(data, { version: user.version, location: `/api/v1/users/${user.id}` }),
        repeatedData: { ...data, temporary_password: null },
      };
    },
  }),
  defineRoute<{ id: string }, None, UserChanges>({
    method: 'PATCH',
    path: '/users/:id',
    service: SERVICE,
    summary: 'Change an account, the person behind it, or give it another way in',
    mode: 'T',
    access: allow('w'),
    params: idParams,
    body: userChangesBody,
    response: userAndCredentialsResponse,
    errors: ['TAKEN', 'RULE_BROKEN', 'BAD_STATE', 'VERSION_CONFLICT'],
    async handle(context) {
      const { params, body, ifMatch } = context;
      const { user, handedOut } = await users.update(context, params.id, body, ifMatch);
      return stored({ ...viewOf(user), ...handedOut }, { version: user.version });
    },
  }),
  defineRoute<{ id: string }>({
    method: 'POST',
    path: '/users/:id/suspend',
    service: SERVICE,
    summary: 'End an account’s logins and take none',
    mode: 'T',
    access: allow('x'),
    params: idParams,
    success: [200],
    response: userResponse,
    errors: ['LAST_ADMIN', 'BAD_STATE', 'VERSION_CONFLICT'],
    handle: async (context) => changed(await access.suspend(context, context.params.id)),
  }),
  defineRoute<{ id: string }>({
    method: 'POST',
    path: '/users/:id/activate',
    service: SERVICE,
    summary: 'Take a suspension back',
    mode: 'T',
    access: allow('x'),
    params: idParams,
    success: [200],
    response: userResponse,
    errors: ['BAD_STATE', 'VERSION_CONFLICT'],
    handle: async (context) => changed(await access.activate(context, context.params.id)),
  }),
  defineRoute<{ id: string }, None, { roles: Role[] }>({
    method: 'PUT',
    path: '/users/:id/roles',
    service: SERVICE,
    summary: 'Replace an account’s roles; its logins end',
    mode: 'T',
    access: allow('w'),
    params: idParams,
    body: Joi.object({ roles: rolesField.required() }),
    response: userResponse,
    errors: ['LAST_ADMIN', 'SELF_DEMOTION', 'RULE_BROKEN', 'BAD_STATE', 'VERSION_CONFLICT'],
    handle: async (context) => changed(await access.setRoles(context, context.params.id, context.body.roles)),
  }),
];
