import type { Found, Reader, ReadSource } from '../../buffer/reader.ts';
import type { Writer } from '../../buffer/writer.ts';
import {
  AlreadyGradedError,
  NotFoundError,
  RevisionsExhaustedError,
  SubmissionClosedError,
  UnprocessableError,
} from '../../errors/catalogue.ts';
import { isDatabaseAway } from '../../errors/driver-errors.ts';
import { schoolDateOf } from '../../lib/clock.ts';
import type { Document } from '../../lib/entity.ts';
import { submissionId } from '../../lib/ids.ts';
import { EVERYTHING, type Reach, withParent } from '../../lib/reach.ts';
import type { Reading, RequestContext } from '../../lib/route.ts';
import type { WriteReceipt } from '../../lib/write-receipt.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import { repeatUnlessAsked } from '../repeat.ts';
import type { Files } from '../school/files.ts';
import type { School } from '../school/school.ts';
import { submittedEvent } from './homework.events.ts';
import { latenessOf, revisedLateness, type SubmissionState, stateOf } from './homework-rules.ts';
import type { HomeworkService, HomeworkView } from './homework-service.ts';
import type { Grade, HomeworkStore } from './homework-store.ts';
import type { HomeworkSubmission } from './homework-submission.entity.ts';

type Caller = Reading & Pick<RequestContext, 'requestId' | 'ip' | 'newId'>;

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
  /** Absent while it is not the caller's to see (H9). */
  grade: Grade | undefined;
}

export interface FoundSubmission extends SubmissionView {
  source: ReadSource;
}

export interface WrittenSubmission extends SubmissionView {
  receipt: WriteReceipt;
}

export interface RosterLine {
  student_id: string;
  full_name: string;
  roll_no: number;
  state: SubmissionState;
  submitted_at: string | null;
  late_days: number;
  revision: number;
}

const MOST_STUDENTS = 1_000;

export interface SubmissionDeps {
  writer: Writer;
  reader: Reader;
  store: HomeworkStore;
  homework: HomeworkService;
  school: School;
  files: Files;
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
   * @throws SubmissionClosedError after the last deadline (H1) or on a homework that takes nothing more
   * @throws RevisionsExhaustedError, AlreadyGradedError (H3), FileNotReadyError, FileTypeError (H5)
   */
  save(caller: Caller, homeworkId: string, input: SubmissionInput, ifMatch?: number): Promise<WrittenSubmission> {
    return repeatUnlessAsked(ifMatch, () => this.#save(caller, homeworkId, input, ifMatch));
  }

  async #save(
    caller: Caller,
    homeworkId: string,
    input: SubmissionInput,
    ifMatch?: number,
  ): Promise<WrittenSubmission> {
    const { writer, homework: assignments, files, activity } = this.#deps;
    const { homework } = await assignments.get(caller, homeworkId);
    const { studentId } = await caller.actor.scopes();
    if (!studentId) throw new NotFoundError();
    if (homework.submission_kind === 'none') throw new UnprocessableError('this homework takes no submission');
    if (homework.status !== 'published') throw new SubmissionClosedError();
    requireContent(homework, input);
    const now = caller.now.toISOString();
    const { before, grade } = await this.#before(await caller.reach(), homeworkId, studentId);
    const old = before?.document as unknown as HomeworkSubmission | undefined;
    const isReturned = grade?.status === 'returned' || old?.status === 'returned';
    if (grade && !isReturned) throw new AlreadyGradedError();
    // What a teacher has given back may be handed in anew until the homework is closed, as late as it was (H3).
    const lateness = isReturned && old ? revisedLateness(old) : latenessOf(homework, now);
    if (!input.final && old && old.status !== 'draft') {
      throw new UnprocessableError('it is handed in already; hand in a new revision instead of a draft');
    }
    if (input.final && (old?.revision ?? 0) >= homework.max_revisions) throw new RevisionsExhaustedError();
    const { userId } = caller.actor;
    await files.requireUsable(userId, 'submission', input.file_ids, '/file_ids');
    const document: HomeworkSubmission = {
      id: old?.id ?? submissionId(homeworkId, studentId),
      homework_id: homeworkId,
      student_id: studentId,
      revision: (old?.revision ?? 0) + (input.final ? 1 : 0),
      body: input.body ?? null,
      status: input.final ? 'submitted' : 'draft',
      saved_at: now,
      submitted_at: input.final ? now : null,
      is_late: input.final && lateness.isLate,
      late_days: input.final ? lateness.lateDays : 0,
      file_ids: input.file_ids.length > 0 || old?.file_ids ? input.file_ids : null,
      created_at: old?.created_at ?? now,
      updated_at: now,
    };
    const base = before?.version ?? 0;
    const [receipt] = await Promise.all([
      writer.put('homework_submission', document as unknown as Document, {
        base,
        // A draft never replaces what was handed in meanwhile; two devices never overwrite each other unseen.
        ifMatch: ifMatch ?? base,
        events: input.final ? [submittedEvent(caller, document)] : [],
      }),
      activity.record(caller, {
        service: 'homework',
        action: input.final ? 'homework_submission.submit' : 'homework_submission.save',
        entity: { type: 'homework_submission', id: document.id },
      }),
    ]);
    const { version, isPending } = receipt;
    return { submission: document, version, isPending, receipt, grade: undefined };
  }

