import Joi from 'joi';
import { decodeInstantCursor, encodeCursor } from '../../lib/cursor.ts';
import { cursor, isoInstant, pageLimit, uuid, view } from '../../lib/joi.ts';
import { defineRoute, ok, type Route, written } from '../../lib/route.ts';
import { SEVERITIES } from './notification.entity.ts';
import type { NotificationService } from './notification-service.ts';
import type { StoredNotification } from './notification-store.ts';

interface ListQuery {
  unread?: boolean;
  limit: number;
  cursor?: string;
}

interface ReadBody {
  ids?: string[];
  all?: true;
}

const MOST_IDS = 100;

const viewOf = ({ id, topic, title, body, data, severity, created_at, read_at }: StoredNotification) => ({
  id,
  topic,
  title,
  body,
  data,
  severity,
  created_at,
  read_at,
});

const notification = view({
  id: uuid,
  topic: Joi.string(),
  title: Joi.string(),
  body: Joi.string().allow(''),
  data: Joi.object().pattern(Joi.string(), Joi.string()),
  severity: Joi.string().valid(...SEVERITIES),
  created_at: isoInstant,
  read_at: isoInstant.allow(null),
});

export const createNotificationRoutes = ({ notifications }: { notifications: NotificationService }): Route[] => [
  defineRoute<Record<string, never>, ListQuery>({
    method: 'GET',
    path: '/notifications',
    service: 'dashboard',
    summary: 'What the caller was told, newest first; `meta.unread` counts what is not read',
    mode: 'R',
    access: 'authenticated',
    query: Joi.object<ListQuery>({ unread: Joi.boolean(), limit: pageLimit, cursor }),
    response: Joi.array().items(notification),
    meta: { unread: Joi.number().integer().min(0).allow(null) },
    async handle(context) {
      const { cursor: position, limit, unread } = context.query;
      const after = decodeInstantCursor(position);
      const page = await notifications.list(context, {
        limit,
        ...(unread === undefined ? {} : { unread }),
        ...(after ? { after } : {}),
      });
      const isDegraded = page.degraded.length > 0;
      return ok(page.items.map(viewOf), {
        next_cursor: page.next ? encodeCursor(page.next) : null,
        unread: isDegraded ? null : await notifications.unread(context.actor.userId),
        ...(isDegraded ? { degraded: page.degraded } : {}),
      });
    },
  }),
  defineRoute<Record<string, never>, Record<string, never>, ReadBody>({
    method: 'POST',
    path: '/notifications/read',
    service: 'dashboard',
    summary: 'Mark notifications as read, those named or all',
    mode: 'B',
    access: 'authenticated',
    body: Joi.object<ReadBody>({
      ids: Joi.array().items(uuid).min(1).max(MOST_IDS).unique(),
      all: Joi.boolean().valid(true),
    }).xor('ids', 'all'),
    entity: 'notification_read',
    success: [202, 200],
    response: view({ read: Joi.array().items(uuid) }),
    async handle(context) {
      const { read, receipts } = await notifications.read(context, context.body.ids);
      return written({ read }, receipts);
    },
  }),
];
