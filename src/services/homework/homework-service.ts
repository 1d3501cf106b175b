import type { Found, Reader } from '../../buffer/reader.ts';
import { StaleVersionError, type WriteBuffer } from '../../buffer/write-buffer.ts';
import type { Writer } from '../../buffer/writer.ts';
import { HasGradesError, HasSubmissionsError, NotFoundError } from '../../errors/catalogue.ts';
import type { Document } from '../../lib/entity.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { WriteReceipt } from '../../lib/write-receipt.ts';
import type { Condition, Position } from '../../stores/postgres/conditions.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import { repeatUnlessAsked } from '../repeat.ts';
import type { Files } from '../school/files.ts';
import type { School } from '../school/school.ts';
import { type Reach, reaches, reachOf, requireReach } from '../scope.ts';
import type { Homework } from './homework.entity.ts';
import { changeEvents, submittedEvent } from './homework.events.ts';
import { movedLateness, requireWindow } from './homework-rules.ts';
import type { HomeworkStore } from './homework-store.ts';
import type { HomeworkSubmission } from './homework-submission.entity.ts';

type Derived =
  | 'id'
  | 'class_subject_id'
  | 'staff_id'
  | 'group_id'
  | 'assigned_on'
  | 'created_at'
  | 'updated_at'
  | 'deleted_at';

export interface NewHomework extends Omit<Homework, Derived | 'publish_at' | 'file_ids'> {
  class_subject_ids: string[];
  publish_at?: string;
  file_ids: string[];
}

export type HomeworkChanges = Partial<Omit<Homework, Derived | 'file_ids'>> & { file_ids?: string[] };

export interface HomeworkFilter {
  class_id?: string;
  subject_id?: string;
  status?: string;
  due_from?: string;
  due_to?: string;
  limit: number;
  after?: Position;
}

export interface HomeworkView {
  homework: Homework;
  version: number;
  isPending: boolean;
  source: string;
  /** The caller runs or teaches this class-subject; others see what is published. */
  isLed: boolean;
}

export interface WrittenHomework extends HomeworkView {
  receipt: WriteReceipt;
}

export interface HomeworkPage {
  items: HomeworkView[];
  next?: Position;
  degraded: string[];
}

type Caller = Pick<RequestContext, 'actor' | 'scope' | 'requestId' | 'ip' | 'now' | 'newId'>;

export interface HomeworkDeps {
  buffer: WriteBuffer;
  writer: Writer;
  reader: Reader;
  store: HomeworkStore;
  school: School;
  files: Files;
  activity: ActivityLog;
}

/** Submissions of one homework at most: a class has 60 seats. */
const MOST_SUBMISSIONS = 1_000;

/** Assignments: written whole by their teacher, buffered, read by whom they concern. */
export class HomeworkService {
  readonly #deps: HomeworkDeps;

  constructor(deps: HomeworkDeps) {
    this.#deps = deps;
  }

  /**
   * Gives one assignment to one or several class-subjects: a homework each, joined by a group id.
   *
   * @throws NotFoundError for a class-subject outside the caller's scope
   * @throws BadWindowError, FileNotReadyError, FileTypeError (H5)
   */
  async create(
    caller: Caller,
    { class_subject_ids, publish_at, file_ids, ...fields }: NewHomework,
  ): Promise<WrittenHomework[]> {
    const { school, writer, activity } = this.#deps;
    const now = caller.now.toISOString();
    const publishAt = publish_at ?? now;
    requireWindow({ ...fields, publish_at: publishAt });
    const ownerOf = await this.#owners(caller);
    await this.#requireFiles(caller, file_ids);
    const assignedOn = await school.dateAt(caller.now);
    const groupId = class_subject_ids.length > 1 ? caller.newId() : null;
    const documents = class_subject_ids.map((classSubjectId, index): Homework => {
      const owner = ownerOf(classSubjectId);
      if (owner === undefined) {
        throw new NotFoundError({
          errors: [{ pointer: `/class_subject_ids/${index}`, detail: 'is not a class-subject of yours' }],
        });
      }
      return {
        id: caller.newId(),
        class_subject_id: classSubjectId,
        staff_id: owner.staffId,
        group_id: groupId,
        ...fields,
        assigned_on: assignedOn,
        publish_at: publishAt,
        file_ids: file_ids.length > 0 ? file_ids : null,
        created_at: now,
        updated_at: now,
        deleted_at: null,
      };
    });
    const put = (homework: Homework) =>
      writer.put('homework', homework as unknown as Document, {
        events: changeEvents(caller, undefined, homework, ownerOf(homework.class_subject_id)!.classId),
      });
    const [receipts] = await Promise.all([
      Promise.all(documents.map(put)),
      ...documents.map(({ id }) => activity.record(caller, activityOf('create', id))),
    ]);
    return documents.map((homework, index) => writtenView(homework, receipts[index]!));
  }

