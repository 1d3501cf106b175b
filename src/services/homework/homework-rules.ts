import { BadWindowError, SubmissionClosedError } from '../../errors/catalogue.ts';
import type { Homework } from './homework.entity.ts';

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
