import { type DomainEvent, stampEvent } from '../../lib/events.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { AttendanceEntry, AttendanceStatus } from './attendance.entity.ts';

type Caller = Pick<RequestContext, 'actor' | 'requestId' | 'now' | 'newId'>;

/**
 * Of `attendance.saved`, told with the save, and of `attendance.stored`, told by the rows (DOMAIN §6). People hear of the first;
 * what is counted from rows follows the second.
 */
export interface AttendanceChanged {
  class_id: string;
  date: string;
  period: number;
  /** `old` is null for a student who was not marked. */
  changed: { student: string; old: AttendanceStatus | null; new: AttendanceStatus }[];
}

/** What a save says happened: nothing when the sheet was taken before and no student's status has changed. */
export function savedEvents(
  caller: Caller,
  { classId, on, period }: { classId: string; on: string; period: number },
  fields: readonly AttendanceEntry[],
  { head, entries }: { head?: unknown; entries: ReadonlyMap<string, Pick<AttendanceEntry, 'status'>> },
): DomainEvent[] {
  const changed = fields
    .map(({ student_id, status }) => ({
      student: student_id,
      old: entries.get(student_id)?.status ?? null,
      new: status,
    }))
    .filter(({ old, new: status }) => old !== status);
  if (changed.length === 0 && head !== undefined) return [];
  const payload: AttendanceChanged = { class_id: classId, date: on, period, changed };
  const aggregateId = `${classId}:${on}:${period}`;
  return [stampEvent(caller, { name: 'attendance.saved', aggregateId, payload: { ...payload } })];
}
