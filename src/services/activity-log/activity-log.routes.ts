import Joi from 'joi';
import { ROLES } from '../../lib/actor.ts';
import { decodeInstantCursor, encodeCursor } from '../../lib/cursor.ts';
import { cursor, isoInstant, pageLimit, uuid, view } from '../../lib/joi.ts';
import { defineRoute, ok, type Route } from '../../lib/route.ts';
import type { ActivityFilter, ActivityLog } from './activity-log.ts';

type ListQuery = Omit<ActivityFilter, 'after'> & { cursor?: string };

const line = view({
  id: uuid,
  at: isoInstant,
  actor: view({ user_id: uuid, roles: Joi.array().items(Joi.string().valid(...ROLES)) }),
  service: Joi.string(),
  action: Joi.string(),
  entity: view({ type: Joi.string(), id: Joi.string() }),
  request_id: Joi.string(),
  /** Empty where a job did it. */
  ip: Joi.string().allow(''),
  outcome: Joi.string(),
  before: Joi.any().optional(),
  after: Joi.any().optional(),
  expire_at: isoInstant,
  pending: Joi.boolean().valid(true).optional(),
});

export const createActivityLogRoutes = ({ activity }: { activity: ActivityLog }): Route[] => [
  defineRoute<Record<string, never>, ListQuery>({
    method: 'GET',
    path: '/activity-logs',
    service: 'report',
    summary: 'Who changed what, newest first, pending lines included',
    mode: 'R',
    access: { capability: 'audit_log', verb: 'r' },
    query: Joi.object<ListQuery>({
      actor: uuid,
      entity: Joi.string().max(200),
      action: Joi.string().max(100),
      from: isoInstant,
      limit: pageLimit,
      cursor,
    }),
    response: Joi.array().items(line),
    async handle({ query: { cursor: position, ...filter } }) {
      const after = decodeInstantCursor(position);
      const { lines, next, degraded } = await activity.list({ ...filter, ...(after ? { after } : {}) });
      return ok(lines, {
        next_cursor: next ? encodeCursor(next) : null,
        ...(degraded.length > 0 ? { degraded } : {}),
      });
    },
  }),
];
