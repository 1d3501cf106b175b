import { EditWindowOverError, FutureDateError, NotSchoolDayError, TermLockedError } from '../../errors/catalogue.ts';
import { covers, type Enrolment, type LeavePart, type SchoolDay } from '../school/school.ts';
import type { AttendanceStatus } from './attendance.entity.ts';

export interface DayFacts {
  on: string;
  today: string;
  /** Days from `on` to today, and `on` itself. */
  days: readonly Omit<SchoolDay, 'eventId'>[];
  editWindowDays: number;
  /** Whether the term of that date is locked. */
  isTermLocked: boolean;
  /** Admins are not held to the edit window. */
  isAdmin: boolean;
}

/**
 * AT1: open school days only, never the future; edited freely until `editWindowDays` school days after the date; nothing
 * after the term lock.
 *
 * @throws FutureDateError, NotSchoolDayError, EditWindowOverError, TermLockedError
 */
export function requireEditableDay({ on, today, days, editWindowDays, isTermLocked, isAdmin }: DayFacts): void {
  if (on > today) throw new FutureDateError();
  const day = days.find(({ date }) => date === on);
  if (!day?.isOpen) throw new NotSchoolDayError(day?.reason ? { detail: `closed: ${day.reason}` } : {});
  if (isTermLocked) throw new TermLockedError();
  const schoolDaysSince = days.filter(({ date, isOpen }) => isOpen && date > on && date <= today).length;
  if (schoolDaysSince > editWindowDays && !isAdmin) throw new EditWindowOverError();
}

/** AT2: an approved leave prefills excused, a half-day leave half_day. */
export const prefillOf = (part: LeavePart): AttendanceStatus => (part === 'full' ? 'excused' : 'half_day');

/** AT5: who is away on an approved leave is excused, not absent; present and late stand. */
export const statusUnderLeave = (status: AttendanceStatus, leave: LeavePart | undefined): AttendanceStatus =>
  status === 'absent' && leave === 'full' ? 'excused' : status;

/**
 * A student's marks, one a day: who moves on a day may be in the rolls of both classes. The mark of the class that the student is
 * in on that day counts (A7).
 */
export function oneADay<T extends { classId: string; onDate: string }>(
  marks: readonly T[],
  stays: readonly Enrolment[],
): T[] {
  const ofDay = new Map<string, T>();
  for (const mark of marks) {
    const isOwn = stays.some((stay) => stay.classId === mark.classId && covers(stay, mark.onDate));
    if (isOwn || !ofDay.has(mark.onDate)) ofDay.set(mark.onDate, mark);
  }
  return [...ofDay.values()];
}

export interface Counts {
  present: number;
  late: number;
  half_day: number;
  absent: number;
  excused: number;
  on_duty: number;
}

export const noCounts = (): Counts => ({ present: 0, late: 0, half_day: 0, absent: 0, excused: 0, on_duty: 0 });

/** AT3: credit 1 for present, late, on_duty; a half for half_day; excused leaves the denominator. Null when nothing counts. */
export function percentageBp(counts: Counts): number | null {
  const marked = Object.values(counts).reduce((sum: number, count) => sum + count, 0);
  const counted = marked - counts.excused;
  if (counted === 0) return null;
  const credit = counts.present + counts.late + counts.on_duty + counts.half_day / 2;
  return Math.round((10_000 * credit) / counted);
}
