import type { Knex } from 'knex';
import { IMPORTS } from '../../../queues/imports.queue.ts';
import type { Engine } from '../../engine.ts';
import type { AnyCard } from '../../lib/cards.ts';
import type { Clock } from '../../lib/clock.ts';
import type { EventConsumer } from '../../lib/events.ts';
import type { Log } from '../../lib/log.ts';
import type { Route } from '../../lib/route.ts';
import { nightlyPurge, type ScheduledTask } from '../../lib/scheduled-task.ts';
import type { ObjectStore } from '../../stores/objects/object-store.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import { storeSheets, storeSheetsOf } from '../attendance/pending-sheets.ts';
import type { Sessions } from '../auth/sessions.ts';
import { storeHomeworkOf } from '../homework/pending-homework.ts';
import { ImportService } from '../imports/import-service.ts';
import { createImportRoutes } from '../imports/imports.routes.ts';
import { createStudentImport } from '../imports/student-import.ts';
import { createUserImport } from '../imports/user-import.ts';
import type { UserService } from '../users/user-service.ts';
import type { WriteThrough } from '../write-through.ts';
import { ClassService } from './class-service.ts';
import { ClassSubjectService } from './class-subject-service.ts';
import { createClassRoutes } from './classes.routes.ts';
import type { Departures } from './departures.ts';
import { EnrolmentService } from './enrolment-service.ts';
import { type FileReaders, FileService } from './file-service.ts';
import { FileStore } from './file-store.ts';
import { createFileRoutes } from './files.routes.ts';
import type { Files } from './files.ts';
import { GuardianService } from './guardian-service.ts';
import { createLessonsCard } from './lessons-card.ts';
import { createPhotoReader } from './photos.ts';
import type { School } from './school.ts';
import { SchoolCaches } from './school-caches.ts';
import { createScopeConsumer } from './scope-consumer.ts';
import { createStructureRoutes } from './structure.routes.ts';
import { StudentService } from './student-service.ts';
import { StudentStore } from './student-store.ts';
import { createStudentRoutes } from './students.routes.ts';
import { SubstitutionService } from './substitution-service.ts';
import { TimetableService } from './timetable-service.ts';
import { type YearDays, YearService } from './year-service.ts';

export interface SchoolCoreDeps {
  engine: Engine;
  knex: Knex;
  school: School;
  sessions: Sessions;
  objects: ObjectStore;
  files: Files;
  /** Who else may read a file, by its purpose. */
  readers: FileReaders;
  /** Follows the dates of academic years. */
  days: YearDays;
  activity: ActivityLog;
  writes: WriteThrough;
  users: UserService;
  /** Who takes part when a student leaves. */
  departures: Departures;
  clock: Clock;
  log: Log;
}

/** Puts together years, classes, people, files and imports. */
export function createSchoolCore(deps: SchoolCoreDeps): {
  routes: Route[];
  cards: AnyCard[];
  consumers: EventConsumer[];
  tasks: ScheduledTask[];
  runImport: ImportService['run'];
} {
  const { engine, knex, school, sessions, objects, files, readers, days, activity, writes, users, departures } = deps;
  const { clock, log } = deps;
  const caches = new SchoolCaches({ knex, school, sessions });
  const years = new YearService({
    writes,
    knex,
    caches,
    days,
    flushSheets: (from, to) => storeSheets(engine, from, to),
  });
  const classes = new ClassService({ writes, knex, school, caches });
  const subjects = new ClassSubjectService({
    writes,
    knex,
    school,
    caches,
    storeWork: async (classId, ids) => {
      await Promise.all([storeHomeworkOf(engine, ids), storeSheetsOf(engine, classId)]);
    },
  });
  const timetables = new TimetableService({ writes, knex, caches });
  const substitutions = new SubstitutionService({ writes, school, caches });
  const store = new StudentStore(knex);
  const enrolment = new EnrolmentService({ writes, store, caches, departures });
  const guardians = new GuardianService({ writes, store, caches });
  const students = new StudentService({ writes, store, school, caches, enrolment, guardians, files });
  const fileService = new FileService({
    writes,
    store: new FileStore(knex),
    objects,
    readers: { ...readers, avatar: createPhotoReader({ store, school }) },
  });
  const imports = new ImportService({
    queue: engine.queues[IMPORTS],
    files: fileService,
    activity,
    kinds: {
      users: createUserImport({ users, studentsByAdmissionNo: (numbers) => store.idsByAdmissionNo(numbers) }),
      students: createStudentImport({ students, currentClasses: () => classes.currentNames() }),
    },
    writes,
    clock,
    log,
  });
  return {
    cards: [createLessonsCard({ knex, school })],
    routes: [
      ...createStructureRoutes({ school, years, classes }),
      ...createClassRoutes({ school, classes, subjects, timetables, substitutions }),
      ...createFileRoutes({ files: fileService }),
      ...createImportRoutes({ imports }),
      ...createStudentRoutes({ students, enrolment, guardians }),
    ],
    consumers: [createScopeConsumer({ caches, knex })],
    tasks: [nightlyPurge('auth', 'uploads', fileService)],
    runImport: (...job) => imports.run(...job),
  };
}
