import type { Reader } from '../../buffer/reader.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import { ForbiddenError, NotEnrolledError, NotFoundError, SheetClosedError } from '../../errors/catalogue.ts';
import { addDays, schoolDateOf } from '../../lib/clock.ts';
import type { Document } from '../../lib/entity.ts';
import { sheetId } from '../../lib/ids.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import type { School } from '../school/school.ts';
import { reachOf, requireReach } from '../scope.ts';
import { type AttendanceEntry, type AttendanceStatus, type SheetHead, sheetKey } from './attendance.entity.ts';
import { type Counts, noCounts, percentageBp, prefillOf, requireEditableDay } from './attendance-rules.ts';
import type { AttendanceStore, StoredMark } from './attendance-store.ts';

type Caller = Pick<RequestContext, 'actor' | 'scope' | 'requestId' | 'ip' | 'now' | 'newId'>;

export interface EntryInput {
  student_id: string;
  status: AttendanceStatus;
  minutes_late: number | null;
  remark: string | null;
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

export interface Summary extends Counts {
  pct_bp: number | null;
  /** Open school days without a mark. */
  unmarked: number;
}

export interface AttendanceDeps {
  buffer: WriteBuffer;
  reader: Reader;
  store: AttendanceStore;
  school: School;
  activity: ActivityLog;
}

/** Lists of whole classes are for those who teach or run the school. */
function requireStaff({ scope }: Caller): void {
  if (!scope.some((code) => code === 'A' || code === 'T' || code === 'H')) throw new ForbiddenError();
}

const MOST_RUN_DAYS = 60;

/** Rolls and their sums (AT1–AT4); corrections, uploads and leave requests join here later. */
export class AttendanceService {
  readonly #deps: AttendanceDeps;

  constructor(deps: AttendanceDeps) {
    this.#deps = deps;
  }

