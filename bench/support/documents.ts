import type { Knex } from 'knex';
import { runSeed } from '../../seeds/run.ts';
import { newId } from '../../src/lib/ids.ts';
import type { Homework } from '../../src/services/homework/homework.entity.ts';
import { type HomeworkSubmission, submissionId } from '../../src/services/homework/homework-submission.entity.ts';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { prose, title } from './texts.ts';

export interface Refs {
  classSubjects: { id: string; staff_id: string }[];
  students: string[];
}

/** Rows that documents refer to; migrates and seeds the throwaway database first. */
export async function loadRefs(knex: Knex): Promise<Refs> {
  const databaseUrl = process.env.DATABASE_URL!;
  await migrate(databaseUrl);
  await runSeed({ databaseUrl, scale: 'small', today: '2025-09-10', password: 'schools24-demo' });
  const subjects = await knex.raw('SELECT id, staff_id FROM class_subjects ORDER BY id');
  const students = await knex.raw('SELECT id FROM students ORDER BY id');
  return { classSubjects: subjects.rows, students: students.rows.map(({ id }: { id: string }) => id) };
}

const pick = <T>(random: () => number, list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
const START_MS = Date.UTC(2025, 8, 10, 3);
const instant = (random: () => number): string =>
  new Date(START_MS + Math.floor(random() * 20 * 86_400_000)).toISOString();

export type Document = Record<string, unknown>;

/** A homework as a teacher gives it; @param characters of its description */
export function homeworkDocument(random: () => number, refs: Refs, characters: number): Homework & Document {
  const subject = pick(random, refs.classSubjects);
  const publishAt = instant(random);
  return {
    id: newId(),
    class_subject_id: subject.id,
    staff_id: subject.staff_id,
    group_id: null,
    title: title(random),
    description: prose(random, characters),
    assigned_on: publishAt.slice(0, 10),
    publish_at: publishAt,
    due_at: new Date(Date.parse(publishAt) + Math.floor(1 + random() * 7) * 86_400_000).toISOString(),
    late_until_at: null,
    late_deduct_bp: 0,
    late_floor_bp: 0,
    max_x100: random() < 0.5 ? 2000 : null,
    submission_kind: pick(random, ['text', 'file', 'any'] as const),
    max_files: 5,
    max_revisions: 3,
    is_autosubmit: false,
    is_missing_zero: false,
    status: 'published',
    created_at: publishAt,
    updated_at: publishAt,
    deleted_at: null,
  };
}

/** A student's answer; @param characters of its body */
export function submissionDocument(
  random: () => number,
  refs: Refs,
  homeworkId: string,
  characters: number,
): HomeworkSubmission & Document {
  const studentId = pick(random, refs.students);
  const savedAt = instant(random);
  return {
    id: submissionId(homeworkId, studentId),
    homework_id: homeworkId,
    student_id: studentId,
    revision: 1,
    body: prose(random, characters),
    status: 'submitted',
    saved_at: savedAt,
    submitted_at: savedAt,
    is_late: false,
    late_days: 0,
    created_at: savedAt,
    updated_at: savedAt,
  };
}

export const rawBytes = (document: object): number => Buffer.byteLength(JSON.stringify(document));
