import Joi from 'joi';
import type { Found, Reader } from '../../buffer/reader.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { Cache } from '../../cache/cache.ts';
import { type AnyCard, type CardDefinition, KEPT_WHILE_TOLD_SECONDS, type Touch } from '../../lib/cards.ts';
import { instantOf } from '../../lib/clock.ts';
import type { DomainEvent } from '../../lib/events.ts';
import { isoInstant, uuid } from '../../lib/joi.ts';
import { EVERYTHING } from '../../lib/reach.ts';
import type { School } from '../school/school.ts';
import type { Homework } from './homework.entity.ts';
import type { HomeworkChanged } from './homework.events.ts';
import type { HomeworkStore } from './homework-store.ts';

const NEXT_DUE = 5;
/** Of a teacher with something to grade, or of a class that are not due: more is history, or no plan. */
const MOST_ASSIGNMENTS = 200;

type Due = Pick<Homework, 'id' | 'title' | 'class_subject_id' | 'due_at' | 'publish_at'>;

const homeworkOf = ({ document }: Found): Homework => document as unknown as Homework;

/** What dashboards show of homework (DB1): kept for whoever may see the dashboard, so it is read for nobody in particular. */
export function createHomeworkCards({
  buffer,
  cache,
  reader,
  store,
  school,
}: {
  buffer: WriteBuffer;
  cache: Cache;
  reader: Reader;
  store: HomeworkStore;
  school: School;
}): AnyCard[] {
  const ofClass = ({ payload }: DomainEvent): readonly Touch[] => {
    const { class_id } = payload as unknown as HomeworkChanged;
    return class_id ? [`class:${class_id}`] : [];
  };
  /** Whoever teaches it now: a substitute may have given it, or a teacher who has left the subject to another. */
  const byTeacher = async ({ payload }: DomainEvent): Promise<readonly Touch[]> => {
    const found = await reader.get('homework', String(payload.homework_id), EVERYTHING);
    const subjects = found ? await school.classSubjects() : [];
    return subjects
      .filter(({ id }) => id === homeworkOf(found!).class_subject_id)
      .map(({ staffId }) => `staff:${staffId}` as const);
  };
  const byStudent = ({ payload }: DomainEvent): readonly Touch[] => [`student:${payload.student_id}`];

  /** What a list comes to, cached while nothing of the entity waits in the buffer: then no overlay has to be looked for. */
  async function unlessPending<T>(entity: string, name: string, load: () => Promise<T>): Promise<T> {
    const { epoch, hasPending } = await buffer.state(entity);
    return hasPending ? load() : (await cache.get({ name, stamp: epoch, load })).value;
  }

  async function dueSince(taught: readonly { id: string }[], since: string): Promise<Due[]> {
    const { items } = await reader.list({
      entity: 'homework',
      reach: EVERYTHING,
      relation: { column: 'class_subject_id', values: taught.map(({ id }) => id) },
      where: [
        { column: 'status', op: 'eq', value: 'published' },
        { column: 'due_at', op: 'gte', value: since },
      ],
      sort: { column: 'due_at', direction: 'asc' },
      limit: MOST_ASSIGNMENTS,
    });
    return items.map((item) => {
      const { id, title, class_subject_id, due_at, publish_at } = homeworkOf(item);
      return { id, title, class_subject_id, due_at, publish_at };
    });
  }

  async function handedIn(studentId: string, homeworkIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (homeworkIds.length === 0) return new Set();
    const load = async (): Promise<string[]> => {
      const { items } = await reader.list({
        entity: 'homework_submission',
        reach: EVERYTHING,
        relation: { column: 'homework_id', values: homeworkIds },
        where: [
          { column: 'student_id', op: 'eq', value: studentId },
          { column: 'status', op: 'ne', value: 'draft' },
        ],
        sort: { column: 'saved_at', direction: 'asc' },
        limit: homeworkIds.length,
      });
      return items.map(({ document }) => String(document.homework_id));
    };
    const name = `homework:handed_in:${studentId}:${homeworkIds.join()}`;
    return new Set(await unlessPending('homework_submission', name, load));
  }

  const student: CardDefinition<'student'> = {
    name: 'homework',
    dashboard: 'student',
    schema: Joi.object({
      next_due: Joi.array()
        .items(
          Joi.object({
            homework_id: uuid.required(),
            title: Joi.string().required(),
            subject: Joi.string().required(),
            due_at: isoInstant.required(),
            handed_in: Joi.boolean().required(),
          }),
        )
        .max(NEXT_DUE)
        .required(),
    }),
    touches: {
      'homework.published': ofClass,
      'homework.changed': ofClass,
      'homework.submitted': byStudent,
      'school.subject.changed': () => ['everybody'],
    },
    keptSeconds: KEPT_WHILE_TOLD_SECONDS,
    async load({ studentId, classId, now, today }) {
      const taught = (await school.classSubjects({ isFresh: true })).filter((subject) => subject.classId === classId);
      if (taught.length === 0) return { next_due: [] };
      // From midnight, so that all of a class share one cached page for the day; the rest is decided here.
      const since = instantOf(today, '00:00', await school.timezone()).toISOString();
      const at = now.toISOString();
      const name = `homework:due:${classId}:${since}`;
      const due = await unlessPending('homework', name, () => dueSince(taught, since));
      const next = due.filter(({ due_at, publish_at }) => due_at >= at && publish_at <= at).slice(0, NEXT_DUE);
      const done = await handedIn(
        studentId,
        next.map(({ id }) => id),
      );
      return {
        until: changesAt(due, at),
        next_due: next.map(({ id, title, due_at, class_subject_id }) => ({
          homework_id: id,
          title,
          subject: taught.find((subject) => subject.id === class_subject_id)!.subjectName,
          due_at,
          handed_in: done.has(id),
        })),
      };
    },
  };
  const teacher: CardDefinition<'teacher'> = {
    name: 'homework',
    dashboard: 'teacher',
    schema: Joi.object({ to_grade: Joi.number().integer().min(0).required() }),
    touches: { 'homework.submitted': byTeacher, 'homework.changed': byTeacher },
    async load({ teaches }) {
      if (teaches.length === 0) return { to_grade: 0 };
      const { items } = await reader.list({
        entity: 'homework',
        reach: EVERYTHING,
        relation: { column: 'class_subject_id', values: teaches.map(({ classSubjectId }) => classSubjectId) },
        sort: { column: 'due_at', direction: 'desc' },
        limit: MOST_ASSIGNMENTS,
      });
      const graded = items.map(homeworkOf).filter(({ max_x100, status }) => max_x100 !== null && status !== 'archived');
      const ids = graded.map(({ id }) => id);
      // Pending first: what is stored in between is in one of them, and the union counts it once.
      const pending = await buffer.pendingOf('homework_submission', 'homework_id', ids);
      const waiting = new Set(await store.ungraded(ids));
      for (const { key, document } of pending) if (document.status === 'submitted') waiting.add(key);
      return { to_grade: waiting.size };
    },
  };
  return [student, teacher];
}

/** When the clock alone changes which of these are shown: one is due, or one comes out. */
function changesAt(due: readonly Due[], now: string): string | undefined {
  const instants = due.flatMap(({ due_at, publish_at }) => [afterInstant(due_at), publish_at]);
  return instants.filter((instant) => instant > now).sort()[0];
}

/** It is shown at the instant itself. */
const afterInstant = (instant: string): string => new Date(Date.parse(instant) + 1).toISOString();
