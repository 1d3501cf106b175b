import type { FoundSheet, Reader, ReadSource } from '../../buffer/reader.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { Writer } from '../../buffer/writer.ts';
import { NotEnrolledError, NotFoundError, SheetClosedError } from '../../errors/catalogue.ts';
import { isDatabaseAway } from '../../errors/driver-errors.ts';
import type { Document } from '../../lib/entity.ts';
import { sheetId } from '../../lib/ids.ts';
import { EVERYTHING, type Reach } from '../../lib/reach.ts';
import type { Reading, RequestContext } from '../../lib/route.ts';
import type { WriteReceipt } from '../../lib/write-receipt.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import type { LeavePart, RosterEntry, School } from '../school/school.ts';
import { type AttendanceEntry, type AttendanceStatus, type SheetHead, sheetKey } from './attendance.entity.ts';
import { savedEvents } from './attendance.events.ts';
import { prefillOf, requireEditableDay, statusUnderLeave } from './attendance-rules.ts';

type Caller = Reading & Pick<RequestContext, 'requestId' | 'ip' | 'newId'>;

export interface EntryInput {
  student_id: string;
  status: AttendanceStatus;
  minutes_late: number | null;
  remark: string | null;
}

export interface SheetInput {
  classId: string;
  on: string;
  /** 0 is the day's roll. */
  period: number;
  entries: EntryInput[];
  /** Status of the students that are neither named nor marked yet. */
  rest?: AttendanceStatus;
}

export interface SheetView {
  class_id: string;
  on_date: string;
  period_no: number;
  status: SheetHead['status'] | 'not_taken';
  taken_at: string | null;
  /** Every student of the class is marked. */
  is_complete: boolean;
  entries: {
    student_id: string;
    full_name: string;
    roll_no: number;
    status: AttendanceStatus | null;
    prefill: AttendanceStatus | null;
    minutes_late: number | null;
    remark: string | null;
  }[];
  version: number;
  pending: boolean;
}

export interface SheetDeps {
  buffer: WriteBuffer;
  writer: Writer;
  reader: Reader;
  school: School;
  activity: ActivityLog;
}

type Leaves = ReadonlyMap<string, LeavePart>;
type Entries = ReadonlyMap<string, Pick<AttendanceEntry, 'status' | 'minutes_late' | 'remark'>>;

/** What the buffer and the database hold of a sheet; `isWhole` is false while the database cannot be asked. */
interface Before {
  head?: SheetHead;
  entries: Entries;
  version: number;
  isWhole: boolean;
}

/** Sheets of a class: the day's roll and those of single periods (AT1, AT2, AT4). */
export class SheetService {
  readonly #deps: SheetDeps;

  constructor(deps: SheetDeps) {
    this.#deps = deps;
  }

  /** The class of a date with what is marked, or would be by an approved leave (AT2). */
  async get(
    caller: Pick<Reading, 'reach'>,
    classId: string,
    on: string,
    period: number,
  ): Promise<{ sheet: SheetView; source: ReadSource }> {
    const { reader, school } = this.#deps;
    const reach = await caller.reach();
    await school.requireClass(classId);
    const [found, roster, leaves] = await Promise.all([
      reader.getSheet('attendance', sheetKey(classId, on, period), reach),
      school.roster(classId, on),
      school.approvedLeave(classId, on),
    ]);
    const sheet = viewOf({ classId, on, period }, roster, leaves, {
      head: found?.head as unknown as SheetHead | undefined,
      entries: entriesOf(found),
      version: found?.version ?? 0,
      isPending: found?.isPending ?? false,
    });
    return { sheet, source: found?.source ?? 'db' };
  }

  /** How a student is marked in the day's roll; undefined while unmarked. */
  async statusOf(classId: string, on: string, studentId: string): Promise<AttendanceStatus | undefined> {
    const found = await this.#deps.reader.getSheet('attendance', sheetKey(classId, on, 0), EVERYTHING);
    return entriesOf(found).get(studentId)?.status;
  }

