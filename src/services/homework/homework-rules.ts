import { BadWindowError, SubmissionClosedError } from '../../errors/catalogue.ts';
import type { Homework } from './homework.entity.ts';
import type { HomeworkSubmission } from './homework-submission.entity.ts';

const DAY_MS = 86_400_000;

export interface Lateness {
  isLate: boolean;
  lateDays: number;
}

/**
 * H1: on time until `due_at`; until `late_until_at` late by started days; later, or without a late window, no more.
 *
 * @param at acceptance of the submission, ISO 8601
 * @throws SubmissionClosedError
 */
export function latenessOf(
  { due_at, late_until_at }: Pick<Homework, 'due_at' | 'late_until_at'>,
  at: string,
): Lateness {
  if (at <= due_at) return { isLate: false, lateDays: 0 };
  if (late_until_at === null || at > late_until_at) throw new SubmissionClosedError();
  return { isLate: true, lateDays: Math.ceil((Date.parse(at) - Date.parse(due_at)) / DAY_MS) };
}

/** @throws BadWindowError naming the field that does not fit */
export function requireWindow({
  publish_at,
  due_at,
  late_until_at,
}: Pick<Homework, 'publish_at' | 'due_at' | 'late_until_at'>): void {
  if (due_at <= publish_at)
    throw new BadWindowError({ errors: [{ pointer: '/due_at', detail: 'must be after publish_at' }] });
  if (late_until_at !== null && late_until_at < due_at) {
    throw new BadWindowError({ errors: [{ pointer: '/late_until_at', detail: 'must not be before due_at' }] });
  }
}

/**
 * H6: lateness after the due date has moved later. One that was kept over a revision (H3) no longer follows from
 * `submitted_at`; it falls by the days that the date has moved.
 */
export function movedLateness(
  { submitted_at, late_days }: Pick<HomeworkSubmission, 'submitted_at' | 'late_days'>,
  oldDueAt: string,
  dueAt: string,
): Lateness {
  const movedMs = Date.parse(dueAt) - Date.parse(oldDueAt);
  const byShift = Math.ceil((late_days * DAY_MS - movedMs) / DAY_MS);
  const bySubmission =
    submitted_at === null ? byShift : Math.ceil((Date.parse(submitted_at) - Date.parse(dueAt)) / DAY_MS);
  const lateDays = Math.max(0, Math.min(late_days, byShift, bySubmission));
  return { isLate: lateDays > 0, lateDays };
}

/** H3: lateness follows the last revision, but one made after `returned` keeps the earlier lateness. */
export const revisedLateness = ({
  is_late,
  late_days,
}: Pick<HomeworkSubmission, 'is_late' | 'late_days'>): Lateness => ({
  isLate: is_late,
  lateDays: late_days,
});

export const STATES = ['submitted', 'late', 'draft', 'missing', 'excused', 'open', 'not_counted'] as const;
export type SubmissionState = (typeof STATES)[number];

/**
 * Where a student stands. H4: a draft is not a submission. H7: who joined after the due date is neither missing nor
 * counted. H8: missing is none after the last deadline; excused counts nowhere.
 */
export function stateOf(
  { due_at, late_until_at }: Pick<Homework, 'due_at' | 'late_until_at'>,
  submission: Pick<HomeworkSubmission, 'status' | 'is_late'> | undefined,
  { now, hasJoinedLater, isExcused }: { now: string; hasJoinedLater: boolean; isExcused: boolean },
): SubmissionState {
  if (isExcused) return 'excused';
  if (submission && submission.status !== 'draft') return submission.is_late ? 'late' : 'submitted';
  if (now > (late_until_at ?? due_at)) return hasJoinedLater ? 'not_counted' : 'missing';
  return submission ? 'draft' : 'open';
}
