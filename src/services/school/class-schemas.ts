import Joi from 'joi';
import { line, schoolDate, uuid, version, view, withRule } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { ClassFields, NewClass } from './class-service.ts';
import type { WantedSubject } from './class-subject-service.ts';
import type { NewSubstitution } from './substitution-service.ts';
import type { Slot } from './timetable-service.ts';

const { classes } = LIMITS;
const MOST_SEATS = 1_000;

const fields = {
  section: line(classes.section),
  name: line(classes.name),
  capacity: Joi.number().integer().min(1).max(MOST_SEATS),
  homeroom_staff_id: uuid.allow(null),
  room: line(classes.room).allow(null),
};
const grade = Joi.number().integer().min(1).max(12);

export const newClassBody = Joi.object<NewClass>({
  academic_year_id: uuid.required(),
  grade: grade.required(),
  section: fields.section.required(),
  name: fields.name,
  capacity: fields.capacity.required(),
  homeroom_staff_id: fields.homeroom_staff_id.default(null),
  room: fields.room.default(null),
});
export const classChanges = Joi.object<Partial<ClassFields>>(fields).min(1);
export const classView = view({ id: uuid, academic_year_id: uuid, grade, ...fields, version });

/** Parts of a subject's mark, as DOMAIN §9 has them. */
const DEFAULT_WEIGHTS = { quiz: 2_000, homework: 2_000, exam: 6_000 };
const WHOLE_BP = 10_000;
const weights = withRule(
  Joi.object().pattern(
    Joi.string().valid('quiz', 'homework', 'exam', 'practical', 'project'),
    Joi.number().integer().min(1).max(WHOLE_BP),
  ),
  (parts: Record<string, number>) => {
    const sum = Object.values(parts).reduce((total, part) => total + part, 0);
    return sum === WHOLE_BP ? undefined : `must sum up to ${WHOLE_BP}`;
  },
);
const MOST_SUBJECTS = 30;
export const classSubjectsBody = Joi.object<{ subjects: WantedSubject[] }>({
  subjects: Joi.array()
    .items(
      Joi.object<WantedSubject>({
        subject_id: uuid.required(),
        staff_id: uuid.required(),
        weights: weights.default(DEFAULT_WEIGHTS),
      }),
    )
    .max(MOST_SUBJECTS)
    .unique('subject_id')
    .required(),
});
export const classSubjectView = view({
  id: uuid,
  subject_id: uuid,
  subject: Joi.string(),
  staff_id: uuid,
  staff: Joi.string(),
  weights: Joi.object().pattern(Joi.string(), Joi.number().integer()),
  version,
});

const wallClock = Joi.string().pattern(/^([01]\d|2[0-3]):[0-5]\d$/, 'time HH:MM');
const slotFields = {
  weekday: Joi.number().integer().min(1).max(7),
  period_no: Joi.number().integer().min(1).max(12),
  class_subject_id: uuid,
  starts_at: wallClock,
  ends_at: wallClock,
};
const MOST_SLOTS = 84;
const isSameLesson = (a: Slot, b: Slot): boolean => a.weekday === b.weekday && a.period_no === b.period_no;

/** Lessons of a day follow each other as their numbers do. */
function outOfOrder(slots: Slot[]): string | undefined {
  const sorted = [...slots].sort((a, b) => a.weekday - b.weekday || a.period_no - b.period_no);
  for (const [index, slot] of sorted.entries()) {
    const before = sorted[index - 1];
    if (slot.ends_at <= slot.starts_at || (before?.weekday === slot.weekday && slot.starts_at < before.ends_at)) {
      return `weekday ${slot.weekday}, period ${slot.period_no}: must end after it begins, and begin after the one before`;
    }
  }
  return undefined;
}
export const timetableBody = Joi.object<{ slots: Slot[] }>({
  slots: withRule(
    Joi.array()
      .items(Joi.object<Slot>(slotFields).prefs({ presence: 'required' }))
      .max(MOST_SLOTS)
      .unique(isSameLesson),
    outOfOrder,
  ).required(),
});
export const slotView = view({ ...slotFields, subject: Joi.string(), staff_id: uuid });

const substitution = { on_date: schoolDate, absent_staff_id: uuid, staff_id: uuid };
export const substitutionBody = withRule(
  Joi.object<NewSubstitution>(substitution).prefs({ presence: 'required' }),
  ({ staff_id, absent_staff_id }: NewSubstitution) =>
    staff_id === absent_staff_id ? 'staff_id must not be who is absent' : undefined,
);
export const substitutionView = view({ id: uuid, class_id: uuid, ...substitution });

export const rosterView = Joi.array().items(
  view({ student_id: uuid, full_name: Joi.string(), roll_no: Joi.number().integer() }),
);