  /** The class of a date with what is marked, or would be by an approved leave (AT2). */
  async sheet(caller: Caller, classId: string, on: string, period: number): Promise<SheetView> {
    requireStaff(caller);
    const { reader, school } = this.#deps;
    requireReach(await reachOf(caller.actor, caller.scope, school), 'classes', classId);
    const [found, roster] = await Promise.all([reader.getSheet('attendance', sheetKey(classId, on, period)), school.roster(classId, on)]);
    const leaves = new Map((await school.approvedLeave(roster.map(({ studentId }) => studentId), on)).map(({ studentId, part }) => [studentId, part]));
    const head = found?.head as unknown as SheetHead | undefined;
    const entries = roster.map(({ studentId, fullName, rollNo }) => {
      const entry = found?.fields.get(studentId) as unknown as AttendanceEntry | undefined;
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
      status: head?.status ?? 'not_taken',
      taken_at: head?.taken_at ?? null,
      is_complete: entries.length > 0 && entries.every(({ status }) => status !== null),
      entries,
      version: found?.version ?? 0,
      pending: found?.isPending ?? false,
    };
  }

  /**
   * Marks some students of a class, and with `rest` all others (AT2); each student keeps its own version (AT4).
   *
   * @throws the errors of AT1, NotEnrolledError naming the entries, SheetClosedError
   */
  async save(
    caller: Caller,
    { classId, on, period, entries, rest }: { classId: string; on: string; period: number; entries: EntryInput[]; rest?: AttendanceStatus },
    ifMatch?: number,
  ): Promise<SheetView> {
    const { buffer, reader, school, activity } = this.#deps;
    const classSubjectId = await this.#requireTaker(caller, classId, period);
    await this.#requireEditable(caller, on);
    const [roster, before] = await Promise.all([school.roster(classId, on), reader.getSheet('attendance', sheetKey(classId, on, period))]);
    const enrolled = new Set(roster.map(({ studentId }) => studentId));
    const strangers = entries.flatMap(({ student_id }, index) => (enrolled.has(student_id) ? [] : [{ pointer: `/entries/${index}/student_id`, detail: 'is not in this class on that date' }]));
    if (strangers.length > 0) throw new NotEnrolledError({ errors: strangers });
    const oldHead = before?.head as unknown as SheetHead | undefined;
    if (oldHead && oldHead.status !== 'open') throw new SheetClosedError();
    const now = caller.now.toISOString();
    const marks = rest === undefined ? entries : await this.#fill(entries, rest, roster.map(({ studentId }) => studentId), on, before?.fields);
    const fields = marks.map((entry): AttendanceEntry => ({ ...entry, marked_by: caller.actor.userId, marked_at: now }));
    const head: SheetHead = {
      id: sheetId(classId, on, period),
      class_id: classId,
      on_date: on,
      period_no: period,
      class_subject_id: classSubjectId,
      status: 'open',
      taken_by: caller.actor.userId,
      taken_at: oldHead?.taken_at ?? now,
    };
    const changed = fields
      .map(({ student_id, status, minutes_late, remark }) => ({ old: before?.fields.get(student_id) as unknown as AttendanceEntry | undefined, now: { student_id, status, minutes_late, remark } }))
      .filter(({ old, now: entry }) => old?.status !== entry.status || old.minutes_late !== entry.minutes_late || old.remark !== entry.remark);
    await Promise.all([
      buffer.putSheet('attendance', sheetKey(classId, on, period), head as unknown as Document, fields as unknown as Document[], {
        ...(before ? { base: before.version } : {}),
        ...(ifMatch === undefined ? {} : { ifMatch }),
      }),
      activity.record(caller, {
        service: 'attendance',
        action: 'attendance.save',
        entity: { type: 'attendance', id: head.id },
        before: changed.map(({ old, now: { student_id } }) => ({ student_id, status: old?.status ?? null })),
        after: changed.map(({ now: entry }) => entry),
      }),
    ]);
    return this.sheet(caller, classId, on, period);
  }

  /** A student's days of a range. */
  async studentDays(caller: Caller, studentId: string, from: string, to: string) {
    await this.#requireStudent(caller, studentId);
    return (await this.#marks({ studentIds: [studentId], from, to }))
      .map(({ onDate, status, minutesLate, remark }) => ({ date: onDate, status, minutes_late: minutesLate, remark }))
      .sort((a, b) => (a.date < b.date ? -1 : 1));
  }

  /** AT3 over a term, up to today. @throws NotFoundError for an unknown term */
  async studentSummary(caller: Caller, studentId: string, termId: string): Promise<Summary> {
    await this.#requireStudent(caller, studentId);
    const term = (await this.#deps.school.terms()).find(({ id }) => id === termId);
    if (!term) throw new NotFoundError({ errors: [{ pointer: '/query/term_id', detail: 'is not a term of this year' }] });
    const today = await this.#today(caller);
    const to = term.endsOn < today ? term.endsOn : today;
    const summaries = await this.#summaries([studentId], await this.#marks({ studentIds: [studentId], from: term.startsOn, to }), term.startsOn, to);
    return summaries.get(studentId)!;
  }

  /** AT3 for each student of a class in a month, up to today. */
  async classSummary(caller: Caller, classId: string, month: string) {
    requireStaff(caller);
    const { school } = this.#deps;
    requireReach(await reachOf(caller.actor, caller.scope, school), 'classes', classId);
    const today = await this.#today(caller);
    const from = `${month}-01`;
    const monthEnd = addDays(`${addDays(from, 31).slice(0, 7)}-01`, -1);
    const to = monthEnd < today ? monthEnd : today;
    const roster = await school.roster(classId, to < from ? from : to);
    const summaries = await this.#summaries(roster.map(({ studentId }) => studentId), await this.#marks({ classId, from, to }), from, to);
    return roster.map(({ studentId, fullName, rollNo }) => ({ student_id: studentId, full_name: fullName, roll_no: rollNo, ...summaries.get(studentId)! }));
  }

  /** Classes in the caller's reach whose roll of an open day has not been taken. */
  async missing(caller: Caller, on: string) {
    requireStaff(caller);
    const { school, store } = this.#deps;
    const reach = await reachOf(caller.actor, caller.scope, school);
    const [day] = await school.schoolDays(on, on);
    if (!day?.isOpen) return [];
    const taken = await store.takenClasses(on);
    for (const key of await this.#pendingKeys('on_date', [on])) {
      const [classId, , period] = key.split(':');
      if (period === '0') taken.add(classId!);
    }
    return (await school.classes()).filter(({ id }) => (reach.all || reach.classes.has(id)) && !taken.has(id)).map(({ id, name }) => ({ class_id: id, class_name: name }));
  }

  /** Students absent on a date. */
  async absentees(caller: Caller, on: string) {
    requireStaff(caller);
    const reach = await reachOf(caller.actor, caller.scope, this.#deps.school);
    return (await this.#marks({ from: on, to: on }))
      .filter(({ status, classId }) => status === 'absent' && (reach.all || reach.classes.has(classId)))
      .map(({ studentId, classId, remark }) => ({ student_id: studentId, class_id: classId, remark }));
  }

  /** Students absent on each of the last `days` open days (AT7). */
  async consecutive(caller: Caller, days: number) {
    requireStaff(caller);
    const { school } = this.#deps;
    const reach = await reachOf(caller.actor, caller.scope, school);
    const today = await this.#today(caller);
    const open = (await school.schoolDays(addDays(today, -MOST_RUN_DAYS), today)).filter(({ isOpen }) => isOpen).map(({ date }) => date);
    const wanted = open.slice(-days);
    if (wanted.length < days) return [];
    const runs = new Map<string, { classId: string; count: number }>();
    for (const { studentId, classId, status } of await this.#marks({ from: wanted[0]!, to: wanted.at(-1)! })) {
      if (status !== 'absent' || !(reach.all || reach.classes.has(classId))) continue;
      const run = runs.get(studentId) ?? { classId, count: 0 };
      run.count++;
      runs.set(studentId, run);
    }
    return [...runs].filter(([, { count }]) => count === days).map(([studentId, { classId }]) => ({ student_id: studentId, class_id: classId, days, since: wanted[0] }));
  }

  /** Who may take which sheet: the homeroom teacher the day's roll, a class-subject's teacher its periods. */
  async #requireTaker({ actor, scope }: Caller, classId: string, period: number): Promise<string | null> {
    const { teaches, homerooms } = await actor.scopes();
    if (scope.includes('A')) {
      if (!(await this.#deps.school.classes()).some(({ id }) => id === classId)) throw new NotFoundError();
      return null;
    }
    if (period === 0) {
      if (scope.includes('H') && homerooms.some(({ id }) => id === classId)) return null;
      throw new NotFoundError();
    }
    const taught = scope.includes('T') ? teaches.find((subject) => subject.classId === classId) : undefined;
    if (!taught) throw new NotFoundError();
    return taught.classSubjectId;
  }

  async #requireEditable({ scope, now }: Caller, on: string): Promise<void> {
    const { school } = this.#deps;
    const today = schoolDateOf(now, await school.timezone());
    const [{ edit_window_days }, terms, days] = await Promise.all([school.settings(), school.terms(), school.schoolDays(on < today ? on : today, on < today ? today : on)]);
    requireEditableDay({
      on,
      today,
      days,
      editWindowDays: edit_window_days,
      isTermLocked: terms.some(({ startsOn, endsOn, lockedAt }) => lockedAt !== null && startsOn <= on && on <= endsOn),
      isAdmin: scope.includes('A'),
    });
  }

  /** AT2: the unmentioned get their leave's status, else `rest`; those marked before keep their mark. */
  async #fill(entries: EntryInput[], rest: AttendanceStatus, students: string[], on: string, marked: Map<string, Document> | undefined): Promise<EntryInput[]> {
    const mentioned = new Set(entries.map(({ student_id }) => student_id));
    const others = students.filter((id) => !mentioned.has(id) && !marked?.has(id));
    const leaves = new Map((await this.#deps.school.approvedLeave(students, on)).map(({ studentId, part }) => [studentId, part]));
    return [
      ...entries,
      ...others.map((student_id): EntryInput => {
        const leave = leaves.get(student_id);
        return { student_id, status: leave ? prefillOf(leave) : rest, minutes_late: null, remark: null };
      }),
    ];
  }

  async #requireStudent({ actor, scope, now }: Caller, studentId: string): Promise<void> {
    const { school } = this.#deps;
    const reach = await reachOf(actor, scope, school);
    if (reach.all || reach.students.has(studentId)) return;
    const classId = scope.includes('T') || scope.includes('H') ? await school.classOf(studentId, schoolDateOf(now, await school.timezone())) : undefined;
    if (!classId || !reach.classes.has(classId)) throw new NotFoundError();
  }

  async #today({ now }: Caller): Promise<string> {
    return schoolDateOf(now, await this.#deps.school.timezone());
  }

  /** Stored marks with the pending ones over them. */
  async #marks(query: { classId?: string; studentIds?: readonly string[]; from: string; to: string }): Promise<StoredMark[]> {
    const { store, buffer } = this.#deps;
    // Pending first: a sheet that is stored in between is seen here or there (I4).
    const keys = query.classId ? await this.#pendingKeys('class_id', [query.classId]) : await this.#allPendingKeys();
    const sheets = await Promise.all(keys.map(async (key) => ({ key, sheet: await buffer.getSheet('attendance', key) })));
    const marks = new Map((await store.marks(query)).map((mark) => [`${mark.classId}:${mark.onDate}:${mark.studentId}`, mark]));
    for (const { key, sheet } of sheets) {
      const [classId, onDate, period] = key.split(':') as [string, string, string];
      if (!sheet || period !== '0' || onDate < query.from || onDate > query.to || (query.classId && query.classId !== classId)) continue;
      for (const [studentId, { document }] of sheet.fields) {
        if (query.studentIds && !query.studentIds.includes(studentId)) continue;
        const { status, minutes_late, remark } = document as unknown as AttendanceEntry;
        marks.set(`${classId}:${onDate}:${studentId}`, { classId, onDate, studentId, status, minutesLate: minutes_late, remark });
      }
    }
    return [...marks.values()];
  }

  async #pendingKeys(column: string, values: readonly string[]): Promise<string[]> {
    return this.#deps.buffer.pendingSheetKeys('attendance', column, values);
  }

  /** A day's sheets at most: the lane stores them within a minute. */
  async #allPendingKeys(): Promise<string[]> {
    const keys: string[] = [];
    for (let shard = 0; shard < this.#deps.buffer.keys.shards; shard++) {
      for await (const found of this.#deps.buffer.dirtyKeys('attendance', shard)) keys.push(...found);
    }
    return keys;
  }

  async #summaries(students: readonly string[], marks: readonly StoredMark[], from: string, to: string): Promise<Map<string, Summary>> {
    const openDays = from > to ? 0 : (await this.#deps.school.schoolDays(from, to)).filter(({ isOpen }) => isOpen).length;
    const counts = new Map<string, Counts>(students.map((id) => [id, noCounts()]));
    for (const { studentId, status } of marks) {
      const own = counts.get(studentId);
      if (own) own[status]++;
    }
    return new Map(
      [...counts].map(([id, own]) => {
        const marked = Object.values(own).reduce((sum: number, count) => sum + count, 0);
        return [id, { ...own, pct_bp: percentageBp(own), unmarked: Math.max(0, openDays - marked) }];
      }),
    );
  }
}
