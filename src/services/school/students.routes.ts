import Joi from 'joi';
import { decodeCursor, encodeCursor } from '../../lib/cursor.ts';
import { cursor, idParams, line, pageLimit, schoolDate, uuid } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { created, defineRoute, ok, type Route, stored } from '../../lib/route.ts';
import type { EnrolmentService } from './enrolment-service.ts';
import type { GuardianService, WantedGuardian } from './guardian-service.ts';
import {
  enrolmentAnswer,
  guardianList,
  guardianView,
  leavingView,
  newStudentBody,
  studentChanges,
  studentDetail,
  studentListView,
  studentView,
  toDetail,
  toEnrolment,
  toGuardian,
  toStudent,
} from './student-schemas.ts';
import type { NewStudent, StudentFields, StudentService } from './student-service.ts';

const SERVICE = 'auth';
const LIST = '/api/v1/students';
const read = { capability: 'students', verb: 'r' } as const;
const write = { capability: 'students', verb: 'w' } as const;

interface ListQuery {
  q?: string;
  class_id?: string;
  status?: string;
  limit: number;
  cursor?: string;
}

type Id = { id: string };

export const createStudentRoutes = ({
  students,
  enrolment,
  guardians,
}: {
  students: StudentService;
  enrolment: EnrolmentService;
  guardians: GuardianService;
}): Route[] => [
  defineRoute<Record<string, never>, ListQuery>({
    method: 'GET',
    path: '/students',
    service: SERVICE,
    summary: "Students in the caller's reach, by name",
    mode: 'R',
    access: read,
    query: Joi.object<ListQuery>({
      q: line(LIMITS.students.full_name),
      class_id: uuid,
      status: Joi.string().valid('active', 'left', 'alumni'),
      limit: pageLimit,
      cursor,
    }),
    response: studentListView,
    async handle(context) {
      const { cursor: from, ...filter } = context.query;
      const after = decodeCursor(from);
      const { items, next } = await students.list(context, { ...filter, ...(after ? { after } : {}) });
      return ok(items.map(toStudent), { next_cursor: next ? encodeCursor(next) : null });
    },
  }),
  defineRoute<Record<string, never>, Record<string, never>, NewStudent>({
    method: 'POST',
    path: '/students',
    service: SERVICE,
    summary: 'Admit a student, with guardians and a seat in a class',
    mode: 'T',
    access: write,
    body: newStudentBody,
    response: studentDetail,
    errors: ['TAKEN', 'CLASS_FULL', 'RULE_BROKEN', 'FILE_NOT_READY', 'FILE_TYPE'],
    async handle(context) {
      const detail = await students.create(context, context.body);
      const { id, version } = detail.student;
      return created(toDetail(detail), { version, location: `${LIST}/${id}` });
    },
  }),
  defineRoute<Id>({
    method: 'GET',
    path: '/students/:id',
    service: SERVICE,
    summary: 'One student, with guardians and classes',
    mode: 'R',
    access: read,
    params: idParams,
    response: studentView,
    async handle(context) {
      const detail = await students.get(context, context.params.id);
      // Who sees a part of it cannot tell its versions apart.
      return ok(toDetail(detail), {}, detail.sight === 'narrow' ? {} : { etag: detail.student.version });
    },
  }),
  defineRoute<Id, Record<string, never>, Partial<StudentFields>>({
    method: 'PATCH',
    path: '/students/:id',
    service: SERVICE,
    summary: "Change a student's own data",
    mode: 'T',
    access: write,
    params: idParams,
    body: studentChanges,
    response: studentDetail,
    errors: ['TAKEN', 'HAS_DATA', 'VERSION_CONFLICT', 'RULE_BROKEN', 'FILE_NOT_READY', 'FILE_TYPE'],
    async handle(context) {
      const detail = await students.update(context, context.params.id, context.body, context.ifMatch);
      return stored(toDetail(detail), { version: detail.student.version });
    },
  }),
  defineRoute<Id, Record<string, never>, { class_id: string; starts_on: string }>({
    method: 'POST',
    path: '/students/:id/enrollments',
    service: SERVICE,
    summary: 'Put a student into a class from a day on; the class before ends the day before',
    mode: 'T',
    access: write,
    params: idParams,
    body: Joi.object({ class_id: uuid.required(), starts_on: schoolDate.required() }),
    response: enrolmentAnswer,
    errors: ['DATE_OVERLAP', 'CLASS_FULL', 'BAD_STATE', 'RULE_BROKEN', 'VERSION_CONFLICT'],
    async handle(context) {
      const { params, body, ifMatch } = context;
      const wanted = { classId: body.class_id, startsOn: body.starts_on };
      const placed = await enrolment.enrol(context, params.id, wanted, ifMatch);
      return created(toEnrolment(placed.enrolment), { version: placed.version, location: `${LIST}/${params.id}` });
    },
  }),
  defineRoute<Id, Record<string, never>, { left_on: string; reason: string }>({
    method: 'POST',
    path: '/students/:id/leave',
    service: SERVICE,
    summary: 'Let a student leave: membership ends on that day; what is still open is listed',
    mode: 'T',
    access: write,
    params: idParams,
    body: Joi.object({ left_on: schoolDate.required(), reason: line(LIMITS.students.leave_reason).required() }),
    success: [200],
    response: leavingView,
    errors: ['BAD_STATE', 'RULE_BROKEN', 'VERSION_CONFLICT'],
    async handle(context) {
      const { params, body, ifMatch } = context;
      const leaving = { leftOn: body.left_on, reason: body.reason };
      const { student, open } = await enrolment.leave(context, params.id, leaving, ifMatch);
      const data = { ...toStudent({ student, sight: 'staff' }), open_items: open.items };
      const meta = open.degraded.length > 0 ? { degraded: open.degraded } : {};
      return stored(data, { version: student.version, meta });
    },
  }),
  defineRoute<Id, Record<string, never>, { guardians: WantedGuardian[] }>({
    method: 'PUT',
    path: '/students/:id/guardians',
    service: SERVICE,
    summary: "Replace a student's guardians and what each may do",
    mode: 'T',
    access: write,
    params: idParams,
    body: Joi.object({ guardians: guardianList.required() }),
    response: Joi.array().items(guardianView),
    errors: ['VERSION_CONFLICT'],
    async handle(context) {
      const { params, body, ifMatch } = context;
      const { guardians: links, version } = await guardians.replace(context, params.id, body.guardians, ifMatch);
      return stored(links.map(toGuardian), { version });
    },
  }),
];
