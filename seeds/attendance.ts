import { sheetId } from '../src/lib/ids.ts';
import type { SeedClass, Structure } from './classes.ts';
import { addDays, addMs, instantAt, versionOf } from './dates.ts';
import { timedId } from './ids.ts';
import type { SeedStudent } from './people.ts';
import { createRandom, type Random } from './random.ts';
import type { Row } from './rows.ts';
import type { SchoolYear } from './school-year.ts';

export type AttendanceRows = Record<'attendance_sheets' | 'attendance_entries' | 'leave_requests', Row[]>;

/** Shares of a day's marks; leave comes from approved requests and makes another 1 %. */
const LATE = 0.02;
const ABSENT = 0.026;
/** One student in fifty is often away. */
const OFTEN_AWAY = { share: 0.02, absent: 0.22 };
const LEAVES_PER_STUDENT = 0.6;
const ON_LEAVE_TODAY = 0.01;
const PENDING_LEAVE = 0.01;

const LEAVE_REASONS = [
  { kind: 'sick', reason: 'Fever and cold; the doctor advised rest.' },
  { kind: 'sick', reason: 'Stomach upset since last night.' },
  { kind: 'family', reason: 'Wedding in the family.' },
  { kind: 'family', reason: 'Visiting grandparents who are unwell.' },
  { kind: 'event', reason: 'District chess tournament.' },
  { kind: 'other', reason: 'Appointment at the passport office.' },
];

/** Students' days on approved leave: status of the roll by date. */
type Leave = Map<string, 'excused' | 'half_day'>;

/** Rolls of all past open days with the leave behind them. */
export function createAttendance({ classes }: Structure, year: SchoolYear): AttendanceRows {
  const random = createRandom('attendance');
  const rows: AttendanceRows = { attendance_sheets: [], attendance_entries: [], leave_requests: [] };
  const lockedTerm = year.terms.findLast(({ endsOn }) => addDays(endsOn, 5) < year.today);

  for (const [index, schoolClass] of classes.entries()) {
    const leaves = new Map<string, Leave>();
    const absence = new Map<string, number>();
    for (const [seat, student] of schoolClass.roster(year.today).entries()) {
      leaves.set(
        student.id,
        createLeaves(rows.leave_requests, schoolClass, student, year, random, leaveToday(index, seat)),
      );
      absence.set(student.id, random.chance(OFTEN_AWAY.share) ? OFTEN_AWAY.absent : ABSENT);
    }
    for (const on of year.pastOpenDays) {
      takeRoll(rows, schoolClass, on, lockedTerm !== undefined && on <= lockedTerm.endsOn, {
        id: sheetId(schoolClass.id, on),
        random,
        leaveOf: (student) => leaves.get(student)?.get(on),
        absenceOf: (student) => absence.get(student) ?? ABSENT,
      });
    }
  }
  return rows;

  /** In the first class the third student is on leave today and the fourth has asked for tomorrow, at every scale. */
  function leaveToday(classIndex: number, seat: number): 'approved' | 'pending' | undefined {
    if (classIndex === 0 && seat < 4) return seat === 2 ? 'approved' : seat === 3 ? 'pending' : undefined;
    if (random.chance(ON_LEAVE_TODAY)) return 'approved';
    return random.chance(PENDING_LEAVE) ? 'pending' : undefined;
  }
}

interface Roll {
  id: string;
  random: Random;
  leaveOf(studentId: string): 'excused' | 'half_day' | undefined;
  absenceOf(studentId: string): number;
}

function takeRoll(rows: AttendanceRows, schoolClass: SeedClass, on: string, isClosed: boolean, roll: Roll): void {
  const { id, random, leaveOf, absenceOf } = roll;
  const takenAt = instantAt(on, '08:35', random.int(0, 15 * 60) * 1_000);
  const takenBy = schoolClass.homeroom.userId;
  rows.attendance_sheets.push({
    id,
    class_id: schoolClass.id,
    on_date: on,
    period_no: 0,
    class_subject_id: null,
    status: isClosed ? 'closed' : 'open',
    taken_by: takenBy,
    taken_at: takenAt,
    created_at: takenAt,
    updated_at: takenAt,
    version: versionOf(takenAt),
  });
  for (const student of schoolClass.roster(on)) {
    const status = leaveOf(student.id) ?? mark(random, absenceOf(student.id));
    rows.attendance_entries.push({
      sheet_id: id,
      student_id: student.id,
      on_date: on,
      status,
      minutes_late: status === 'late' ? random.int(3, 45) : null,
      remark: status === 'absent' && random.chance(0.2) ? 'No message from home.' : null,
      marked_by: takenBy,
      marked_at: takenAt,
      entry_version: versionOf(takenAt),
    });
  }
}

function mark(random: Random, absent: number): 'present' | 'late' | 'absent' {
  const draw = random.next();
  if (draw < absent) return 'absent';
  return draw < absent + LATE ? 'late' : 'present';
}

/** Adds a student's requests; @returns the days that approved ones cover. */
function createLeaves(
  into: Row[],
  schoolClass: SeedClass,
  student: SeedStudent,
  year: SchoolYear,
  random: Random,
  now: 'approved' | 'pending' | undefined,
): Leave {
  const days: Leave = new Map();
  const since = schoolClass.memberSince(student);
  const open = year.pastOpenDays.filter((on) => on >= since);
  const add = (fromOn: string, toOn: string, part: 'full' | 'am', status: string, askedAt: string): void => {
    const decidedAt = status === 'pending' ? null : addMs(askedAt, random.int(20, 90) * 60_000);
    into.push({
      id: timedId(`leave:${student.id}:${fromOn}`, askedAt),
      student_id: student.id,
      from_on: fromOn,
      to_on: toOn,
      part,
      ...random.pick(LEAVE_REASONS),
      status,
      requested_by: student.guardianUserId,
      decided_by: decidedAt === null ? null : schoolClass.homeroom.userId,
      decided_at: decidedAt,
      created_at: askedAt,
      updated_at: decidedAt ?? askedAt,
      version: versionOf(decidedAt ?? askedAt),
    });
  };

  let from = random.int(0, open.length - 1);
  for (let chance = LEAVES_PER_STUDENT; random.chance(chance) && from < open.length - 4; chance /= 3) {
    const draw = random.next();
    const length = draw < 0.6 ? 1 : draw < 0.85 ? 2 : 3;
    const fromOn = open[from]!;
    const isHalf = length === 1 && random.chance(0.06);
    const isApproved = random.chance(0.95);
    add(
      fromOn,
      open[from + length - 1]!,
      isHalf ? 'am' : 'full',
      isApproved ? 'approved' : 'rejected',
      instantAt(addDays(fromOn, -1), '18:00'),
    );
    for (const on of isApproved ? open.slice(from, from + length) : []) days.set(on, isHalf ? 'half_day' : 'excused');
    from = random.int(from + length, open.length - 1);
  }
  if (now) {
    const fromOn = year.openOnOrAfter(now === 'approved' ? year.today : addDays(year.today, 1));
    add(fromOn, fromOn, 'full', now, instantAt(addDays(year.today, -1), '19:00'));
  }
  return days;
}
