import type { Knex } from 'knex';
import type { Engine } from '../../engine.ts';
import type { EventConsumer } from '../../lib/events.ts';
import type { Route } from '../../lib/route.ts';
import type { ScheduledTask } from '../../lib/scheduled-task.ts';
import type { NotificationService } from '../notifications/notification-service.ts';
import type { School } from '../school/school.ts';
import type { WriteThrough } from '../write-through.ts';
import { AnnouncementService } from './announcement-service.ts';
import { AnnouncementStore } from './announcement-store.ts';
import { createAnnouncementConsumer, createAnnouncementTopic } from './announcements.events.ts';
import { createAnnouncementRoutes } from './announcements.routes.ts';

export interface AnnouncementsDeps {
  engine: Engine;
  knex: Knex;
  school: School;
  writes: WriteThrough;
  notifications: NotificationService;
}

const MINUTE_MS = 60_000;

/** Puts announcements together. */
export function createAnnouncements({ engine, knex, school, writes, notifications }: AnnouncementsDeps): {
  routes: Route[];
  consumers: EventConsumer[];
  tasks: ScheduledTask[];
} {
  const store = new AnnouncementStore(knex);
  const announcements = new AnnouncementService({ knex, store, writes });
  notifications.addTopics([createAnnouncementTopic({ knex, store, school })]);
  return {
    routes: createAnnouncementRoutes({ announcements }),
    consumers: [createAnnouncementConsumer({ notifications, audienceNews: engine.audienceNews })],
    tasks: [
      {
        name: 'announcements.publish',
        service: 'dashboard',
        schedule: { everyMs: MINUTE_MS },
        run: async ({ now }) => ({ told: await announcements.publishDue(now) }),
      },
    ],
  };
}
