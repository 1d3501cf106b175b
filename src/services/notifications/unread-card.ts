import Joi from 'joi';
import type { LiveCardDefinition } from '../../lib/cards.ts';
import type { NotificationService } from './notification-service.ts';

/** How much whoever looks has not read yet (DB1): on a child's dashboard it is the parent's own count. */
export const createUnreadCard = ({
  notifications,
}: {
  notifications: NotificationService;
}): LiveCardDefinition<'student'> => ({
  name: 'unread',
  dashboard: 'student',
  schema: Joi.object({ count: Joi.number().integer().min(0).required() }),
  isLive: true,
  async load({ viewerId }) {
    return { count: await notifications.unread(viewerId) };
  },
});