  /**
   * Marks some students of a class, and with `rest` all others (AT2); each student keeps its own version (AT4).
   *
   * @throws the errors of AT1, NotEnrolledError naming the entries, SheetClosedError
   */
  async save(
    caller: Caller,
    input: SheetInput,
    ifMatch?: number,
  ): Promise<{ sheet: SheetView; receipt: WriteReceipt }> {
    const { writer, school, activity } = this.#deps;
    const { classId, on, period } = input;
    const reach = await caller.reach();
    const classSubjectId = await this.#lessonOf(caller, reach, classId, period);
    await this.#requireEditable(caller, on);
    const key = sheetKey(classId, on, period);
    const [roster, leaves, before] = await Promise.all([
      school.roster(classId, on),
      school.approvedLeave(classId, on),
      this.#before(reach, key),
    ]);
    requireEnrolled(input.entries, roster);
    if (before.head && before.head.status !== 'open') throw new SheetClosedError();
    const now = caller.now.toISOString();
    const fields = marksOf(input, roster, leaves, before.entries).map(
      (entry): AttendanceEntry => ({ ...entry, marked_by: caller.actor.userId, marked_at: now }),
    );
    const head: SheetHead = {
      id: sheetId(classId, on, period),
      class_id: classId,
      on_date: on,
      period_no: period,
      class_subject_id: classSubjectId,
      status: 'open',
      taken_by: caller.actor.userId,
      taken_at: before.head?.taken_at ?? now,
    };
    const [receipt] = await Promise.all([
      writer.putSheet('attendance', key, head as unknown as Document, fields as unknown as Document[], {
        base: before.version,
        ...(ifMatch === undefined ? {} : { ifMatch }),
        events: savedEvents(caller, input, fields, before),
      }),
      activity.record(caller, {
        service: 'attendance',
        action: 'attendance.save',
        entity: { type: 'attendance', id: head.id },
        ...changesOf(fields, before),
      }),
    ]);
    const entries = new Map([
      ...before.entries,
      ...fields.map((entry): [string, AttendanceEntry] => [entry.student_id, entry]),
    ]);
    const { version, isPending } = receipt;
    return { sheet: viewOf(input, roster, leaves, { head, entries, version, isPending }), receipt };
  }

  /** What the caller teaches in a period; null for the day's roll, and where the school takes a sheet. */
  async #lessonOf({ actor }: Caller, { all, taught }: Reach, classId: string, period: number): Promise<string | null> {
    if (all) {
      if (!(await this.#deps.school.classes()).some(({ id }) => id === classId)) throw new NotFoundError();
      return null;
    }
    if (period === 0) return null;
    const { teaches } = await actor.scopes();
    return (
      teaches.find((lesson) => lesson.classId === classId && taught.has(lesson.classSubjectId))?.classSubjectId ?? null
    );
  }

  async #requireEditable({ scope, now }: Caller, on: string): Promise<void> {
    const { school } = this.#deps;
    const today = await school.dateAt(now);
    const [{ edit_window_days }, terms, days] = await Promise.all([
      school.settings(),
      school.terms(),
      school.schoolDays(on, today),
    ]);
    requireEditableDay({
      on,
      today,
      days,
      editWindowDays: edit_window_days,
      isTermLocked: terms.some(({ startsOn, endsOn, lockedAt }) => lockedAt !== null && startsOn <= on && on <= endsOn),
      isAdmin: scope.includes('A'),
    });
  }

