import type { Knex } from 'knex';
import type { Db } from 'mongodb';
import type { Engine } from '../engine.ts';
import type { Background } from '../lib/background.ts';
import type { Clock } from '../lib/clock.ts';
import type { EntityDefinition } from '../lib/entity.ts';
import type { EventConsumer } from '../lib/events.ts';
import type { Log } from '../lib/log.ts';
import type { Route } from '../lib/route.ts';
import type { Mailer } from '../stores/mail/mailer.ts';
import { activityLogEntity } from './activity-log/activity-log.entity.ts';
import { createActivityLogRoutes } from './activity-log/activity-log.routes.ts';
import { ActivityLog } from './activity-log/activity-log.ts';
import { attendanceEntity } from './attendance/attendance.entity.ts';
import { createAttendanceRoutes } from './attendance/attendance.routes.ts';
import { AttendanceMarks } from './attendance/attendance-marks.ts';
import { AttendanceReports } from './attendance/attendance-reports.ts';
import { AttendanceStore } from './attendance/attendance-store.ts';
import { SheetService } from './attendance/sheet-service.ts';
import { createAccountRoutes } from './auth/account.routes.ts';
import { AccountMails } from './auth/account-mails.ts';
import { AccountTokens } from './auth/account-tokens.ts';
import type { AuthStore } from './auth/auth-store.ts';
import type { LoginGuard } from './auth/login-guard.ts';
import { PasswordService } from './auth/password-service.ts';
import { SessionService } from './auth/session-service.ts';
import type { SessionStore } from './auth/session-store.ts';
import type { Sessions } from './auth/sessions.ts';
import type { Tokens } from './auth/tokens.ts';
import { createCalendar } from './calendar/calendar.ts';
import { eventRsvpEntity } from './calendar/event-rsvp.entity.ts';
import { homeworkEntity } from './homework/homework.entity.ts';
import { createHomeworkRoutes } from './homework/homework.routes.ts';
import { HomeworkService } from './homework/homework-service.ts';
import { HomeworkStore } from './homework/homework-store.ts';
import { homeworkSubmissionEntity } from './homework/homework-submission.entity.ts';
import { SubmissionService } from './homework/submission-service.ts';
import { notificationEntity, notificationReadEntity } from './notifications/notification.entity.ts';
import { createNotificationConsumers } from './notifications/notification-consumers.ts';
import { NotificationService } from './notifications/notification-service.ts';
import { NotificationStore } from './notifications/notification-store.ts';
import { createTopics } from './notifications/notification-topics.ts';
import { createNotificationRoutes } from './notifications/notifications.routes.ts';
import { createOperationsRoutes } from './operations/operations.routes.ts';
import { OperationsService } from './operations/operations-service.ts';
import { profileEntity } from './profile/profile.entity.ts';
import { createProfileRoutes } from './profile/profile.routes.ts';
import { ProfileService } from './profile/profile-service.ts';
import { Files } from './school/files.ts';
import { createSchoolRoutes } from './school/school.routes.ts';
import type { School } from './school/school.ts';
import type { OpenStreams } from './stream/open-streams.ts';
import { createStreamRoutes } from './stream/stream.routes.ts';
import { AccessService } from './users/access-service.ts';
import { CredentialService } from './users/credential-service.ts';
import { UserService } from './users/user-service.ts';
import { UserStore } from './users/user-store.ts';
import { createUserRoutes } from './users/users.routes.ts';
import { WriteThrough } from './write-through.ts';

/** Every buffered entity of the school; the engine is handed this list and imports no service. */
export const entities: readonly EntityDefinition[] = [
  homeworkEntity,
  homeworkSubmissionEntity,
  attendanceEntity,
  activityLogEntity,
  profileEntity,
  eventRsvpEntity,
  notificationEntity,
  notificationReadEntity,
];

export interface ServiceDeps {
  engine: Engine;
  knex: Knex;
  db: Db;
  school: School;
  authStore: AuthStore;
  streams: OpenStreams;
  logins: SessionStore;
  sessions: Sessions;
  tokens: Tokens;
  guard: LoginGuard;
  mailer: Mailer;
  /** Address of the web application. */
  appUrl: string;
  background: Background;
  clock: Clock;
  log: Log;
  /** Secrets that sign tokens, the newest first. */
  secrets: readonly Uint8Array[];
}

/** Builds the services and gathers their routes, and what they do about events. */
export function createServices(deps: ServiceDeps): {
  routes: Route[];
  consumers: EventConsumer[];
  notifications: NotificationService;
} {
  const { engine, knex, db, school, authStore, streams, mailer, clock, secrets } = deps;
  const { buffer, writer, reader, cache } = engine;
  const activity = new ActivityLog({ buffer, writer, db });
  const files = new Files(knex);
  const homeworkStore = new HomeworkStore({ knex, cache });
  const homework = new HomeworkService({ buffer, writer, reader, store: homeworkStore, school, files, activity });
  const submissions = new SubmissionService({
    writer,
    reader,
    store: homeworkStore,
    homework,
    school,
    files,
    activity,
  });
  const sheets = new SheetService({ buffer, writer, reader, school, activity });
  const marks = new AttendanceMarks({ buffer, cache, store: new AttendanceStore(knex) });
  const reports = new AttendanceReports({ marks, school });
  const profiles = new ProfileService({ buffer, writer, cache, store: authStore, activity, files });
  const writeThrough = new WriteThrough({ knex, activity });
  const calendar = createCalendar({ engine, knex, school, authStore, activity, writeThrough, secrets });
  const operations = new OperationsService({ engine, activity });
  const notificationStore = new NotificationStore({ buffer, db });
  const notifications = new NotificationService({
    writer,
    cache,
    queue: engine.queues.notifications,
    userStreams: engine.userStreams,
    store: notificationStore,
    contacts: authStore,
    school,
    mailer,
    activity,
    clock,
  }).addTopics(createTopics({ school, homework, submissions, sheets, store: notificationStore, clock }));
  const accounts = createAccounts(deps, writeThrough);
  return {
    notifications,
    consumers: createNotificationConsumers({ notifications, school, clock }),
    routes: [
      ...createAccountRoutes(accounts),
      ...createUserRoutes(accounts),
      ...createProfileRoutes({ profiles, users: accounts.users }),
      ...createSchoolRoutes({ school }),
      ...createHomeworkRoutes({ homework, submissions }),
      ...createAttendanceRoutes({ sheets, reports }),
      ...calendar.routes,
      ...createActivityLogRoutes({ activity }),
      ...createOperationsRoutes({ operations }),
      ...createNotificationRoutes({ notifications }),
      ...createStreamRoutes({ streams }),
    ],
  };
}

/** What changes accounts, by whoever. */
function createAccounts(deps: ServiceDeps, through: WriteThrough) {
  const { engine, knex, school, authStore, logins, sessions, tokens, guard, mailer, appUrl, background, log } = deps;
  const store = new UserStore(knex);
  const accountTokens = new AccountTokens(knex);
  const mails = new AccountMails({ mailer, appUrl });
  const shared = { store, logins, accountTokens, sessions, mails, through, background };
  const credentials = new CredentialService({ users: store, logins, accountTokens, mails, log });
  return {
    sessions: new SessionService({ store: logins, sessions, through }),
    passwords: new PasswordService({ ...shared, store: authStore, guard, tokens }),
    users: new UserService({ ...shared, credentials, barrier: engine.barrier, school }),
    access: new AccessService(shared),
  };
}
