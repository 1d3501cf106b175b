import { NotFoundError, PointsLimitError } from '../../errors/catalogue.ts';
import { addDays, type Clock } from '../../lib/clock.ts';
import type { DomainEvent, EventConsumer } from '../../lib/events.ts';
import { sheetId } from '../../lib/ids.ts';
import type { ScheduledTask } from '../../lib/scheduled-task.ts';
import type { FlushChanged } from '../../live/platform-alerts.ts';
import type { AttendanceChanged } from '../attendance/attendance.events.ts';
import { oneADay } from '../attendance/attendance-rules.ts';
import type { AttendanceStore } from '../attendance/attendance-store.ts';
import type { HolidayChanged } from '../calendar/calendar.events.ts';
import type { HomeworkStore } from '../homework/homework-store.ts';
import { homeworkSubmissionEntity } from '../homework/homework-submission.entity.ts';
import type { SubmissionService } from '../homework/submission-service.ts';
import type { School } from '../school/school.ts';
import type { Caller, WriteThrough } from '../write-through.ts';
import { attendancePoints, homeworkPoints } from './leaderboard-rules.ts';
import type { Leaderboards } from './leaderboards.ts';
import type { Period, PointEntry, PointsStore } from './points-store.ts';
import type { Touches } from './touches.ts';

export interface NewPoints {
  student_id: string;
  points: number;
  reason: string;
}

/** What points follow from: rows of other services, which answer for how they are read. */
export interface PointSources {
  attendance: Pick<AttendanceStore, 'marks' | 'neverAbsent'>;
  homework: Pick<HomeworkStore, 'releasedMark'>;
  submissions: Pick<SubmissionService, 'isLate'>;
}

/** DB2: days with a mark that a month's bonus takes. */
const BONUS_DAYS = 15;

interface PointsDeps extends PointSources {
  store: PointsStore;
  writes: WriteThrough;
  leaderboards: Leaderboards;
  touches: Touches;
  school: School;
  clock: Clock;
}

/** Points: given by hand, and those that follow from what students do (DB2, DB3). */
export class PointsService {
  readonly #deps: PointsDeps;

  constructor(deps: PointsDeps) {
    this.#deps = deps;
  }

  /**
   * Gives or takes points by hand.
   *
   * @throws NotFoundError for a student who is in no class
   * @throws PointsLimitError when the author has given the student 100 in absolute sum this month
   */
  async give(caller: Caller, { student_id, points, reason }: NewPoints) {
    const { school, writes, store } = this.#deps;
    const on = await school.dateAt(caller.now);
    const classId = await school.classOf(student_id, on);
    if (classId === undefined) throw new NotFoundError();
    const authorId = caller.actor.userId;
    const given = await writes.run(caller, async ({ knex, emit, record }) => {
      const room = { authorId, studentId: student_id, points, on };
      if (!(await store.hasRoom(knex, room))) throw new PointsLimitError();
      const id = caller.newId();
      const entry = { studentId: student_id, points, reason, effectiveOn: on, createdBy: authorId };
      await store.replace([{ ...entry, source: 'manual', sourceId: id }], caller.now, knex);
      emit({ name: 'points.changed', aggregateId: student_id, payload: { student_id } });
      record({
        service: 'dashboard',
        action: 'points.give',
        entity: { type: 'points', id },
        after: { student_id, points },
      });
      return { id, student_id, points, reason, effective_on: on };
    });
    await this.#show(classId, [student_id], on);
    return given;
  }

  get consumer(): EventConsumer {
    return {
      name: 'points',
      service: 'dashboard',
      on: [
        'homework.submitted',
        'homework.released',
        'attendance.stored',
        'school.enrollment.changed',
        'points.changed',
        'calendar.holiday.changed',
        'platform.flush.repaired',
        'platform.flush.discarded',
      ],
      handle: (event) => this.handle(event),
    };
  }