  /**
   * A roll is taken whether the database answers or not: then only the buffer tells what was there, and the rules on the
   * stored sheet are judged when the write is stored.
   */
  async #before(reach: Reach, key: string): Promise<Before> {
    const { reader, buffer } = this.#deps;
    try {
      const found = await reader.getSheet('attendance', key, reach);
      return {
        ...(found ? { head: found.head as unknown as SheetHead } : {}),
        entries: entriesOf(found),
        version: found?.version ?? 0,
        isWhole: true,
      };
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      const pending = await buffer.getSheet('attendance', key);
      return {
        ...(pending?.head ? { head: pending.head.document as unknown as SheetHead } : {}),
        entries: new Map(
          [...(pending?.fields ?? [])].map(([id, { document }]) => [id, document as unknown as AttendanceEntry]),
        ),
        version: pending?.version ?? 0,
        isWhole: false,
      };
    }
  }
}

const entriesOf = (found: FoundSheet | undefined): Entries => (found?.fields ?? new Map()) as unknown as Entries;

function requireEnrolled(entries: readonly EntryInput[], roster: readonly RosterEntry[]): void {
  const enrolled = new Set(roster.map(({ studentId }) => studentId));
  const errors = entries.flatMap(({ student_id }, index) =>
    enrolled.has(student_id)
      ? []
      : [{ pointer: `/entries/${index}/student_id`, detail: 'is not in this class on that date' }],
  );
  if (errors.length > 0) throw new NotEnrolledError({ errors });
}

/** AT2: `rest` fills those who are neither named nor marked, a leave coming before it. */
function marksOf(
  { entries, rest }: SheetInput,
  roster: readonly RosterEntry[],
  leaves: Leaves,
  marked: Entries,
): EntryInput[] {
  const named = entries.map((entry) => ({
    ...entry,
    status: statusUnderLeave(entry.status, leaves.get(entry.student_id)),
  }));
  if (rest === undefined) return named;
  const mentioned = new Set(entries.map(({ student_id }) => student_id));
  const others = roster.filter(({ studentId }) => !mentioned.has(studentId) && !marked.has(studentId));
  return [
    ...named,
    ...others.map(({ studentId }): EntryInput => {
      const leave = leaves.get(studentId);
      return { student_id: studentId, status: leave ? prefillOf(leave) : rest, minutes_late: null, remark: null };
    }),
  ];
}

/** What an audit wants to know; what was before is left out when nobody could tell. */
function changesOf(
  fields: readonly AttendanceEntry[],
  { entries, isWhole }: Before,
): { before?: unknown; after: unknown } {
  const changed = fields.filter(({ student_id, status, minutes_late, remark }) => {
    const old = entries.get(student_id);
    return old?.status !== status || old.minutes_late !== minutes_late || old.remark !== remark;
  });
  const before = changed.map(({ student_id }) => {
    const old = entries.get(student_id);
    return {
      student_id,
      status: old?.status ?? null,
      minutes_late: old?.minutes_late ?? null,
      remark: old?.remark ?? null,
    };
  });
  const after = changed.map(({ student_id, status, minutes_late, remark }) => ({
    student_id,
    status,
    minutes_late,
    remark,
  }));
  return { ...(isWhole ? { before } : {}), after };
}

function viewOf(
  { classId, on, period }: Pick<SheetInput, 'classId' | 'on' | 'period'>,
  roster: readonly RosterEntry[],
  leaves: Leaves,
  sheet: { head?: SheetHead; entries: Entries; version: number; isPending: boolean },
): SheetView {
  const entries = roster.map(({ studentId, fullName, rollNo }) => {
    const entry = sheet.entries.get(studentId);
    const leave = leaves.get(studentId);
    return {
      student_id: studentId,
      full_name: fullName,
      roll_no: rollNo,
      status: entry?.status ?? null,
      prefill: leave ? prefillOf(leave) : null,
      minutes_late: entry?.minutes_late ?? null,
      remark: entry?.remark ?? null,
    };
  });
  return {
    class_id: classId,
    on_date: on,
    period_no: period,
    status: sheet.head?.status ?? 'not_taken',
    taken_at: sheet.head?.taken_at ?? null,
    is_complete: entries.length > 0 && entries.every(({ status }) => status !== null),
    entries,
    version: sheet.version,
    pending: sheet.isPending,
  };
}
