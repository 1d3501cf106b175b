import type { Reader } from '../../buffer/reader.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import {
  AlreadyGradedError,
  FileNotReadyError,
  NotFoundError,
  RevisionsExhaustedError,
  SubmissionClosedError,
  UnprocessableError,
} from '../../errors/catalogue.ts';
import { schoolDateOf } from '../../lib/clock.ts';
import type { Document } from '../../lib/entity.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import { repeatUnlessAsked } from '../repeat.ts';
import type { School } from '../school/school.ts';
import { reachOf, requireReach } from '../scope.ts';
import type { Homework } from './homework.entity.ts';
import { latenessOf } from './homework-rules.ts';
import type { HomeworkService } from './homework-service.ts';
import type { Grade, HomeworkStore } from './homework-store.ts';
import { type HomeworkSubmission, submissionId } from './homework-submission.entity.ts';

type Caller = Pick<RequestContext, 'actor' | 'scope' | 'requestId' | 'ip' | 'now' | 'newId'>;

export interface SubmissionInput {
  body?: string | null;
  file_ids: string[];
  /** Hands in; otherwise a draft is saved. */
  final: boolean;
}

export interface SubmissionView {
  submission: HomeworkSubmission;
  version: number;
  isPending: boolean;
  grade: Grade | undefined;
}

export interface RosterLine {
  student_id: string;
  full_name: string;
  roll_no: number;
  state: 'submitted' | 'late' | 'draft' | 'missing' | 'excused' | 'open' | 'not_counted';
  submitted_at: string | null;
  late_days: number;
  revision: number;
}

const MOST_STUDENTS = 1_000;

export interface SubmissionDeps {
  buffer: WriteBuffer;
  reader: Reader;
  store: HomeworkStore;
  homework: HomeworkService;
  school: School;
  activity: ActivityLog;
}

/** What students hand in (H1, H3–H5, H7–H9). */
export class SubmissionService {
  readonly #deps: SubmissionDeps;

  constructor(deps: SubmissionDeps) {
    this.#deps = deps;
  }

  /**
   * Saves a draft or hands in.
   *
   * @throws SubmissionClosedError after the last deadline or on a closed homework (H1)
   * @throws RevisionsExhaustedError (H3), AlreadyGradedError (H3), FileNotReadyError (H5)
   */
  save(caller: Caller, homeworkId: string, input: SubmissionInput, ifMatch?: number): Promise<SubmissionView> {
    return repeatUnlessAsked(ifMatch, () => this.#save(caller, homeworkId, input, ifMatch));
  }

  async #save(caller: Caller, homeworkId: string, input: SubmissionInput, ifMatch?: number): Promise<SubmissionView> {
    const { buffer, reader, homework: assignments, store, activity } = this.#deps;
    const { homework } = await assignments.get(caller, homeworkId);
    const { studentId } = await caller.actor.scopes();
    if (!studentId) throw new NotFoundError();
    if (homework.submission_kind === 'none') throw new UnprocessableError('this homework takes no submission');
    if (homework.status !== 'published') throw new SubmissionClosedError();
    if (input.file_ids.length > 0)
      throw new FileNotReadyError({ errors: [{ pointer: '/file_ids/0', detail: 'is not a ready file of yours' }] });
    const now = caller.now.toISOString();
    const lateness = latenessOf(homework, now);
    const grade = (await store.grades(homeworkId)).get(studentId);
    if (grade && grade.status !== 'returned') throw new AlreadyGradedError();
    const before = await reader.get('homework_submission', `${homeworkId}:${studentId}`);
    const old = before?.document as unknown as HomeworkSubmission | undefined;
    const hasHandedIn = old !== undefined && old.status !== 'draft';
    if (!input.final && hasHandedIn)
      throw new UnprocessableError('it is handed in already; hand in a new revision instead of a draft');
    if (input.final && (old?.revision ?? 0) >= homework.max_revisions) throw new RevisionsExhaustedError();
    const document: HomeworkSubmission = {
      id: old?.id ?? submissionId(homeworkId, studentId),
      homework_id: homeworkId,
      student_id: studentId,
      revision: (old?.revision ?? 0) + (input.final ? 1 : 0),
      body: input.body ?? null,
      status: input.final ? 'submitted' : 'draft',
      saved_at: now,
      submitted_at: input.final ? now : (old?.submitted_at ?? null),
      ...(input.final ? keptLateness(old, lateness) : { is_late: false, late_days: 0 }),
      created_at: old?.created_at ?? now,
      updated_at: now,
    };
    const base = before?.version;
    const [receipt] = await Promise.all([
      buffer.put('homework_submission', document as unknown as Document, {
        ...(base === undefined ? {} : { base }),
        // A draft never replaces what was handed in meanwhile; two devices never overwrite each other unseen.
        ifMatch: ifMatch ?? base ?? 0,
      }),
      activity.record(caller, {
        service: 'homework',
        action: input.final ? 'homework_submission.submit' : 'homework_submission.save',
        entity: { type: 'homework_submission', id: document.id },
      }),
    ]);
    return { submission: document, version: receipt.version, isPending: true, grade: undefined };
  }

