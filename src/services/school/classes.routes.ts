import Joi from 'joi';
import { idParams, schoolDate, uuid } from '../../lib/joi.ts';
import { inReach, reaches, type Within } from '../../lib/reach.ts';
import { created, defineRoute, ok, type Route, stored } from '../../lib/route.ts';
import {
  classChanges,
  classSubjectsBody,
  classSubjectView,
  classView,
  newClassBody,
  rosterView,
  slotView,
  substitutionBody,
  substitutionView,
  timetableBody,
} from './class-schemas.ts';
import type { ClassFields, ClassRow, ClassService, NewClass } from './class-service.ts';
import type { ClassSubjectRow, ClassSubjectService, WantedSubject } from './class-subject-service.ts';
import type { School } from './school.ts';
import type { NewSubstitution, SubstitutionService } from './substitution-service.ts';
import type { Slot, SlotView, TimetableService } from './timetable-service.ts';

const SERVICE = 'auth';
const LIST = '/api/v1/classes';
const read = { capability: 'structure', verb: 'r' } as const;
const write = { capability: 'structure', verb: 'w' } as const;
type Id = { id: string };
type None = Record<string, never>;

const classSeen: Within<Id> = { rows: 'classes', id: ({ params }) => params.id };

export interface ClassRoutesDeps {
  school: School;
  classes: ClassService;
  subjects: ClassSubjectService;
  timetables: TimetableService;
  substitutions: SubstitutionService;
}

const toClass = (row: ClassRow) => ({
  id: row.id,
  academic_year_id: row.academic_year_id,
  grade: row.grade,
  section: row.section,
  name: row.name,
  capacity: row.capacity,
  homeroom_staff_id: row.homeroom_staff_id,
  room: row.room,
  version: row.version,
});
const toSubject = ({ id, subject_id, subject, staff_id, staff, weights, version }: ClassSubjectRow) => ({
  id,
  subject_id,
  subject,
  staff_id,
  staff,
  weights,
  version,
});
const toSlot = ({ weekday, period_no, class_subject_id, starts_at, ends_at, subject, staff_id }: SlotView) => ({
  weekday,
  period_no,
  class_subject_id,
  starts_at,
  ends_at,
  subject,
  staff_id,
});

