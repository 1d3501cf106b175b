import type { Knex } from 'knex';
import type { Db } from 'mongodb';
import type { Engine } from '../engine.ts';
import type { Clock } from '../lib/clock.ts';
import type { EntityDefinition } from '../lib/entity.ts';
import type { Log } from '../lib/log.ts';
import type { Route } from '../lib/route.ts';
import { activityLogEntity } from './activity-log/activity-log.entity.ts';
import { createActivityLogRoutes } from './activity-log/activity-log.routes.ts';
import { ActivityLog } from './activity-log/activity-log.ts';
import { attendanceEntity } from './attendance/attendance.entity.ts';
import { createAttendanceRoutes } from './attendance/attendance.routes.ts';
import { AttendanceMarks } from './attendance/attendance-marks.ts';
import { AttendanceReports } from './attendance/attendance-reports.ts';
import { AttendanceStore } from './attendance/attendance-store.ts';
import { SheetService } from './attendance/sheet-service.ts';
import type { AuthStore } from './auth/auth-store.ts';
import { homeworkEntity } from './homework/homework.entity.ts';
import { createHomeworkRoutes } from './homework/homework.routes.ts';
import { HomeworkService } from './homework/homework-service.ts';
import { HomeworkStore } from './homework/homework-store.ts';
import { homeworkSubmissionEntity } from './homework/homework-submission.entity.ts';
import { SubmissionService } from './homework/submission-service.ts';
import { createOperationsRoutes } from './operations/operations.routes.ts';
import { OperationsService } from './operations/operations-service.ts';
import { profileEntity } from './profile/profile.entity.ts';
import { createProfileRoutes } from './profile/profile.routes.ts';
import { ProfileService } from './profile/profile-service.ts';
import { Files } from './school/files.ts';
import { createSchoolRoutes } from './school/school.routes.ts';
import type { School } from './school/school.ts';

/** Every buffered entity of the school; the engine is handed this list and imports no service. */
export const entities: readonly EntityDefinition[] = [
  homeworkEntity,
  homeworkSubmissionEntity,
  attendanceEntity,
  activityLogEntity,
  profileEntity,
];

export interface ServiceDeps {
  engine: Engine;
  knex: Knex;
  db: Db;
  school: School;
  authStore: AuthStore;
  clock: Clock;
  log: Log;
}

/** Builds the services and gathers their routes. */
export function createServices({ engine, knex, db, school, authStore }: ServiceDeps): { routes: Route[] } {
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
  const operations = new OperationsService({ engine, activity });
  return {
    routes: [
      ...createProfileRoutes({ profiles }),
      ...createSchoolRoutes({ school }),
      ...createHomeworkRoutes({ homework, submissions }),
      ...createAttendanceRoutes({ sheets, reports }),
      ...createActivityLogRoutes({ activity }),
      ...createOperationsRoutes({ operations, entities: entities.map(({ name }) => name) }),
    ],
  };
}
