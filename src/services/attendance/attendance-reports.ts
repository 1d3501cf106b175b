import { NotFoundError, UnprocessableError } from '../../errors/catalogue.ts';
import { addDays, daysBetween } from '../../lib/clock.ts';
import { inReach } from '../../lib/reach.ts';
import type { Reading } from '../../lib/route.ts';
import { covers, type School } from '../school/school.ts';
import type { AttendanceMarks } from './attendance-marks.ts';
import { type Counts, noCounts, percentageBp } from './attendance-rules.ts';
import type { StoredMark } from './attendance-store.ts';

type Caller = Pick<Reading, 'now' | 'reach'>;

/** A student's time in a class; summaries count no day outside it. */
interface Stay {
  startsOn: string;
  endsOn: string | null;
}

export interface Summary extends Counts {
  /** Null when no day counts. */
  pct_bp: number | null;
  /** Open school days without a mark: reported, not counted (AT3). */
  unmarked: number;
}

/** A school year and some days. */
const MOST_RANGE_DAYS = 400;
/** How far back a run of absences is looked for. */
const MOST_RUN_DAYS = 60;

/** What the day's rolls add up to, for students, classes and those who run the school. */
export class AttendanceReports {
  readonly #marks: AttendanceMarks;
  readonly #school: School;

  constructor({ marks, school }: { marks: AttendanceMarks; school: School }) {
    this.#marks = marks;
    this.#school = school;
  }

  /** A student's days of a range. */
  async studentDays(studentId: string, from: string, to: string) {
    if (from > to || daysBetween(from, to) > MOST_RANGE_DAYS) {
      throw new UnprocessableError({
        errors: [{ pointer: '/query/to', detail: `must be at most ${MOST_RANGE_DAYS} days after from` }],
      });
    }
    return (await this.#studentMarks(studentId, from, to))
      .map(({ onDate, status, minutesLate, remark }) => ({ date: onDate, status, minutes_late: minutesLate, remark }))
      .sort((a, b) => (a.date < b.date ? -1 : 1));
  }

  /** AT3 over a term, up to today. @throws NotFoundError for an unknown term */
  async studentSummary({ now }: Pick<Caller, 'now'>, studentId: string, termId: string): Promise<Summary> {
    const term = (await this.#school.terms()).find(({ id }) => id === termId);
    if (!term)
      throw new NotFoundError({ errors: [{ pointer: '/query/term_id', detail: 'is not a term of this year' }] });
    const today = await this.#school.dateAt(now);
    const to = earlier(term.endsOn, today);
    const [marks, stays, openDays] = await Promise.all([
      this.#studentMarks(studentId, term.startsOn, to),
      this.#school.enrolments(studentId),
      this.#openDays(term.startsOn, to),
    ]);
    return summaryOf(marks, stays, openDays);
  }

  /** AT3 for each student of a class in a month, up to today. @param month `YYYY-MM` */
  async classSummary({ now }: Pick<Caller, 'now'>, classId: string, month: string) {
    await this.#school.requireClass(classId);
    const today = await this.#school.dateAt(now);
    const from = `${month}-01`;
    const lastDay = addDays(`${addDays(from, 31).slice(0, 7)}-01`, -1);
    const to = earlier(lastDay, today);
    const [roster, marks, openDays] = await Promise.all([
      this.#school.roster(classId, to < from ? from : to),
      this.#marks.list({ classId, from, to }, { column: 'class_id', values: [classId] }),
      this.#openDays(from, to),
    ]);
    const byStudent = Map.groupBy(marks, ({ studentId }) => studentId);
    return roster.map((member) => ({
      student_id: member.studentId,
      full_name: member.fullName,
      roll_no: member.rollNo,
      ...summaryOf(byStudent.get(member.studentId) ?? [], [member], openDays),
    }));
  }

  /** Classes in the caller's reach whose roll of an open day has not been taken. */
  async missing(caller: Caller, on: string) {
    const reach = await caller.reach();
    if ((await this.#openDays(on, on)).length === 0) return [];
    const [taken, classes] = await Promise.all([this.#marks.takenClasses(on), this.#school.classes()]);
    return inReach(reach, 'homerooms', classes, ({ id }) => id)
      .filter(({ id }) => !taken.has(id))
      .map(({ id, name }) => ({ class_id: id, class_name: name }));
  }

  /** Students absent on a date. */
  async absentees(caller: Caller, on: string) {
    const reach = await caller.reach();
    const marks = await this.#marks.list({ from: on, to: on }, { column: 'on_date', values: [on] });
    const absent = inReach(reach, 'homerooms', marks, classOf).filter(isAbsent);
    return Promise.all(absent.map(async (mark) => ({ ...(await this.#person(mark, on)), remark: mark.remark })));
  }

  /** Students absent on each of the last `days` open days up to today (AT7). */
  async consecutive(caller: Caller, days: number) {
    const reach = await caller.reach();
    const today = await this.#school.dateAt(caller.now);
    const wanted = (await this.#openDays(addDays(today, -MOST_RUN_DAYS), today)).slice(-days);
    const [since, last] = [wanted[0], wanted.at(-1)];
    if (since === undefined || last === undefined || wanted.length < days) return [];
    const marks = await this.#marks.list({ from: since, to: last }, { column: 'on_date', values: wanted });
    const absences = Map.groupBy(
      inReach(reach, 'homerooms', marks, classOf).filter(isAbsent),
      ({ studentId }) => studentId,
    );
    const runs = [...absences.values()].filter((own) => new Set(own.map(({ onDate }) => onDate)).size === days);
    return Promise.all(runs.map(async (own) => ({ ...(await this.#person(own[0]!, last)), days, since })));
  }

  async #studentMarks(studentId: string, from: string, to: string): Promise<StoredMark[]> {
    await this.#school.requireStudent(studentId);
    return this.#marks.ofStudent(studentId, { from, to }, await this.#school.enrolments(studentId));
  }

  async #person({ studentId, classId }: StoredMark, on: string) {
    const [roster, classes] = await Promise.all([this.#school.roster(classId, on), this.#school.classes()]);
    const member = roster.find((entry) => entry.studentId === studentId);
    return {
      student_id: studentId,
      full_name: member?.fullName ?? null,
      roll_no: member?.rollNo ?? null,
      class_id: classId,
      class_name: classes.find(({ id }) => id === classId)?.name ?? null,
    };
  }

  async #openDays(from: string, to: string): Promise<string[]> {
    return (await this.#school.schoolDays(from, to)).filter(({ isOpen }) => isOpen).map(({ date }) => date);
  }
}

const classOf = ({ classId }: StoredMark): string => classId;
const isAbsent = ({ status }: StoredMark): boolean => status === 'absent';

const earlier = (a: string, b: string): string => [a, b].sort()[0]!;

function summaryOf(
  marks: readonly Pick<StoredMark, 'onDate' | 'status'>[],
  stays: readonly Stay[],
  openDays: readonly string[],
): Summary {
  const counts = noCounts();
  for (const { status } of marks) counts[status]++;
  const marked = new Set(marks.map(({ onDate }) => onDate));
  const unmarked = openDays.filter((on) => !marked.has(on) && stays.some((stay) => covers(stay, on))).length;
  return { ...counts, pct_bp: percentageBp(counts), unmarked };
}
