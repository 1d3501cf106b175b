import type { Db } from 'mongodb';
import type { EntityDefinition } from '../lib/entity.ts';
import type { EventConsumer } from '../lib/events.ts';
import type { RowScopes } from '../lib/reach.ts';
import type { Route } from '../lib/route.ts';
import type { ScheduledTask } from '../lib/scheduled-task.ts';
import { activityLogEntity } from './activity-log/activity-log.entity.ts';
import { createActivityLogRoutes } from './activity-log/activity-log.routes.ts';
import type { ActivityLog } from './activity-log/activity-log.ts';
import { createAnnouncements } from './announcements/announcements.ts';
import { attendanceEntity } from './attendance/attendance.entity.ts';
import { createAttendanceRoutes } from './attendance/attendance.routes.ts';
import { createAttendanceCards } from './attendance/attendance-cards.ts';
import { AttendanceMarks } from './attendance/attendance-marks.ts';
import { AttendanceReports } from './attendance/attendance-reports.ts';
import { AttendanceStore } from './attendance/attendance-store.ts';
import { SheetService } from './attendance/sheet-service.ts';
import { createRowScopes } from './auth/row-scopes.ts';
import { createCalendar } from './calendar/calendar.ts';
import { eventRsvpEntity } from './calendar/event-rsvp.entity.ts';
import { createDashboard, type Dashboard } from './dashboard/index.ts';
import { homeworkEntity } from './homework/homework.entity.ts';
import { createHomeworkRoutes } from './homework/homework.routes.ts';
import { createHomeworkCards } from './homework/homework-cards.ts';
import { HomeworkFiles } from './homework/homework-files.ts';
import { HomeworkService } from './homework/homework-service.ts';
import { HomeworkStore } from './homework/homework-store.ts';
import { homeworkSubmissionEntity } from './homework/homework-submission.entity.ts';
import { SubmissionService } from './homework/submission-service.ts';
import { notificationEntity, notificationReadEntity } from './notifications/notification.entity.ts';
import type { NotificationService } from './notifications/notification-service.ts';
import { createNotifications } from './notifications/notifications.ts';
import { createFlushCard } from './operations/flush-card.ts';
import { createOperationsRoutes } from './operations/operations.routes.ts';
import { OperationsService } from './operations/operations-service.ts';
import { createStallCheck } from './operations/stall-check.ts';
import { createPlatformTasks } from './platform.tasks.ts';
import { profileEntity } from './profile/profile.entity.ts';
import { createProfileRoutes } from './profile/profile.routes.ts';
import { ProfileService } from './profile/profile-service.ts';
import { Departures } from './school/departures.ts';
import { Files } from './school/files.ts';
import { createSchoolCore, type SchoolCoreDeps } from './school/school-core.ts';
import type { OpenStreams } from './stream/open-streams.ts';
import { createStreamRoutes } from './stream/stream.routes.ts';
import { type AccountDeps, createAccounts } from './users/accounts.ts';
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

export type ServiceDeps = Omit<AccountDeps, 'writes'> &
  Pick<SchoolCoreDeps, 'objects'> & {
    db: Db;
    activity: ActivityLog;
    streams: OpenStreams;
  };

export interface Services {
  routes: Route[];
  consumers: EventConsumer[];
  tasks: ScheduledTask[];
  /** What jobs of queues ask services to do. */
  jobs: { runImport: ReturnType<typeof createSchoolCore>['runImport'] };
  notifications: NotificationService;
  dashboard: Dashboard;
  /** Which rows scopes reach. */
  rowScopes: RowScopes;
  departures: Departures;
}

/** Builds the services and gathers their routes, what they do about events, by the clock, and for jobs. */
export function createServices(deps: ServiceDeps): Services {
  const { engine, knex, activity, school, authStore, streams, secrets } = deps;
  const { buffer, writer, reader, cache } = engine;
  const writes = new WriteThrough({ knex, activity });
  const files = new Files(knex);
  // A service whose rows a scope covers, and a login's own scopes do not name, adds its source: routes for R.
  const rowScopes = createRowScopes({ school, sources: [] });

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
  const homeworkFiles = new HomeworkFiles({ buffer, store: homeworkStore, homework, submissions });
  const sheets = new SheetService({ buffer, writer, reader, school, activity });
  const attendanceStore = new AttendanceStore(knex);
  const marks = new AttendanceMarks({ buffer, cache, store: attendanceStore });
  const profiles = new ProfileService({ buffer, writer, cache, store: authStore, activity, files, school });

  const accounts = createAccounts({ ...deps, writes });
  const calendar = createCalendar({
    engine,
    knex,
    school,
    authStore,
    activity,
    writeThrough: writes,
    secrets,
    rowScopes,
  });
  const departures = new Departures(deps.log);
  const core = createSchoolCore({
    ...deps,
    users: accounts.users,
    departures,
    files,
    days: calendar.days,
    readers: {
      homework: (viewer, fileId) => homeworkFiles.mayReadGiven(viewer, fileId),
      submission: (viewer, fileId) => homeworkFiles.mayReadHandedIn(viewer, fileId),
    },
    activity,
    writes,
  });
  const told = createNotifications({ ...deps, homework, submissions, sheets, activity });
  const announcements = createAnnouncements({ ...deps, writes, notifications: told.notifications });
  const dashboard = createDashboard({
    ...deps,
    writes,
    cards: [
      ...createAttendanceCards({ marks, school }),
      ...createHomeworkCards({ buffer, cache, reader, store: homeworkStore, school }),
      createFlushCard({ buffer }),
      ...core.cards,
      ...calendar.cards,
      ...told.cards,
    ],
    sources: { attendance: attendanceStore, homework: homeworkStore, submissions },
  });
  return {
    routes: [
      ...accounts.routes,
      ...createProfileRoutes({ profiles, users: accounts.users }),
      ...core.routes,
      ...createHomeworkRoutes({ homework, submissions }),
      ...createAttendanceRoutes({ sheets, reports: new AttendanceReports({ marks, school }) }),
      ...calendar.routes,
      ...createActivityLogRoutes({ activity }),
      ...createOperationsRoutes({
        operations: new OperationsService({ engine, activity }),
        entities: entities.map(({ name }) => name),
      }),
      ...told.routes,
      ...dashboard.routes,
      ...announcements.routes,
      ...createStreamRoutes({ streams, rowScopes }),
    ],
    consumers: [
      ...accounts.consumers,
      ...core.consumers,
      ...told.consumers,
      ...announcements.consumers,
      ...dashboard.consumers,
      ...calendar.consumers,
    ],
    tasks: [
      ...createPlatformTasks({ knex, activity }),
      createStallCheck({ engine, school, prepare: () => told.admins().catch(() => {}) }),
      ...accounts.tasks,
      ...core.tasks,
      ...told.tasks,
      ...announcements.tasks,
      ...dashboard.tasks,
    ],
    dashboard,
    rowScopes,
    departures,
    jobs: { runImport: core.runImport },
    notifications: told.notifications,
  };
}
