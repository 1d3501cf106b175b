import Joi from 'joi';
import { isoInstant, schoolDate, uuid, version, view } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { STATUSES } from './attendance.entity.ts';

const status = Joi.string().valid(...STATUSES);
const minutesLate = Joi.number().integer().min(1).max(240).allow(null);
const remark = Joi.string().max(LIMITS.attendance_entries.remark).allow(null);
const count = Joi.number().integer().min(0);
const rollNo = Joi.number().integer().min(1);

export const sheetView = view({
  class_id: uuid,
  on_date: schoolDate,
  period_no: Joi.number().integer().min(0).max(12),
  status: Joi.string().valid('not_taken', 'open', 'closed', 'void'),
  taken_at: isoInstant.allow(null),
  is_complete: Joi.boolean(),
  entries: Joi.array().items(
    view({
      student_id: uuid,
      full_name: Joi.string(),
      roll_no: rollNo,
      status: status.allow(null),
      prefill: status.allow(null),
      minutes_late: minutesLate,
      remark,
    }),
  ),
  version,
  pending: Joi.boolean(),
});

export const markedDays = Joi.array().items(view({ date: schoolDate, status, minutes_late: minutesLate, remark }));

const counts = {
  ...Object.fromEntries(STATUSES.map((name) => [name, count])),
  pct_bp: Joi.number().integer().min(0).max(10_000).allow(null),
  unmarked: count,
};

export const studentSums = view(counts);

export const classSums = Joi.array().items(
  view({ student_id: uuid, full_name: Joi.string(), roll_no: rollNo, ...counts }),
);

export const classesWithoutRoll = Joi.array().items(view({ class_id: uuid, class_name: Joi.string() }));

const person = {
  student_id: uuid,
  full_name: Joi.string().allow(null),
  roll_no: rollNo.allow(null),
  class_id: uuid,
  class_name: Joi.string().allow(null),
};

export const absentees = Joi.array().items(view({ ...person, remark }));

export const absenceRuns = Joi.array().items(
  view({ ...person, days: Joi.number().integer().min(1), since: schoolDate }),
);
