import { namedId, submissionId } from '../src/lib/ids.ts';
import type { SeedClassSubject, Structure } from './classes.ts';
import { addDays, addMs, instantAt, schoolDateOf, versionOf } from './dates.ts';
import { answerText, assignmentText, feedbackText } from './homework-texts.ts';
import { timedId } from './ids.ts';
import type { SeedStudent } from './people.ts';
import { createRandom, type Random } from './random.ts';
import type { Row } from './rows.ts';
import type { SchoolYear } from './school-year.ts';

const DAY_MS = 86_400_000;
/** When each of a class-subject's three assignments is due, in days from today; the last ones spread over two weeks. */
const ROUNDS = [
  { dueFrom: -38, dueTo: -32 },
  { dueFrom: -24, dueTo: -15 },
  { dueFrom: -14, dueTo: 3 },
];
const LATE_DAYS = 3;
const LATE_DEDUCT_BP = 1_000;
const LATE_FLOOR_BP = 5_000;
const MAX_X100 = 2_000;

const SHARE = {
  lateWindow: 0.85,
  ungraded: 0.02,
  missing: 0.06,
  late: 0.09,
  /** Of those who have time until the due date still to come. */
  handedInEarly: 0.75,
  secondRevision: 0.08,
  withFile: 0.44,
  withMaterial: 0.5,
  feedback: 0.4,
  excused: 0.05,
};

type Tables =
  | 'files'
  | 'homework'
  | 'homework_files'
  | 'homework_submissions'
  | 'homework_submission_files'
  | 'homework_grades';
export type HomeworkRows = Record<Tables, Row[]>;

interface Terms {
  assignedOn: string;
  dueOn: string;
  publishAt: string;
  dueAt: string;
  lateUntilAt: string | null;
  maxX100: number | null;
  isMissingZero: boolean;
  isAutosubmit: boolean;
  kind: 'text' | 'file' | 'any';
}

interface Plan extends Terms {
  /** Set when several classes get it. */
  groupId: string | null;
  title: string;
  description: string;
}

interface Assignment extends Plan {
  id: string;
  name: string;
  taught: SeedClassSubject;
  round: number;
}

interface HandedIn {
  id: string;
  lateDays: number;
}