  /** @throws NotFoundError when there is none in the caller's scope */
  async get(caller: Pick<Caller, 'actor' | 'scope' | 'now'>, id: string): Promise<HomeworkView> {
    const { reader, school } = this.#deps;
    const reach = await reachOf(caller.actor, caller.scope, school);
    const found = await reader.get('homework', id);
    if (!found) throw new NotFoundError();
    const view = viewOf(found, reach);
    const { class_subject_id, status, publish_at } = view.homework;
    requireReach(reach, 'classSubjects', class_subject_id);
    if (!view.isLed && (status === 'draft' || publish_at > caller.now.toISOString())) throw new NotFoundError();
    return view;
  }

  /** Sorted by due date. @returns the page and where the next one starts */
  async list(caller: Pick<Caller, 'actor' | 'scope' | 'now'>, filter: HomeworkFilter): Promise<HomeworkPage> {
    const { school, reader } = this.#deps;
    const { class_id, subject_id, status, due_from, due_to, after, limit } = filter;
    const reach = await reachOf(caller.actor, caller.scope, school);
    const ids = (await school.classSubjects())
      .filter(({ id }) => reaches(reach, 'classSubjects', id))
      .filter(
        ({ classId, subjectId }) => (!class_id || classId === class_id) && (!subject_id || subjectId === subject_id),
      )
      .map(({ id }) => id);
    const where: Condition[] = [];
    if (status) where.push({ column: 'status', op: 'eq', value: status });
    if (due_from) where.push({ column: 'due_at', op: 'gte', value: due_from });
    if (due_to) where.push({ column: 'due_at', op: 'lte', value: due_to });
    const published: Condition[] = [
      { column: 'status', op: 'ne', value: 'draft' },
      { column: 'publish_at', op: 'lte', value: minuteOf(caller.now) },
    ];
    // Somebody may teach one class and follow another, as a parent does: each has its own view.
    const parts = [
      { values: ids.filter((id) => reaches(reach, 'taught', id)), where },
      { values: ids.filter((id) => !reaches(reach, 'taught', id)), where: [...where, ...published] },
    ].filter(({ values }) => values.length > 0);
    const pages = await Promise.all(
      parts.map(({ values, where: conditions }) =>
        reader.list({
          entity: 'homework',
          relation: { column: 'class_subject_id', values },
          where: conditions,
          sort: { column: 'due_at', direction: 'asc' },
          ...(after ? { after } : {}),
          limit,
        }),
      ),
    );
    const items = pages.flatMap((page) => page.items.map((found) => viewOf(found, reach)));
    if (pages.length > 1) items.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
    const hasMore = items.length > limit || pages.some(({ next }) => next !== undefined);
    const page = items.slice(0, limit);
    const last = page.at(-1)?.homework;
    return {
      items: page,
      ...(hasMore && last ? { next: { value: last.due_at, id: last.id } } : {}),
      degraded: [...new Set(pages.flatMap(({ degraded }) => degraded))],
    };
  }

  /**
   * Changes fields of a homework; the whole document is written.
   *
   * @param ifMatch the version that the caller has seen
   * @throws StaleVersionError, NotFoundError, BadWindowError, FileNotReadyError (H5), HasSubmissionsError, HasGradesError (H6)
   */
  update(caller: Caller, id: string, changes: HomeworkChanges, ifMatch?: number): Promise<WrittenHomework> {
    return repeatUnlessAsked(ifMatch, () => this.#update(caller, id, changes, ifMatch));
  }

  async #update(caller: Caller, id: string, changes: HomeworkChanges, ifMatch?: number): Promise<WrittenHomework> {
    const { writer, store, activity } = this.#deps;
    const { homework: old, version } = await this.get(caller, id);
    if (ifMatch !== undefined && ifMatch !== version) throw new StaleVersionError(version);
    const homework: Homework = { ...old, ...changes, updated_at: caller.now.toISOString() };
    requireWindow(homework);
    await this.#requireFiles(
      caller,
      (changes.file_ids ?? []).filter((file) => !old.file_ids?.includes(file)),
    );
    if (homework.due_at < old.due_at && (await this.hasSubmissions(id))) {
      throw new HasSubmissionsError({
        errors: [{ pointer: '/due_at', detail: 'only moves later once students have handed in' }],
      });
    }
    if (homework.max_x100 !== old.max_x100 && (await store.hasGrades(id))) {
      throw new HasGradesError({ errors: [{ pointer: '/max_x100', detail: 'is fixed once grades exist' }] });
    }
    const events = changeEvents(caller, old, homework, await this.#classOf(homework));
    const [receipt] = await Promise.all([
      writer.put('homework', homework as unknown as Document, { base: version, ifMatch: version, events }),
      activity.record(caller, activityOf('update', id)),
    ]);
    if (changes.due_at !== undefined) await this.#moveLateness(caller, homework, old.due_at);
    return writtenView(homework, receipt);
  }