  /** @throws NotFoundError when there is none in the caller's scope */
  async get(caller: Caller, homeworkId: string, studentId: string | undefined): Promise<SubmissionView> {
    const { reader, homework, store, school } = this.#deps;
    await homework.get(caller, homeworkId);
    const own = (await caller.actor.scopes()).studentId;
    const student = studentId ?? own;
    if (!student) throw new NotFoundError();
    const isTeacher = caller.scope.includes('A') || caller.scope.includes('T');
    if (!isTeacher) requireReach(await reachOf(caller.actor, caller.scope, school), 'students', student);
    const found = await reader.get('homework_submission', `${homeworkId}:${student}`);
    if (!found) throw new NotFoundError();
    const grade = (await store.grades(homeworkId)).get(student);
    return {
      submission: found.document as unknown as HomeworkSubmission,
      version: found.version,
      isPending: found.isPending,
      // H9: marks show only after their release.
      grade: grade && (isTeacher || grade.releasedAt !== null) ? grade : undefined,
    };
  }

  /** Every student of the class and where it stands (H7, H8). */
  async roster(caller: Caller, homeworkId: string): Promise<RosterLine[]> {
    const { reader, homework: assignments, store, school } = this.#deps;
    const { homework } = await assignments.get(caller, homeworkId);
    const taught = (await school.classSubjects()).find(({ id }) => id === homework.class_subject_id);
    if (!taught) throw new NotFoundError();
    const timezone = await school.timezone();
    const today = schoolDateOf(caller.now, timezone);
    const [students, grades, submissions] = await Promise.all([
      school.roster(taught.classId, today),
      store.grades(homeworkId),
      reader.list({
        entity: 'homework_submission',
        relation: { column: 'homework_id', values: [homeworkId] },
        sort: { column: 'saved_at', direction: 'asc' },
        limit: MOST_STUDENTS,
      }),
    ]);
    const byStudent = new Map(
      submissions.items.map(({ document }) => [document.student_id, document as unknown as HomeworkSubmission]),
    );
    const dueOn = schoolDateOf(new Date(homework.due_at), timezone);
    return students.map(({ studentId, fullName, rollNo, startsOn }) => {
      const submission = byStudent.get(studentId);
      const isExcused = grades.get(studentId)?.status === 'excused';
      return {
        student_id: studentId,
        full_name: fullName,
        roll_no: rollNo,
        state: isExcused ? 'excused' : stateOf(homework, submission, caller.now.toISOString(), startsOn > dueOn),
        submitted_at: submission?.submitted_at ?? null,
        late_days: submission?.late_days ?? 0,
        revision: submission?.revision ?? 0,
      };
    });
  }
}

/** H3: lateness follows the last revision, but one made after `returned` keeps the earlier lateness. */
function keptLateness(
  old: HomeworkSubmission | undefined,
  { isLate, lateDays }: { isLate: boolean; lateDays: number },
) {
  if (old?.status === 'returned') return { is_late: old.is_late, late_days: old.late_days };
  return { is_late: isLate, late_days: lateDays };
}

/** H7: who joined after the due date is neither missing nor counted. H8: missing is none after the last deadline. */
export function stateOf(
  homework: Pick<Homework, 'due_at' | 'late_until_at'>,
  submission: HomeworkSubmission | undefined,
  now: string,
  hasJoinedLater: boolean,
): RosterLine['state'] {
  if (submission && submission.status !== 'draft') return submission.is_late ? 'late' : 'submitted';
  const isOver = now > (homework.late_until_at ?? homework.due_at);
  if (isOver) return hasJoinedLater ? 'not_counted' : 'missing';
  return submission ? 'draft' : 'open';
}