  /** @throws NotFoundError when there is none in the caller's scope */
  async get(caller: Reading, homeworkId: string, studentId: string | undefined): Promise<FoundSubmission> {
    const view = await this.#deps.homework.get(caller, homeworkId);
    const student = studentId ?? (await caller.actor.scopes()).studentId;
    if (!student) throw new NotFoundError();
    const found = await this.#find(caller, view, student);
    if (!found) throw new NotFoundError();
    return found;
  }

  /** A student's own submission beside a homework; null for everybody else, or when there is none. */
  async own(caller: Reading, view: HomeworkView): Promise<SubmissionView | null> {
    const { studentId } = await caller.actor.scopes();
    if (!studentId || !caller.scope.includes('O')) return null;
    return (await this.#find(caller, view, studentId)) ?? null;
  }

  /** Whether what a student has handed in is late; undefined while nothing is. For other services. */
  async isLate(homeworkId: string, studentId: string): Promise<boolean | undefined> {
    const found = await this.#deps.reader.get('homework_submission', `${homeworkId}:${studentId}`, EVERYTHING);
    const submission = found?.document as HomeworkSubmission | undefined;
    return submission && submission.status !== 'draft' ? submission.is_late : undefined;
  }

  /** Students who have handed in, for other services. */
  async handedIn(homeworkId: string): Promise<Set<string>> {
    const { items } = await this.#deps.reader.list({
      entity: 'homework_submission',
      reach: EVERYTHING,
      relation: { column: 'homework_id', values: [homeworkId] },
      where: [{ column: 'status', op: 'ne', value: 'draft' }],
      sort: { column: 'saved_at', direction: 'asc' },
      limit: MOST_STUDENTS,
    });
    return new Set(items.map(({ document }) => String(document.student_id)));
  }

  /** Every student of the class and where it stands (H7, H8). */
  async roster(caller: Reading, homeworkId: string): Promise<RosterLine[]> {
    const { reader, homework: assignments, store, school } = this.#deps;
    const view = await assignments.get(caller, homeworkId);
    const { homework } = view;
    const taught = (await school.classSubjects()).find(({ id }) => id === homework.class_subject_id);
    if (!taught) throw new NotFoundError();
    const timezone = await school.timezone();
    const [students, { items }, grades] = await Promise.all([
      school.roster(taught.classId, schoolDateOf(caller.now, timezone)),
      reader.list({
        entity: 'homework_submission',
        reach: await this.#reachOf(caller, view),
        relation: { column: 'homework_id', values: [homeworkId] },
        sort: { column: 'saved_at', direction: 'asc' },
        limit: MOST_STUDENTS,
      }),
      store.grades(homeworkId),
    ]);
    const submissions = new Map(
      items.map(({ document }) => [document.student_id, document as unknown as HomeworkSubmission]),
    );
    const now = caller.now.toISOString();
    const dueOn = schoolDateOf(new Date(homework.due_at), timezone);
    return students.map(({ studentId, fullName, rollNo, startsOn }) => {
      const submission = submissions.get(studentId);
      const isExcused = grades.get(studentId)?.status === 'excused';
      return {
        student_id: studentId,
        full_name: fullName,
        roll_no: rollNo,
        state: stateOf(homework, submission, { now, hasJoinedLater: startsOn > dueOn, isExcused }),
        submitted_at: submission?.submitted_at ?? null,
        late_days: submission?.late_days ?? 0,
        revision: submission?.revision ?? 0,
      };
    });
  }

  async #find(
    caller: Pick<Reading, 'reach'>,
    view: HomeworkView,
    studentId: string,
  ): Promise<FoundSubmission | undefined> {
    const { reader, store } = this.#deps;
    const { homework, isLed } = view;
    const reach = await this.#reachOf(caller, view);
    const [found, grades] = await Promise.all([
      reader.get('homework_submission', `${homework.id}:${studentId}`, reach),
      store.grades(homework.id),
    ]);
    if (!found) return undefined;
    const grade = grades.get(studentId);
    return {
      submission: found.document as unknown as HomeworkSubmission,
      version: found.version,
      isPending: found.isPending,
      source: found.source,
      grade: grade && (isLed || grade.releasedAt !== null) ? grade : undefined,
    };
  }

  /** Whoever runs a homework reaches all that is handed in for it. */
  async #reachOf(caller: Pick<Reading, 'reach'>, { homework, isLed }: HomeworkView): Promise<Reach> {
    const own = await caller.reach();
    return isLed ? withParent(own, homework.id) : own;
  }

  /**
   * What there is of a student. A deadline does not wait for a database that is away: then only the buffer and the cache
   * tell, and the rules on the rest are judged when the write is stored.
   */
  async #before(reach: Reach, homeworkId: string, studentId: string): Promise<{ before?: Found; grade?: Grade }> {
    const { reader, store } = this.#deps;
    const unlessAway = (error: unknown): undefined => {
      if (!isDatabaseAway(error)) throw error;
    };
    const [before, grades] = await Promise.all([
      reader.get('homework_submission', `${homeworkId}:${studentId}`, reach).catch(unlessAway),
      store.grades(homeworkId).catch(unlessAway),
    ]);
    const grade = grades?.get(studentId);
    return { ...(before ? { before } : {}), ...(grade ? { grade } : {}) };
  }
}

/** What is handed in has the kind of content that the teacher asks for; a draft may still lack it. */
function requireContent(
  { submission_kind: kind, max_files }: HomeworkView['homework'],
  { body, file_ids, final }: SubmissionInput,
): void {
  const refuse = (pointer: string, detail: string): never => {
    throw new UnprocessableError({ errors: [{ pointer, detail }] });
  };
  const hasText = (body ?? '').trim() !== '';
  if (file_ids.length > max_files) refuse('/file_ids', `must hold at most ${max_files} files`);
  if (kind === 'text' && file_ids.length > 0) refuse('/file_ids', 'this homework takes text only');
  if (!final) return;
  if (kind === 'text' && !hasText) refuse('/body', 'must hold the answer');
  if (kind === 'file' && file_ids.length === 0) refuse('/file_ids', 'must name at least one file');
  if (kind === 'any' && !hasText && file_ids.length === 0)
    refuse('/body', 'must hold the answer, or file_ids name files');
}