  /** @throws HasSubmissionsError, HasGradesError once students have handed in or are graded: archive it instead (H6) */
  remove(caller: Caller, id: string, ifMatch?: number): Promise<WriteReceipt> {
    return repeatUnlessAsked(ifMatch, () => this.#remove(caller, id, ifMatch));
  }

  async #remove(caller: Caller, id: string, ifMatch?: number): Promise<WriteReceipt> {
    const { writer, store, activity } = this.#deps;
    const { homework, version } = await this.get(caller, id);
    if (ifMatch !== undefined && ifMatch !== version) throw new StaleVersionError(version);
    if (await this.hasSubmissions(id)) throw new HasSubmissionsError('archive it instead');
    if (await store.hasGrades(id)) throw new HasGradesError('archive it instead');
    const deleted = { ...homework, deleted_at: caller.now.toISOString() };
    const events = changeEvents(caller, homework, deleted, await this.#classOf(homework));
    const options = { base: version, ifMatch: version, isTombstone: true, events };
    const [receipt] = await Promise.all([
      writer.put('homework', homework as unknown as Document, options),
      activity.record(caller, activityOf('delete', id)),
    ]);
    return receipt;
  }

  /** For other services, which answer for who sees it. */
  async find(id: string): Promise<Homework | undefined> {
    return (await this.#deps.reader.get('homework', id))?.document as Homework | undefined;
  }

  /** H6 counts buffered submissions, too. */
  async hasSubmissions(homeworkId: string): Promise<boolean> {
    const pending = await this.#deps.buffer.pendingOf('homework_submission', 'homework_id', [homeworkId]);
    return pending.some(({ document }) => document.status !== 'draft') || this.#deps.store.hasSubmissions(homeworkId);
  }

  /** Who answers for a new homework of a class-subject; undefined outside the caller's scope. */
  async #owners({ actor, scope }: Caller): Promise<(classSubjectId: string) => Owner | undefined> {
    const { school } = this.#deps;
    const reach = await reachOf(actor, scope, school);
    if (reach.all) {
      const owners = new Map((await school.classSubjects()).map((subject) => [subject.id, subject]));
      return (id) => owners.get(id);
    }
    const { staffId, teaches } = await actor.scopes();
    const classOf = new Map(teaches.map(({ classSubjectId, classId }) => [classSubjectId, classId]));
    return (id) => (staffId !== null && reach.taught.has(id) ? { staffId, classId: classOf.get(id)! } : undefined);
  }

  async #classOf({ class_subject_id }: Homework): Promise<string | undefined> {
    return (await this.#deps.school.classSubjects()).find(({ id }) => id === class_subject_id)?.classId;
  }

  /** H5 */
  #requireFiles({ actor }: Caller, ids: readonly string[]): Promise<void> {
    return this.#deps.files.requireUsable(actor.userId, 'homework', ids, '/file_ids');
  }

  /** H6: a moved due date changes how late the late ones are, and whoever counts on that hears of it. */
  async #moveLateness(caller: Caller, homework: Homework, oldDueAt: string): Promise<void> {
    const { reader } = this.#deps;
    const { items } = await reader.list({
      entity: 'homework_submission',
      relation: { column: 'homework_id', values: [homework.id] },
      where: [{ column: 'is_late', op: 'eq', value: true }],
      sort: { column: 'created_at', direction: 'asc' },
      limit: MOST_SUBMISSIONS,
    });
    await Promise.all(
      items.map(({ document }) =>
        repeatUnlessAsked(undefined, () => this.#moveOne(caller, homework, oldDueAt, String(document.student_id))),
      ),
    );
  }

  async #moveOne(caller: Caller, homework: Homework, oldDueAt: string, studentId: string): Promise<void> {
    const { reader, writer } = this.#deps;
    const found = await reader.get('homework_submission', `${homework.id}:${studentId}`);
    if (!found) return;
    const submission = found.document as unknown as HomeworkSubmission;
    const { isLate, lateDays } = movedLateness(submission, oldDueAt, homework.due_at);
    if (lateDays === submission.late_days) return;
    const moved: HomeworkSubmission = { ...submission, is_late: isLate, late_days: lateDays };
    await writer.put('homework_submission', moved as unknown as Document, {
      base: found.version,
      ifMatch: found.version,
      // Points follow from whether work is late, and from nothing else that has changed here.
      events: isLate === submission.is_late ? [] : [submittedEvent(caller, moved)],
    });
  }
}

/** Who answers for a class-subject's homework, and the class that gets it. */
interface Owner {
  staffId: string;
  classId: string;
}

const activityOf = (verb: 'create' | 'update' | 'delete', id: string) => ({
  service: 'homework',
  action: `homework.${verb}`,
  entity: { type: 'homework', id },
});

const writtenView = (homework: Homework, receipt: WriteReceipt): WrittenHomework => ({
  homework,
  version: receipt.version,
  isPending: receipt.isPending,
  source: receipt.isPending ? 'buffer' : 'db',
  receipt,
  isLed: true,
});

function viewOf({ document, version, isPending, source }: Found, reach: Reach): HomeworkView {
  const homework = document as unknown as Homework;
  return { homework, version, isPending, source, isLed: reaches(reach, 'taught', homework.class_subject_id) };
}

/** Due dates are all of one form, so their texts are in order. */
const orderOf = ({ homework: { due_at, id } }: HomeworkView): string => `${due_at} ${id}`;

/** Whole minutes, so that pages of one minute share their cache. */
const minuteOf = (now: Date): string => new Date(Math.floor(now.getTime() / 60_000) * 60_000).toISOString();