/** Three assignments for each class-subject with what came back, as it stood yesterday night. */
export function createHomework({ classSubjects }: Structure, year: SchoolYear): HomeworkRows {
  const random = createRandom('homework');
  const rows: HomeworkRows = {
    files: [],
    homework: [],
    homework_files: [],
    homework_submissions: [],
    homework_submission_files: [],
    homework_grades: [],
  };
  const until = instantAt(addDays(year.today, -1), '23:30');

  const plans = new Map<string, Plan>();

  for (const [index, taught] of classSubjects.entries()) {
    for (let round = 0; round < ROUNDS.length; round++) {
      const assignment = assign(taught, round, index);
      if (!assignment) continue;
      // a class's list of the day it was due: who joined later is neither missing nor counted
      for (const student of taught.class.roster(assignment.dueOn)) {
        const handedIn = handIn(assignment, student);
        if (isGraded(assignment)) grade(assignment, student, handedIn);
      }
    }
  }
  return rows;

  /** In the second round a teacher gives the same assignment to all classes of a grade. */
  function planOf(taught: SeedClassSubject, round: number, index: number): Plan {
    const isShared = round === 1;
    const group = isShared ? `homework-group:${taught.staff.id}:${taught.class.grade}` : `${taught.id}:${round}`;
    const known = plans.get(group);
    if (known) return known;
    const plan = {
      groupId: isShared ? namedId(group) : null,
      ...createPlan(random, year, ROUNDS[round]!, index),
      ...assignmentText(random, taught.code),
    };
    plans.set(group, plan);
    return plan;
  }

  /** @returns nothing for a draft, which no student sees */
  function assign(taught: SeedClassSubject, round: number, index: number): Assignment | undefined {
    const plan = planOf(taught, round, index);
    const name = `homework:${taught.id}:${round}`;
    const isDraft = round === 2 && index % 16 === 5;
    const assignment: Assignment = { ...plan, id: timedId(name, plan.publishAt), name, taught, round };
    rows.homework.push({
      id: assignment.id,
      class_subject_id: taught.id,
      staff_id: taught.staff.id,
      group_id: plan.groupId,
      title: plan.title,
      description: plan.description,
      assigned_on: plan.assignedOn,
      publish_at: plan.publishAt,
      due_at: plan.dueAt,
      late_until_at: plan.lateUntilAt,
      late_deduct_bp: plan.lateUntilAt ? LATE_DEDUCT_BP : 0,
      late_floor_bp: plan.lateUntilAt ? LATE_FLOOR_BP : 0,
      max_x100: plan.maxX100,
      submission_kind: plan.kind,
      max_files: 5,
      max_revisions: 3,
      is_autosubmit: plan.isAutosubmit,
      is_missing_zero: plan.isMissingZero,
      status: isDraft ? 'draft' : round === 0 ? 'closed' : 'published',
      created_at: plan.publishAt,
      updated_at: plan.publishAt,
      version: versionOf(plan.publishAt),
      deleted_at: null,
    });
    if (random.chance(SHARE.withMaterial)) {
      const fileId = addFile(`${name}:material`, taught.staff.userId, 'homework', 'worksheet.pdf', plan.publishAt);
      rows.homework_files.push({ homework_id: assignment.id, file_id: fileId, position: 1 });
    }
    return isDraft ? undefined : assignment;
  }

  function handIn(assignment: Assignment, student: SeedStudent): HandedIn | undefined {
    const { publishAt, dueAt, lateUntilAt } = assignment;
    const isOpen = dueAt > until;
    if (random.chance(isOpen ? 1 - SHARE.handedInEarly : SHARE.missing)) return undefined;
    const isLate = !isOpen && lateUntilAt !== null && random.chance(SHARE.late / SHARE.lateWindow);
    const from = Date.parse(isLate ? dueAt : publishAt);
    const to = Math.min(Date.parse(isLate ? lateUntilAt! : dueAt), Date.parse(until));
    // most of them towards the deadline
    const submittedAt = new Date(from + Math.ceil(Math.sqrt(random.next()) * (to - from - 1_000)) + 500).toISOString();
    const lateDays = isLate ? Math.ceil((Date.parse(submittedAt) - Date.parse(dueAt)) / DAY_MS) : 0;
    const name = `${assignment.name}:${student.id}`;
    const id = submissionId(assignment.id, student.id);
    const hasFile = assignment.kind === 'file' || (assignment.kind === 'any' && random.chance(SHARE.withFile));
    const revision = random.chance(SHARE.secondRevision) ? 2 : 1;
    rows.homework_submissions.push({
      id,
      homework_id: assignment.id,
      student_id: student.id,
      revision,
      body: assignment.kind === 'file' ? null : answerText(random),
      status: 'submitted',
      saved_at: submittedAt,
      submitted_at: submittedAt,
      is_late: isLate,
      late_days: lateDays,
      created_at: submittedAt,
      updated_at: submittedAt,
      version: versionOf(submittedAt),
    });
    if (hasFile) {
      const fileId = addFile(`${name}:file`, student.userId, 'submission', 'notebook.jpg', submittedAt);
      rows.homework_submission_files.push({ submission_id: id, file_id: fileId, revision });
    }
    return { id, lateDays };
  }

  /** Teachers have marked what closed by the day before yesterday. */
  function isGraded({ maxX100, dueAt, lateUntilAt }: Assignment): boolean {
    return maxX100 !== null && addMs(lateUntilAt ?? dueAt, DAY_MS) < until;
  }

  function grade(assignment: Assignment, student: SeedStudent, handedIn: HandedIn | undefined): void {
    const gradedAt = addMs(assignment.lateUntilAt ?? assignment.dueAt, random.int(12 * 60, 23 * 60) * 60_000);
    const raw = handedIn ? Math.min(MAX_X100, 50 * random.int(16, 44)) : null;
    const penalty = handedIn ? Math.round((MAX_X100 * LATE_DEDUCT_BP * handedIn.lateDays) / 10_000) : 0;
    const isExcused = !handedIn && random.chance(SHARE.excused);
    // H2: a late mark falls by the penalty, not below the floor, and never above what it was
    const floor = Math.round((MAX_X100 * LATE_FLOOR_BP) / 10_000);
    const final =
      raw === null
        ? isExcused || !assignment.isMissingZero
          ? null
          : 0
        : Math.max(raw - penalty, Math.min(raw, floor));
    rows.homework_grades.push({
      homework_id: assignment.id,
      student_id: student.id,
      submission_id: handedIn?.id ?? null,
      status: handedIn ? 'graded' : isExcused ? 'excused' : 'missing',
      raw_x100: raw,
      penalty_x100: penalty,
      final_x100: final,
      is_penalty_waived: false,
      feedback: handedIn && random.chance(SHARE.feedback) ? feedbackText(random) : null,
      graded_by: assignment.taught.staff.id,
      graded_at: gradedAt,
      released_at: assignment.round === 0 ? addMs(gradedAt, 30 * 60_000) : null,
      version: versionOf(gradedAt),
    });
  }

  function addFile(name: string, owner: string, purpose: string, fileName: string, at: string): string {
    const id = timedId(name, at);
    rows.files.push({
      id,
      owner_user_id: owner,
      purpose,
      bucket: 'schools24',
      object_key: `${purpose}/${schoolDateOf(new Date(at))}/${id}`,
      file_name: fileName,
      mime: fileName.endsWith('.pdf') ? 'application/pdf' : 'image/jpeg',
      size_bytes: random.int(20_000, 4_000_000),
      status: 'ready',
      created_at: at,
      updated_at: at,
    });
    return id;
  }
}

function createPlan(random: Random, year: SchoolYear, due: { dueFrom: number; dueTo: number }, index: number): Terms {
  const yesterday = addDays(year.today, -1);
  const dueOn = year.openOnOrAfter(addDays(year.today, due.dueFrom + (index % (due.dueTo - due.dueFrom + 1))));
  const assigned = addDays(dueOn, -random.int(7, 9));
  const assignedOn = [assigned, yesterday].sort()[0]!;
  const dueAt = instantAt(dueOn, '23:59');
  return {
    assignedOn,
    dueOn,
    publishAt: instantAt(assignedOn, '15:00', random.int(0, 120) * 60_000),
    dueAt,
    lateUntilAt: random.chance(SHARE.lateWindow) ? addMs(dueAt, LATE_DAYS * DAY_MS) : null,
    maxX100: random.chance(SHARE.ungraded) ? null : MAX_X100,
    isMissingZero: random.chance(0.5),
    isAutosubmit: random.chance(0.5),
    kind: random.chance(0.7) ? 'any' : random.chance(0.5) ? 'text' : 'file',
  };
}