export const createClassRoutes = ({
  school,
  classes,
  subjects,
  timetables,
  substitutions,
}: ClassRoutesDeps): Route[] => {
  return [
    defineRoute<None, { academic_year_id?: string }>({
      method: 'GET',
      path: '/classes',
      service: SERVICE,
      summary: "Classes of a year in the caller's reach; of the current one unless told",
      mode: 'R',
      access: read,
      query: Joi.object<{ academic_year_id?: string }>({ academic_year_id: uuid }),
      response: Joi.array().items(classView),
      async handle(context) {
        const reach = await context.reach();
        const rows = await classes.list(context.query.academic_year_id);
        return ok(inReach(reach, 'classes', rows, ({ id }) => id).map(toClass));
      },
    }),
    defineRoute<Id>({
      method: 'GET',
      path: '/classes/:id',
      service: SERVICE,
      summary: 'One class',
      mode: 'R',
      access: read,
      within: classSeen,
      params: idParams,
      response: classView,
      async handle(context) {
        const row = await classes.get(context.params.id);
        return ok(toClass(row), {}, { etag: row.version });
      },
    }),
    defineRoute<None, None, NewClass>({
      method: 'POST',
      path: '/classes',
      service: SERVICE,
      summary: 'Add a class to a year',
      mode: 'T',
      access: write,
      body: newClassBody,
      response: classView,
      errors: ['TAKEN'],
      async handle(context) {
        const row = await classes.create(context, context.body);
        return created(toClass(row), { version: row.version, location: `${LIST}/${row.id}` });
      },
    }),
    defineRoute<Id, None, Partial<ClassFields>>({
      method: 'PATCH',
      path: '/classes/:id',
      service: SERVICE,
      summary: 'Change a class, its seats or its homeroom teacher',
      mode: 'T',
      access: write,
      params: idParams,
      body: classChanges,
      response: classView,
      errors: ['TAKEN', 'HAS_DATA', 'VERSION_CONFLICT'],
      async handle(context) {
        const row = await classes.update(context, context.params.id, context.body, context.ifMatch);
        return stored(toClass(row), { version: row.version });
      },
    }),
    defineRoute<Id>({
      method: 'GET',
      path: '/classes/:id/subjects',
      service: SERVICE,
      summary: 'What is taught in a class, and by whom',
      mode: 'R',
      access: read,
      within: classSeen,
      params: idParams,
      response: Joi.array().items(classSubjectView),
      async handle(context) {
        const { version } = await classes.get(context.params.id);
        return ok((await subjects.list(context.params.id)).map(toSubject), {}, { etag: version });
      },
    }),
    defineRoute<Id, None, { subjects: WantedSubject[] }>({
      method: 'PUT',
      path: '/classes/:id/subjects',
      service: SERVICE,
      summary: 'Replace what is taught in a class, and by whom',
      mode: 'T',
      access: write,
      params: idParams,
      body: classSubjectsBody,
      response: Joi.array().items(classSubjectView),
      errors: ['HAS_DATA', 'TEACHER_CLASH', 'VERSION_CONFLICT'],
      async handle(context) {
        const { params, body, ifMatch } = context;
        const { subjects: rows, version } = await subjects.replace(context, params.id, body.subjects, ifMatch);
        return stored(rows.map(toSubject), { version });
      },
    }),
    defineRoute<Id>({
      method: 'GET',
      path: '/classes/:id/timetable',
      service: SERVICE,
      summary: 'The week of a class',
      mode: 'R',
      access: read,
      within: classSeen,
      params: idParams,
      response: Joi.array().items(slotView),
      async handle(context) {
        const { slots, version } = await timetables.get(context.params.id);
        return ok(slots.map(toSlot), {}, { etag: version });
      },
    }),
    defineRoute<Id, None, { slots: Slot[] }>({
      method: 'PUT',
      path: '/classes/:id/timetable',
      service: SERVICE,
      summary: 'Replace the week of a class; a teacher has one lesson at a time',
      mode: 'T',
      access: write,
      params: idParams,
      body: timetableBody,
      response: Joi.array().items(slotView),
      errors: ['TEACHER_CLASH', 'VERSION_CONFLICT'],
      async handle(context) {
        const { params, body, ifMatch } = context;
        const { slots, version } = await timetables.replace(context, params.id, body.slots, ifMatch);
        return stored(slots.map(toSlot), { version });
      },
    }),
    defineRoute<Id, None, NewSubstitution>({
      method: 'POST',
      path: '/classes/:id/substitutions',
      service: SERVICE,
      summary: 'Have a teacher stand in for another for a day',
      mode: 'T',
      access: write,
      params: idParams,
      body: substitutionBody,
      response: substitutionView,
      errors: ['TAKEN', 'RULE_BROKEN'],
      async handle(context) {
        const row = await substitutions.create(context, context.params.id, context.body);
        return created(row, { location: `${LIST}/${row.class_id}` });
      },
    }),
    defineRoute<Id, { on?: string }>({
      method: 'GET',
      path: '/classes/:id/students',
      service: SERVICE,
      summary: 'Students of a class on a date',
      mode: 'R',
      access: { capability: 'students', verb: 'r' },
      within: classSeen,
      params: idParams,
      query: Joi.object<{ on?: string }>({ on: schoolDate }),
      response: rosterView,
      async handle(context) {
        const { params, query } = context;
        const reach = await context.reach();
        await school.requireClass(params.id);
        const on = query.on ?? (await school.today());
        // Families see their own rows of the class.
        const isLed = reaches(reach, 'ledClasses', params.id);
        const whole = await school.roster(params.id, on);
        const roster = isLed ? whole : inReach(reach, 'students', whole, ({ studentId }) => studentId);
        return ok(
          roster.map(({ studentId, fullName, rollNo }) => ({
            student_id: studentId,
            full_name: fullName,
            roll_no: rollNo,
          })),
        );
      },
    }),
  ];
};
