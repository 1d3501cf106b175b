import Joi from 'joi';
import { email, line, nullable, phone, reference, schoolDate, uuid, version, view, withRule } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { WantedGuardian } from './guardian-service.ts';
import type { NewStudent, SeenStudent, StudentDetail, StudentFields } from './student-service.ts';
import type { EnrolmentRow, GuardianLink } from './student-store.ts';

const { students, guardians } = LIMITS;

const fields = {
  admission_no: line(students.admission_no),
  full_name: line(students.full_name),
  birth_on: schoolDate,
  gender: nullable(line(students.gender)),
  house: nullable(line(students.house)),
  admitted_on: schoolDate,
  photo_file_id: nullable(uuid),
};

const rights = {
  is_primary: Joi.boolean(),
  is_blocked: Joi.boolean(),
  can_view: Joi.boolean(),
  can_pay: Joi.boolean(),
  can_pickup: Joi.boolean(),
  is_notified: Joi.boolean(),
};

const MOST_GUARDIANS = 8;

const guardian = Joi.object<WantedGuardian>({
  guardian_id: uuid,
  full_name: line(guardians.full_name),
  phone,
  email: nullable(email),
  relation: line(LIMITS.student_guardians.relation).required(),
  is_primary: rights.is_primary.default(false),
  is_blocked: rights.is_blocked.default(false),
  can_view: rights.can_view.default(true),
  can_pay: rights.can_pay.default(false),
  can_pickup: rights.can_pickup.default(false),
  is_notified: rights.is_notified.default(true),
})
  .xor('guardian_id', 'full_name')
  .with('full_name', 'phone')
  .without('guardian_id', ['phone', 'email']);

/** One of them is the first to be called, and nobody the school keeps from the child can be that. */
export const guardianList = withRule(
  Joi.array().items(guardian).max(MOST_GUARDIANS).unique('guardian_id', { ignoreUndefined: true }),
  (list: WantedGuardian[]) => {
    const primary = list.filter(({ is_primary }) => is_primary);
    if (list.length > 0 && primary.length !== 1) return 'needs one primary guardian';
    return primary[0]?.is_blocked ? 'must not have a blocked primary guardian' : undefined;
  },
);

export const newStudentBody = Joi.object<NewStudent>({
  ...fields,
  admission_no: fields.admission_no.required(),
  full_name: fields.full_name.required(),
  birth_on: fields.birth_on.required(),
  gender: fields.gender.default(null),
  house: fields.house.default(null),
  photo_file_id: fields.photo_file_id.default(null),
  guardians: guardianList.default([]),
  class_id: uuid,
  starts_on: schoolDate,
}).with('starts_on', 'class_id');

export const studentChanges = Joi.object<Partial<StudentFields>>(fields).min(1);

const enrolmentView = view({
  id: uuid,
  class: reference,
  roll_no: Joi.number().integer(),
  starts_on: schoolDate,
  ends_on: schoolDate.allow(null),
});

/** Of a student whom the caller may see whole. */
const wholeStudent = {
  id: uuid,
  ...fields,
  status: Joi.string().valid('active', 'left', 'alumni'),
  left_on: schoolDate.allow(null),
  leave_reason: Joi.string().allow(null),
  class: reference.allow(null),
  roll_no: Joi.number().integer().allow(null),
  version,
};
/** Of one of whom the caller knows name and class. */
const narrowStudent = view({
  id: wholeStudent.id,
  full_name: wholeStudent.full_name,
  class: wholeStudent.class,
});

export const guardianView = view({
  guardian_id: uuid,
  full_name: Joi.string(),
  phone: Joi.string(),
  email: Joi.string().allow(null),
  relation: Joi.string(),
  ...rights,
});

export const studentListView = Joi.array().items(view(wholeStudent), narrowStudent);
export const studentDetail = view({
  ...wholeStudent,
  guardians: Joi.array().items(guardianView),
  enrollments: Joi.array().items(enrolmentView),
});
export const studentView = Joi.alternatives(studentDetail, narrowStudent);
export const enrolmentAnswer = enrolmentView;

const obligation = view({
  kind: Joi.string().valid('loan', 'due'),
  id: Joi.string(),
  label: Joi.string(),
  due_on: schoolDate.allow(null),
  amount_minor: Joi.number().integer().allow(null),
});
export const leavingView = view({
  ...wholeStudent,
  open_items: Joi.array().items(obligation),
});

export const toEnrolment = ({ id, classId, className, rollNo, startsOn, endsOn }: EnrolmentRow) => ({
  id,
  class: { id: classId, name: className },
  roll_no: rollNo,
  starts_on: startsOn,
  ends_on: endsOn,
});

export const toGuardian = (link: GuardianLink) => ({
  guardian_id: link.guardianId,
  full_name: link.fullName,
  phone: link.phone,
  email: link.email,
  relation: link.relation,
  is_primary: link.isPrimary,
  is_blocked: link.isBlocked,
  can_view: link.canView,
  can_pay: link.canPay,
  can_pickup: link.canPickup,
  is_notified: link.isNotified,
});

export function toStudent({ student: row, sight }: SeenStudent) {
  const ownClass = row.classId === null ? null : { id: row.classId, name: row.className };
  if (sight === 'narrow') return { id: row.id, full_name: row.fullName, class: ownClass };
  return {
    id: row.id,
    admission_no: row.admissionNo,
    full_name: row.fullName,
    birth_on: row.birthOn,
    gender: row.gender,
    house: row.house,
    admitted_on: row.admittedOn,
    photo_file_id: row.photoFileId,
    status: row.status,
    left_on: row.leftOn,
    leave_reason: row.leaveReason,
    class: ownClass,
    roll_no: row.rollNo,
    version: row.version,
  };
}

export const toDetail = ({ guardians: links, enrolments, ...seen }: StudentDetail) => ({
  ...toStudent(seen),
  ...(seen.sight === 'narrow' ? {} : { guardians: links.map(toGuardian), enrollments: enrolments.map(toEnrolment) }),
});
