import Joi from 'joi';
import { idParams, schoolDate, uuid } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Within } from '../../lib/reach.ts';
import { defineRoute, ok, type Route, written } from '../../lib/route.ts';
import { STATUSES } from './attendance.entity.ts';
import {
  absenceRuns,
  absentees,
  classesWithoutRoll,
  classSums,
  markedDays,
  sheetView,
  studentSums,
} from './attendance.responses.ts';
import type { AttendanceReports } from './attendance-reports.ts';
import type { EntryInput, SheetService } from './sheet-service.ts';

const SERVICE = 'attendance';
const read = { capability: 'attendance', verb: 'r' } as const;
/** What concerns whole classes: for those who lead or run them. */
const readClasses = { ...read, roles: ['admin', 'principal', 'teacher'] } as const;
/** The homeroom teacher takes the day's roll, those who teach in the class take its periods. */
const sheetsTaken: Within<SheetParams, { period: number }> = {
  rows: ({ query }) => (query.period === 0 ? 'homerooms' : 'taughtClasses'),
  id: ({ params }) => params.id,
};
const studentSeen: Within<{ id: string }> = {
  rows: 'students',
  orMembersOf: 'homerooms',
  id: ({ params }) => params.id,
};

interface SheetParams {
  id: string;
  date: string;
}

interface SheetBody {
  entries: EntryInput[];
  rest?: (typeof STATUSES)[number];
}

const sheetParams = Joi.object<SheetParams>({ id: uuid.required(), date: schoolDate.required() });
const periodQuery = Joi.object<{ period: number }>({ period: Joi.number().integer().min(0).max(12).default(0) });

export const createAttendanceRoutes = ({
  sheets,
  reports,
}: {
  sheets: SheetService;
  reports: AttendanceReports;
}): Route[] => [
  defineRoute<SheetParams, { period: number }>({
    method: 'GET',
    path: '/attendance/classes/:id/sheets/:date',
    service: SERVICE,
    summary: "A class's sheet of a day with its prefill",
    mode: 'R',
    access: readClasses,
    within: sheetsTaken,
    params: sheetParams,
    query: periodQuery,
    response: sheetView,
    async handle(context) {
      const { id, date } = context.params;
      const { sheet, source } = await sheets.get(context, id, date, context.query.period);
      return ok(sheet, { source, pending: sheet.pending }, sheet.version > 0 ? { etag: sheet.version } : {});
    },
  }),
  defineRoute<SheetParams, { period: number }, SheetBody>({
    method: 'PUT',
    path: '/attendance/classes/:id/sheets/:date',
    service: SERVICE,
    summary: 'Mark students of a class',
    mode: 'B',
    access: { capability: 'attendance', verb: 'w' },
    within: sheetsTaken,
    params: sheetParams,
    query: periodQuery,
    body: Joi.object<SheetBody>({
      entries: Joi.array()
        .items(
          Joi.object({
            student_id: uuid.required(),
            status: Joi.string()
              .valid(...STATUSES)
              .required(),
            minutes_late: Joi.number()
              .integer()
              .min(1)
              .max(240)
              .allow(null)
              .default(null)
              .when('status', { is: 'late', otherwise: Joi.valid(null) }),
            remark: Joi.string().trim().max(LIMITS.attendance_entries.remark).allow(null).default(null),
          }),
        )
        .max(500)
        .unique('student_id')
        .required(),
      rest: Joi.string().valid(...STATUSES),
    })
      .custom((body: SheetBody, helpers) =>
        body.entries.length > 0 || body.rest !== undefined
          ? body
          : helpers.message({ custom: 'must mark somebody: give entries, or rest' }),
      )
      .meta({ jsonSchema: { anyOf: [{ properties: { entries: { minItems: 1 } } }, { required: ['rest'] }] } }),
    entity: 'attendance',
    response: sheetView,
    errors: ['FUTURE_DATE', 'NOT_SCHOOL_DAY', 'NOT_ENROLLED', 'EDIT_WINDOW_OVER', 'SHEET_CLOSED', 'TERM_LOCKED'],
    async handle(context) {
      const { id, date } = context.params;
      const { period } = context.query;
      const input = { classId: id, on: date, period, ...context.body };
      const { sheet, receipt } = await sheets.save(context, input, context.ifMatch);
      return written(sheet, [receipt], {
        location: `/api/v1/attendance/classes/${id}/sheets/${date}${period > 0 ? `?period=${period}` : ''}`,
      });
    },
  }),
  defineRoute<{ id: string }, { from: string; to: string }>({
    method: 'GET',
    path: '/attendance/students/:id',
    service: SERVICE,
    summary: "A student's marked days",
    mode: 'R',
    access: read,
    within: studentSeen,
    params: idParams,
    query: Joi.object<{ from: string; to: string }>({ from: schoolDate.required(), to: schoolDate.required() }),
    response: markedDays,
    errors: ['RULE_BROKEN'],
    async handle(context) {
      const { from, to } = context.query;
      return ok(await reports.studentDays(context.params.id, from, to));
    },
  }),
  defineRoute<{ id: string }, { term_id: string }>({
    method: 'GET',
    path: '/attendance/students/:id/summary',
    service: SERVICE,
    summary: "A student's sums of a term",
    mode: 'R',
    access: read,
    within: studentSeen,
    params: idParams,
    query: Joi.object<{ term_id: string }>({ term_id: uuid.required() }),
    response: studentSums,
    async handle(context) {
      return ok(await reports.studentSummary(context, context.params.id, context.query.term_id));
    },
  }),
  defineRoute<{ id: string }, { month: string }>({
    method: 'GET',
    path: '/attendance/classes/:id/summary',
    service: SERVICE,
    summary: "Sums of a class's students in a month",
    mode: 'R',
    access: readClasses,
    within: { rows: 'homerooms', id: ({ params }) => params.id },
    params: idParams,
    query: Joi.object<{ month: string }>({
      month: Joi.string()
        .pattern(/^(19|20|21)\d\d-(0[1-9]|1[0-2])$/, 'month YYYY-MM')
        .required(),
    }),
    response: classSums,
    async handle(context) {
      return ok(await reports.classSummary(context, context.params.id, context.query.month));
    },
  }),
  defineRoute<Record<string, never>, { date: string }>({
    method: 'GET',
    path: '/attendance/missing',
    service: SERVICE,
    summary: 'Classes whose roll has not been taken',
    mode: 'R',
    access: readClasses,
    query: Joi.object<{ date: string }>({ date: schoolDate.required() }),
    response: classesWithoutRoll,
    async handle(context) {
      return ok(await reports.missing(context, context.query.date));
    },
  }),
  defineRoute<Record<string, never>, { date: string }>({
    method: 'GET',
    path: '/attendance/absentees',
    service: SERVICE,
    summary: 'Students absent on a day',
    mode: 'R',
    access: readClasses,
    query: Joi.object<{ date: string }>({ date: schoolDate.required() }),
    response: absentees,
    async handle(context) {
      return ok(await reports.absentees(context, context.query.date));
    },
  }),
  defineRoute<Record<string, never>, { days: number }>({
    method: 'GET',
    path: '/attendance/consecutive',
    service: SERVICE,
    summary: 'Students absent on each of the last open days',
    mode: 'R',
    access: readClasses,
    query: Joi.object<{ days: number }>({ days: Joi.number().integer().min(2).max(20).default(3) }),
    response: absenceRuns,
    async handle(context) {
      return ok(await reports.consecutive(context, context.query.days));
    },
  }),
];
