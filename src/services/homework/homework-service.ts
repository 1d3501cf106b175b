import type { Reader } from '../../buffer/reader.ts';
import type { Receipt, WriteBuffer } from '../../buffer/write-buffer.ts';
import {
  FileNotReadyError,
  ForbiddenError,
  HasGradesError,
  HasSubmissionsError,
  NotFoundError,
} from '../../errors/catalogue.ts';
import { schoolDateOf } from '../../lib/clock.ts';
import type { Document } from '../../lib/entity.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { Condition, Position } from '../../stores/postgres/conditions.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import { repeatUnlessAsked } from '../repeat.ts';
import type { School } from '../school/school.ts';
import { type Reach, reachOf, requireReach } from '../scope.ts';
import type { Homework } from './homework.entity.ts';
import { requireWindow } from './homework-rules.ts';
import type { HomeworkStore } from './homework-store.ts';

export interface NewHomework
  extends Omit<
    Homework,
    | 'id'
    | 'class_subject_id'
    | 'staff_id'
    | 'group_id'
    | 'assigned_on'
    | 'created_at'
    | 'updated_at'
    | 'deleted_at'
    | 'publish_at'
  > {
  class_subject_ids: string[];
  publish_at?: string;
  file_ids: string[];
}

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
}

type Caller = Pick<RequestContext, 'actor' | 'scope' | 'requestId' | 'ip' | 'now' | 'newId'>;