  /** Entries that follow from an event; the same event again finds them as they are. */
  async handle(event: DomainEvent): Promise<void> {
    const { store, school, clock, leaderboards, touches } = this.#deps;
    const today = await school.dateAt(clock.now());
    if (event.name === 'school.enrollment.changed') {
      const { from, to } = event.payload as { from?: string | null; to?: string | null };
      const classIds = [from, to].filter((id) => id !== null && id !== undefined);
      for (const classId of classIds) await leaderboards.drop(classId);
      // Whoever looked since the move has seen, and kept, ranks of the sets from before it.
      await touches.add(classIds.map((id) => `class:${id}` as const));
      return;
    }
    const entries = await this.#entriesOf(event, today);
    await store.replace(entries, new Date(event.at));
    const { student_id } = event.payload as { student_id?: string };
    const studentIds =
      event.name === 'points.changed' ? [student_id!] : [...new Set(entries.map(({ studentId }) => studentId))];
    const classes = await Promise.all(studentIds.map(async (id) => ({ id, classId: await school.classOf(id, today) })));
    for (const [classId, group] of Map.groupBy(classes, (found) => found.classId)) {
      if (classId === undefined) continue;
      await this.#show(
        classId,
        group.map(({ id }) => id),
        today,
      );
    }
  }

  /** DOMAIN §6: leaderboard.rebuild */
  get nightlyTask(): ScheduledTask {
    return {
      name: 'leaderboard.rebuild',
      service: 'dashboard',
      schedule: { at: '01:00' },
      run: async ({ now }) => {
        await this.nightly(now);
        return {};
      },
    };
  }

  /** DB2: bonuses of the months that are over, and every set anew. */
  async nightly(now: Date): Promise<void> {
    const { store, attendance, leaderboards, school, touches } = this.#deps;
    const today = await school.dateAt(now);
    // A roll may be corrected, or a night missed, long after its month (DB3); and the year's first month follows the last one's.
    const year = (await school.academicYears()).find(({ isCurrent }) => isCurrent);
    for (const over of monthsOver(today, year?.startsOn ?? today)) {
      const earned = await attendance.neverAbsent(over, BONUS_DAYS);
      await store.awardBonuses(over.from.slice(0, 7), over, earned, now);
    }
    await leaderboards.rebuildAll(today);
    await touches.add(['everybody']);
  }

  async #entriesOf({ name, payload, at }: DomainEvent, today: string): Promise<PointEntry[]> {
    if (name === 'homework.submitted') {
      const { homework_id, student_id } = payload as { homework_id: string; student_id: string };
      return [await this.#ofSubmission(homework_id, student_id, at)];
    }
    if (name === 'platform.flush.repaired' || name === 'platform.flush.discarded') {
      const { entity, key } = payload as unknown as FlushChanged;
      if (entity !== homeworkSubmissionEntity.name) return [];
      const [homeworkId, studentId] = key.split(':') as [string, string];
      return [await this.#ofSubmission(homeworkId, studentId, at)];
    }
    if (name === 'homework.released') {
      const { homework_id, student_ids } = payload as { homework_id: string; student_ids: string[] };
      const entries = student_ids.map(async (studentId): Promise<PointEntry[]> => {
        const mark = await this.#deps.homework.releasedMark(homework_id, studentId);
        if (!mark) return [];
        const points = homeworkPoints(mark.isLate, mark.finalX100, mark.maxX100);
        return [{ studentId, source: 'homework', sourceId: homework_id, points, effectiveOn: today }];
      });
      return (await Promise.all(entries)).flat();
    }
    if (name === 'calendar.holiday.changed') {
      const { closed, opened } = payload as unknown as HolidayChanged;
      const past = [...closed, ...opened].filter((date) => date <= today);
      // This event may be here before whoever made the change has them asked anew.
      await this.#deps.school.forgetSchoolDays(past);
      // One after the other: of a vacation or a year they would take every connection from others.
      const entries: PointEntry[] = [];
      for (const date of past) entries.push(...(await this.#ofDay(date)));
      return entries;
    }
    if (name !== 'attendance.stored') return [];
    const { date, period, changed } = payload as unknown as AttendanceChanged;
    // AT3: only the day's roll counts.
    if (period !== 0) return [];
    return this.#ofDay(
      date,
      changed.map(({ student }) => student),
    );
  }

  /**
   * What the rolls of a day are worth as rows and calendar are now: an event that an admin has tried again late must not bring back
   * what a later one has replaced. Nothing on a closed day (AT8), and once where a student is in the rolls of two classes.
   *
   * @param studentIds all who are marked, or were, unless told
   */
  async #ofDay(date: string, studentIds?: readonly string[]): Promise<PointEntry[]> {
    const { attendance, store, school } = this.#deps;
    const [day] = await school.schoolDays(date, date);
    const [known, marks] = await Promise.all([
      store.entriesOf('attendance', date, studentIds),
      day?.isOpen === false ? [] : attendance.marks({ ...(studentIds ? { studentIds } : {}), from: date, to: date }),
    ]);
    const marksOf = Map.groupBy(marks, ({ studentId }) => studentId);
    const knownOf = Map.groupBy(known, ({ studentId }) => studentId);
    const students = [...new Set([...marksOf.keys(), ...knownOf.keys()])];
    const entries = students.map(async (studentId) => {
      const own = marksOf.get(studentId) ?? [];
      const counted = own.length > 1 ? oneADay(own, await school.enrolments(studentId)) : own;
      const points = new Map((knownOf.get(studentId) ?? []).map(({ sourceId }) => [sourceId, 0]));
      for (const { classId } of own) points.set(sheetId(classId, date), 0);
      for (const { classId, status } of counted) points.set(sheetId(classId, date), attendancePoints(status));
      return [...points].map(
        ([sourceId, sum]): PointEntry => ({
          studentId,
          source: 'attendance',
          sourceId,
          points: sum,
          effectiveOn: date,
        }),
      );
    });
    return (await Promise.all(entries)).flat();
  }

  /** As it is now, whatever the event has said: it may come late, or tell of a submission that an admin has given up since. */
  async #ofSubmission(homeworkId: string, studentId: string, at: string): Promise<PointEntry> {
    const [isLate, mark, effectiveOn] = await Promise.all([
      this.#deps.submissions.isLate(homeworkId, studentId),
      this.#deps.homework.releasedMark(homeworkId, studentId),
      this.#deps.school.dateAt(new Date(at)),
    ]);
    const points = isLate === undefined ? 0 : homeworkPoints(isLate, mark?.finalX100 ?? null, mark?.maxX100 ?? null);
    return { studentId, source: 'homework', sourceId: homeworkId, points, effectiveOn };
  }

  async #show(classId: string, studentIds: readonly string[], today: string): Promise<void> {
    await this.#deps.leaderboards.changed(classId, studentIds, today);
    // One student's points may move everybody's rank.
    await this.#deps.touches.add([`class:${classId}`]);
  }
}

/** The month before today's, and those before it back to that of another date. */
function monthsOver(today: string, since: string): Period[] {
  const months: Period[] = [];
  for (let first = firstOfMonth(today); months.length === 0 || first > since; ) {
    const to = addDays(first, -1);
    first = firstOfMonth(to);
    months.push({ from: first, to });
  }
  return months;
}

const firstOfMonth = (date: string): string => `${date.slice(0, 7)}-01`;
