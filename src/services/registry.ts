import type { Knex } from 'knex';
import type { Db } from 'mongodb';
import { IMPORTS } from '../../queues/imports.queue.ts';
import type { Engine } from '../engine.ts';
import type { Clock } from '../lib/clock.ts';
import type { EntityDefinition } from '../lib/entity.ts';
import type { Log } from '../lib/log.ts';
import type { Route } from '../lib/route.ts';
import type { ObjectStore } from '../stores/objects/object-store.ts';
import { activityLogEntity } from './activity-log/activity-log.entity.ts';
import { createActivityLogRoutes } from './activity-log/activity-log.routes.ts';
import { ActivityLog } from './activity-log/activity-log.ts';
import { attendanceEntity } from './attendance/attendance.entity.ts';
import { createAttendanceRoutes } from './attendance/attendance.routes.ts';
import { AttendanceMarks } from './attendance/attendance-marks.ts';
import { AttendanceReports } from './attendance/attendance-reports.ts';
import { AttendanceStore } from './attendance/attendance-store.ts';
import { storeSheets, storeSheetsOf } from './attendance/pending-sheets.ts';
import { SheetService } from './attendance/sheet-service.ts';
import type { AuthStore } from './auth/auth-store.ts';
import { homeworkEntity } from './homework/homework.entity.ts';
import { createHomeworkRoutes } from './homework/homework.routes.ts';
import { HomeworkFiles } from './homework/homework-files.ts';
import { HomeworkService } from './homework/homework-service.ts';
import { HomeworkStore } from './homework/homework-store.ts';
import { homeworkSubmissionEntity } from './homework/homework-submission.entity.ts';
import { storeHomeworkOf } from './homework/pending-homework.ts';
import { SubmissionService } from './homework/submission-service.ts';
import { ImportService } from './imports/import-service.ts';
import { createImportRoutes } from './imports/imports.routes.ts';
import { createStudentImport, studentColumnOf } from './imports/student-import.ts';
import { createUserImport, userColumnOf } from './imports/user-import.ts';
import { createOperationsRoutes } from './operations/operations.routes.ts';
import { OperationsService } from './operations/operations-service.ts';
import { profileEntity } from './profile/profile.entity.ts';
import { createProfileRoutes } from './profile/profile.routes.ts';
import { ProfileService } from './profile/profile-service.ts';
import { ClassService } from './school/class-service.ts';
import { ClassSubjectService } from './school/class-subject-service.ts';
import { createClassRoutes } from './school/classes.routes.ts';
import { EnrolmentService } from './school/enrolment-service.ts';
import { FileService } from './school/file-service.ts';
import { FileStore } from './school/file-store.ts';
import { createFileRoutes } from './school/files.routes.ts';
import { Files } from './school/files.ts';
import { GuardianService } from './school/guardian-service.ts';
import type { School } from './school/school.ts';
import { SchoolCaches } from './school/school-caches.ts';
import { createStructureRoutes } from './school/structure.routes.ts';
import { StudentService } from './school/student-service.ts';
import { StudentStore } from './school/student-store.ts';
import { createStudentRoutes } from './school/students.routes.ts';
import { SubstitutionService } from './school/substitution-service.ts';
import { TimetableService } from './school/timetable-service.ts';
import { YearService } from './school/year-service.ts';
import { WriteThrough } from './write-through.ts';

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
  objects: ObjectStore;
  clock: Clock;
  log: Log;
}

/** Builds the services and gathers their routes, and what they do for jobs. */
export function createServices({ engine, knex, db, school, authStore, objects, clock, log }: ServiceDeps) {
  const { buffer, writer, reader, cache } = engine;
  const activity = new ActivityLog({ buffer, writer, db });
  const writes = new WriteThrough({ knex, activity });
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
  const caches = new SchoolCaches({ knex, school, cache: engine.keptCache });
  const years = new YearService({
    writes,
    knex,
    caches,
    flushSheets: (from, to) => storeSheets(engine, from, to),
  });
  const classes = new ClassService({ writes, knex, school, caches });
  const subjects = new ClassSubjectService({
    writes,
    knex,
    caches,
    storeWork: async (classId, ids) => {
      await Promise.all([storeHomeworkOf(engine, ids), storeSheetsOf(engine, classId)]);
    },
  });
  const timetables = new TimetableService({ writes, knex, caches });
  const substitutions = new SubstitutionService({ writes, school, caches });
  const studentStore = new StudentStore(knex);
  const enrolment = new EnrolmentService({ writes, store: studentStore, caches, obligations: [], log });
  const guardians = new GuardianService({ writes, store: studentStore, caches });
  const students = new StudentService({ writes, store: studentStore, school, caches, enrolment, guardians, files });
  const homeworkFiles = new HomeworkFiles({ buffer, store: homeworkStore, homework, submissions });
  const fileService = new FileService({
    writes,
    store: new FileStore(knex),
    objects,
    readers: {
      homework: (viewer, fileId) => homeworkFiles.mayReadGiven(viewer, fileId),
      submission: (viewer, fileId) => homeworkFiles.mayReadHandedIn(viewer, fileId),
      // Pictures of people stand beside their names, which everybody here sees.
      avatar: async () => true,
    },
  });
  const imports = new ImportService({
    queue: engine.queues[IMPORTS],
    files: fileService,
    activity,
    targets: {
      users: { rows: createUserImport({ knex, writes }), columnOf: userColumnOf },
      students: { rows: createStudentImport({ knex, school, students }), columnOf: studentColumnOf },
    },
    clock,
  });
  const operations = new OperationsService({ engine, activity });
  return {
    routes: [
      ...createProfileRoutes({ profiles }),
      ...createStructureRoutes({ school, years, classes }),
      ...createClassRoutes({ school, classes, subjects, timetables, substitutions }),
      ...createFileRoutes({ files: fileService }),
      ...createImportRoutes({ imports }),
      ...createStudentRoutes({ students, enrolment, guardians }),
      ...createHomeworkRoutes({ homework, submissions }),
      ...createAttendanceRoutes({ sheets, reports }),
      ...createActivityLogRoutes({ activity }),
      ...createOperationsRoutes({ operations }),
    ] satisfies Route[],
    jobs: {
      runImport: imports.run.bind(imports),
    },
  };
}
