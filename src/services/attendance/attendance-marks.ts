import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { Cache } from '../../cache/cache.ts';
import type { Enrolment } from '../school/school.ts';
import type { AttendanceEntry } from './attendance.entity.ts';
import { oneADay } from './attendance-rules.ts';
import type { AttendanceStore, MarkQuery, StoredMark } from './attendance-store.ts';

/** Answers of the database stay usable this long while it is away. */
const STALE_SECONDS = 86_400;

/** Where pending sheets are looked for: those of some classes, or of some dates. */
export type PendingOf = { column: 'class_id' | 'on_date'; values: readonly string[] };

/** Marks of the day's rolls as if every acknowledged sheet were stored (I4). */
export class AttendanceMarks {
  readonly #buffer: WriteBuffer;
  readonly #cache: Cache;
  readonly #store: AttendanceStore;

  constructor(deps: { buffer: WriteBuffer; cache: Cache; store: AttendanceStore }) {
    this.#buffer = deps.buffer;
    this.#cache = deps.cache;
    this.#store = deps.store;
  }

  /** @param pendingOf covers the query: no sheet outside it can hold a mark that the query asks for */
  async list(query: MarkQuery, pendingOf: PendingOf): Promise<StoredMark[]> {
    const { classId: wantedClass, studentIds, from, to } = query;
    // Pending sheets first, then the epoch, then the rows of that epoch: what is stored in between is in one of them.
    const keys = await this.#buffer.pendingSheetKeys('attendance', pendingOf.column, pendingOf.values);
    const wanted = [...new Set(keys)].filter((key) => {
      const { classId, onDate, period } = partsOf(key);
      return period === '0' && from <= onDate && onDate <= to && (wantedClass === undefined || classId === wantedClass);
    });
    const sheets = await Promise.all(wanted.map((key) => this.#buffer.getSheet('attendance', key)));
    const stored = await this.#cached(`marks:${wantedClass ?? ''}:${studentIds?.join() ?? ''}:${from}:${to}`, () =>
      this.#store.marks(query),
    );
    const marks = new Map(stored.map((mark) => [`${mark.classId}:${mark.onDate}:${mark.studentId}`, mark]));
    for (const [index, key] of wanted.entries()) {
      const { classId, onDate } = partsOf(key);
      for (const [studentId, { document }] of sheets[index]?.fields ?? []) {
        if (studentIds && !studentIds.includes(studentId)) continue;
        const { status, minutes_late, remark } = document as unknown as AttendanceEntry;
        marks.set(`${classId}:${onDate}:${studentId}`, {
          classId,
          onDate,
          studentId,
          status,
          minutesLate: minutes_late,
          remark,
        });
      }
    }
    return [...marks.values()];
  }

  /** A student's marks of a range of dates, one a day, whichever classes they are from. @param stays all of the student's */
  async ofStudent(
    studentId: string,
    { from, to }: Pick<MarkQuery, 'from' | 'to'>,
    stays: readonly Enrolment[],
  ): Promise<StoredMark[]> {
    const values = [...new Set(stays.map(({ classId }) => classId))];
    return oneADay(await this.list({ studentIds: [studentId], from, to }, { column: 'class_id', values }), stays);
  }

  /** Classes whose roll of a date is taken. */
  async takenClasses(on: string): Promise<Set<string>> {
    const keys = await this.#buffer.pendingSheetKeys('attendance', 'on_date', [on]);
    const stored = await this.#cached(`taken:${on}`, () => this.#store.takenClasses(on));
    const pending = keys.map(partsOf).filter(({ period, onDate }) => period === '0' && onDate === on);
    return new Set([...stored, ...pending.map(({ classId }) => classId)]);
  }

  async #cached<T>(name: string, load: () => Promise<T>): Promise<T> {
    const epoch = await this.#buffer.epoch('attendance');
    const { value } = await this.#cache.get({
      name: `attendance:${name}`,
      stamp: epoch,
      staleSeconds: STALE_SECONDS,
      load,
    });
    return value;
  }
}

function partsOf(key: string): { classId: string; onDate: string; period: string } {
  const [classId, onDate, period] = key.split(':') as [string, string, string];
  return { classId, onDate, period };
}
