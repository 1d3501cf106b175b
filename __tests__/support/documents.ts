import { newId } from '../../src/lib/ids.ts';
import type { Homework } from '../../src/services/homework/homework.entity.ts';
import type { HomeworkSubmission } from '../../src/services/homework/homework-submission.entity.ts';
import { submissionId } from '../../src/services/homework/homework-submission.entity.ts';
import type { SchoolHarness } from './harness.ts';

const AT = '2025-09-10T03:00:00.000Z';

/** Ids that rows of the demo school refer to. */
export interface Refs {
  classSubjectId: string;
  staffId: string;
  studentIds: string[];
}

export async function refsOf(school: SchoolHarness): Promise<Refs> {
  const [subject] = await school.rows(`SELECT id, staff_id FROM class_subjects ORDER BY id LIMIT 1`);
  const students = await school.rows(`SELECT id FROM students ORDER BY id LIMIT 50`);
  return {
    classSubjectId: subject!.id as string,
    staffId: subject!.staff_id as string,
    studentIds: students.map(({ id }) => id as string),
  };
}

/** Body of `POST /events` for a day on which the whole school is closed. */
export const buildClosedDay = (title: string, on: string, fields: object = {}): object => ({
  title,
  kind: 'holiday',
  is_all_day: true,
  is_school_closed: true,
  start_local: `${on}T00:00`,
  duration_min: 1440,
  audiences: [{ kind: 'school' }],
  ...fields,
});

export const buildHomework = (refs: Refs, fields: Partial<Homework> = {}): Homework & Record<string, unknown> => ({
  id: newId(),
  class_subject_id: refs.classSubjectId,
  staff_id: refs.staffId,
  group_id: null,
  title: 'Fractions',
  description: 'Exercise 3',
  assigned_on: '2025-09-10',
  publish_at: AT,
  due_at: '2025-09-12T18:00:00.000Z',
  late_until_at: null,
  late_deduct_bp: 0,
  late_floor_bp: 0,
  max_x100: null,
  submission_kind: 'any',
  max_files: 5,
  max_revisions: 3,
  is_autosubmit: false,
  is_missing_zero: false,
  status: 'published',
  created_at: AT,
  updated_at: AT,
  deleted_at: null,
  ...fields,
});

export const buildSubmission = (
  homeworkId: string,
  studentId: string,
  fields: Partial<HomeworkSubmission> = {},
): HomeworkSubmission & Record<string, unknown> => ({
  id: submissionId(homeworkId, studentId),
  homework_id: homeworkId,
  student_id: studentId,
  revision: 1,
  body: 'my answer',
  status: 'submitted',
  saved_at: AT,
  submitted_at: AT,
  is_late: false,
  late_days: 0,
  created_at: AT,
  updated_at: AT,
  ...fields,
});
