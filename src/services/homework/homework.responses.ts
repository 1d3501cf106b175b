import Joi from 'joi';
import { isoInstant, schoolDate, uuid, version, view } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { fileIds, homeworkFields } from './homework.entity.ts';
import { STATES } from './homework-rules.ts';

const fields = {
  id: uuid,
  class_subject_id: uuid,
  staff_id: uuid,
  group_id: uuid.allow(null),
  ...homeworkFields,
  assigned_on: schoolDate,
  file_ids: fileIds,
  created_at: isoInstant,
  updated_at: isoInstant,
  version,
  pending: Joi.boolean(),
};

export const homeworkView = view(fields);

export const submissionView = view({
  id: uuid,
  homework_id: uuid,
  student_id: uuid,
  revision: Joi.number().integer().min(0),
  body: Joi.string().max(LIMITS.homework_submissions.body).allow('', null),
  status: Joi.string().valid('draft', 'submitted', 'returned'),
  saved_at: isoInstant,
  submitted_at: isoInstant.allow(null),
  is_late: Joi.boolean(),
  late_days: Joi.number().integer().min(0),
  file_ids: fileIds,
  created_at: isoInstant,
  updated_at: isoInstant,
  version,
  pending: Joi.boolean(),
  grade: view({
    status: Joi.string().valid('graded', 'excused', 'missing', 'returned'),
    raw_x100: Joi.number().integer().min(0).allow(null),
    final_x100: Joi.number().integer().min(0).allow(null),
    feedback: Joi.string().max(LIMITS.homework_grades.feedback).allow('', null),
  }).allow(null),
});

/** With the caller's own submission, where it is a student and has one. */
export const homeworkDetail = view({ ...fields, my_submission: submissionView.allow(null) });

export const deletedHomework = view({ id: uuid, deleted: Joi.boolean().valid(true) });

export const submissionRoster = Joi.array().items(
  view({
    student_id: uuid,
    full_name: Joi.string(),
    roll_no: Joi.number().integer().min(1),
    state: Joi.string().valid(...STATES),
    submitted_at: isoInstant.allow(null),
    late_days: Joi.number().integer().min(0),
    revision: Joi.number().integer().min(0),
  }),
);