export interface HomeworkDeps {
  buffer: WriteBuffer;
  reader: Reader;
  store: HomeworkStore;
  school: School;
  activity: ActivityLog;
}

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
   * @throws BadWindowError, FileNotReadyError
   */
  async create(
    caller: Caller,
    { class_subject_ids, file_ids, publish_at, ...fields }: NewHomework,
  ): Promise<HomeworkView[]> {
    const { school, buffer, activity } = this.#deps;
    const reach = await reachOf(caller.actor, caller.scope, school);
    const { staffId } = await caller.actor.scopes();
    // Files come with the file service; until then none can be ready.
    if (file_ids.length > 0)
      throw new FileNotReadyError({ errors: [{ pointer: '/file_ids/0', detail: 'is not a ready file of yours' }] });
    const now = caller.now.toISOString();
    const publishAt = publish_at ?? now;
    requireWindow({ ...fields, publish_at: publishAt });
    const staffOf = reach.all
      ? new Map((await school.classSubjects()).map((taught) => [taught.id, taught.staffId]))
      : undefined;
    const groupId = class_subject_ids.length > 1 ? caller.newId() : null;
    const assignedOn = schoolDateOf(caller.now, await school.timezone());
    const documents = class_subject_ids.map((classSubjectId, index): Homework => {
      const owner = staffOf ? staffOf.get(classSubjectId) : staffId;
      if (!owner || (!reach.all && !reach.classSubjects.has(classSubjectId))) {
        throw new NotFoundError({
          errors: [{ pointer: `/class_subject_ids/${index}`, detail: 'is not a class-subject of yours' }],
        });
      }
      return {
        id: caller.newId(),
        class_subject_id: classSubjectId,
        staff_id: owner,
        group_id: groupId,
        ...fields,
        assigned_on: assignedOn,
        publish_at: publishAt,
        created_at: now,
        updated_at: now,
        deleted_at: null,
      };
    });
    const receipts = await Promise.all([
      ...documents.map((document) => buffer.put('homework', document as unknown as Document)),
      ...documents.map(({ id }) =>
        activity.record(caller, { service: 'homework', action: 'homework.create', entity: { type: 'homework', id } }),
      ),
    ]);
    return documents.map((homework, index) => ({
      homework,
      version: (receipts[index] as Receipt).version,
      isPending: true,
      source: 'buffer',
    }));
  }

  /** @throws NotFoundError when there is none in the caller's scope */
  async get(caller: Caller, id: string): Promise<HomeworkView> {
    const reach = await reachOf(caller.actor, caller.scope, this.#deps.school);
    return this.#find(reach, caller, id);
  }

  /** Sorted by due date. @returns the page and where the next one starts */
  async list(
    caller: Caller,
    filter: HomeworkFilter,
  ): Promise<{ items: HomeworkView[]; next?: Position; degraded: string[] }> {
    const { school, reader } = this.#deps;
    const reach = await reachOf(caller.actor, caller.scope, school);
    const values = (await school.classSubjects())
      .filter(({ id }) => reach.all || reach.classSubjects.has(id))
      .filter(
        ({ classId, subjectId }) =>
          (!filter.class_id || classId === filter.class_id) && (!filter.subject_id || subjectId === filter.subject_id),
      )
      .map(({ id }) => id);
    if (values.length === 0) return { items: [], degraded: [] };
    const where: Condition[] = [];
    if (filter.status) where.push({ column: 'status', op: 'eq', value: filter.status });
    if (filter.due_from) where.push({ column: 'due_at', op: 'gte', value: filter.due_from });
    if (filter.due_to) where.push({ column: 'due_at', op: 'lte', value: filter.due_to });
    if (isReaderOnly(caller)) {
      where.push(
        { column: 'status', op: 'ne', value: 'draft' },
        { column: 'publish_at', op: 'lte', value: minuteOf(caller.now) },
      );
    }
    const page = await reader.list({
      entity: 'homework',
      relation: { column: 'class_subject_id', values },
      where,
      sort: { column: 'due_at', direction: 'asc' },
      ...(filter.after ? { after: filter.after } : {}),
      limit: filter.limit,
    });
    return {
      items: page.items.map(({ document, ...rest }) => ({ homework: document as unknown as Homework, ...rest })),
      ...(page.next ? { next: page.next } : {}),
      degraded: page.degraded,
    };
  }

  /**
   * Changes fields of a homework; the whole document is written.
   *
   * @param ifMatch the version that the caller has seen
   * @throws StaleVersionError, NotFoundError, BadWindowError, HasSubmissionsError, HasGradesError (H6)
   */
  update(caller: Caller, id: string, changes: Partial<Homework>, ifMatch?: number): Promise<HomeworkView> {
    return repeatUnlessAsked(ifMatch, () => this.#update(caller, id, changes, ifMatch));
  }

  async #update(caller: Caller, id: string, changes: Partial<Homework>, ifMatch?: number): Promise<HomeworkView> {
    const found = await this.#findOwn(caller, id);
    const homework: Homework = { ...found.homework, ...changes, updated_at: caller.now.toISOString() };
    requireWindow(homework);
    if (changes.due_at !== undefined && changes.due_at < found.homework.due_at && (await this.hasSubmissions(id))) {
      throw new HasSubmissionsError({
        errors: [{ pointer: '/due_at', detail: 'only moves later once students have handed in' }],
      });
    }
    if (
      changes.max_x100 !== undefined &&
      changes.max_x100 !== found.homework.max_x100 &&
      (await this.#deps.store.hasGrades(id))
    ) {
      throw new HasGradesError({ errors: [{ pointer: '/max_x100', detail: 'is fixed once grades exist' }] });
    }
    const [receipt] = await Promise.all([
      this.#deps.buffer.put('homework', homework as unknown as Document, {
        base: found.version,
        ifMatch: ifMatch ?? found.version,
      }),
      this.#deps.activity.record(caller, {
        service: 'homework',
        action: 'homework.update',
        entity: { type: 'homework', id },
      }),
    ]);
    return { homework, version: receipt.version, isPending: true, source: 'buffer' };
  }

  /** @throws HasSubmissionsError once students have handed in: archive it instead (H6) */
  remove(caller: Caller, id: string, ifMatch?: number): Promise<number> {
    return repeatUnlessAsked(ifMatch, () => this.#remove(caller, id, ifMatch));
  }

  async #remove(caller: Caller, id: string, ifMatch?: number): Promise<number> {
    const { homework, version } = await this.#findOwn(caller, id);
    if (await this.hasSubmissions(id)) throw new HasSubmissionsError('archive it instead');
    const [receipt] = await Promise.all([
      this.#deps.buffer.put('homework', homework as unknown as Document, {
        base: version,
        ifMatch: ifMatch ?? version,
        isTombstone: true,
      }),
      this.#deps.activity.record(caller, {
        service: 'homework',
        action: 'homework.delete',
        entity: { type: 'homework', id },
      }),
    ]);
    return receipt.version;
  }

  /** H6 counts buffered submissions, too. */
  async hasSubmissions(homeworkId: string): Promise<boolean> {
    const pending = await this.#deps.buffer.pendingOf('homework_submission', 'homework_id', [homeworkId]);
    return pending.some(({ document }) => document.status !== 'draft') || this.#deps.store.hasSubmissions(homeworkId);
  }

  async #findOwn(caller: Caller, id: string): Promise<HomeworkView> {
    const found = await this.get(caller, id);
    if (caller.scope.includes('A')) return found;
    const { staffId } = await caller.actor.scopes();
    if (found.homework.staff_id !== staffId) throw new ForbiddenError('only its teacher may change a homework');
    return found;
  }

  async #find(reach: Reach, caller: Caller, id: string): Promise<HomeworkView> {
    const found = await this.#deps.reader.get('homework', id);
    if (!found) throw new NotFoundError();
    const homework = found.document as unknown as Homework;
    requireReach(reach, 'classSubjects', homework.class_subject_id);
    if (isReaderOnly(caller) && (homework.status === 'draft' || homework.publish_at > caller.now.toISOString()))
      throw new NotFoundError();
    return { homework, version: found.version, isPending: found.isPending, source: found.source };
  }
}

/** Students and parents see what is published. */
export const isReaderOnly = ({ scope }: Pick<RequestContext, 'scope'>): boolean =>
  !scope.includes('A') && !scope.includes('T');

/** Whole minutes, so that pages of one minute share their cache. */
const minuteOf = (now: Date): string => new Date(Math.floor(now.getTime() / 60_000) * 60_000).toISOString();
