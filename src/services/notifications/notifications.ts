import type { Db } from 'mongodb';
import type { Engine } from '../../engine.ts';
import type { AnyCard } from '../../lib/cards.ts';
import type { Clock } from '../../lib/clock.ts';
import type { EventConsumer } from '../../lib/events.ts';
import type { Route } from '../../lib/route.ts';
import { nightlyPurge, type ScheduledTask } from '../../lib/scheduled-task.ts';
import type { Mailer } from '../../stores/mail/mailer.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import type { SheetService } from '../attendance/sheet-service.ts';
import type { AuthStore } from '../auth/auth-store.ts';
import type { HomeworkService } from '../homework/homework-service.ts';
import type { SubmissionService } from '../homework/submission-service.ts';
import type { School } from '../school/school.ts';
import { createNotificationConsumers } from './notification-consumers.ts';
import { NotificationService } from './notification-service.ts';
import { NotificationStore } from './notification-store.ts';
import { createTopics } from './notification-topics.ts';
import { createNotificationRoutes } from './notifications.routes.ts';
import { createPlatformTopics } from './platform-topics.ts';
import { createUnreadCard } from './unread-card.ts';

export interface NotificationDeps {
  engine: Engine;
  db: Db;
  school: School;
  authStore: AuthStore;
  homework: HomeworkService;
  submissions: SubmissionService;
  sheets: SheetService;
  mailer: Mailer;
  activity: ActivityLog;
  clock: Clock;
}

/** Who looks after the platform changes rarely, and must be known while PostgreSQL is away. */
const ADMINS_SECONDS = 60;
const ADMINS_STALE_SECONDS = 7 * 86_400;

/** Puts together what people are told. */
export function createNotifications({ engine, db, authStore, mailer, activity, ...deps }: NotificationDeps): {
  routes: Route[];
  consumers: EventConsumer[];
  cards: AnyCard[];
  tasks: ScheduledTask[];
  notifications: NotificationService;
  /** Active admins, as they are or, while PostgreSQL is away, were. */
  admins: () => Promise<string[]>;
} {
  const { buffer, writer, cache, keptCache, queues, userStreams } = engine;
  const { school, clock } = deps;
  const store = new NotificationStore({ buffer, db });
  const admins = async (): Promise<string[]> => {
    const { value } = await keptCache.get({
      name: 'notifications:admins',
      ttlSeconds: ADMINS_SECONDS,
      staleSeconds: ADMINS_STALE_SECONDS,
      load: () => authStore.activeWithRole('admin'),
    });
    return value;
  };
  const notifications = new NotificationService({
    writer,
    cache,
    queue: queues.notifications,
    userStreams,
    store,
    contacts: authStore,
    school,
    mailer,
    activity,
    clock,
  }).addTopics([...createTopics({ ...deps, store }), ...createPlatformTopics(admins)]);
  return {
    notifications,
    cards: [createUnreadCard({ notifications })],
    admins,
    tasks: [nightlyPurge('dashboard', 'notifications', store)],
    routes: createNotificationRoutes({ notifications }),
    consumers: createNotificationConsumers({ notifications, school, clock }),
  };
}
