import Joi from 'joi';
import type { Found, Reader } from '../../buffer/reader.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { AnyCard, CardDefinition, Touch } from '../../lib/cards.ts';
import { instantOf } from '../../lib/clock.ts';
import type { DomainEvent } from '../../lib/events.ts';
import { isoInstant, uuid } from '../../lib/joi.ts';
import type { Position } from '../../stores/postgres/conditions.ts';
import type { School } from '../school/school.ts';
import type { Homework } from './homework.entity.ts';
import type { HomeworkChanged } from './homework.events.ts';
import type { HomeworkStore } from './homework-store.ts';

const NEXT_DUE = 5;
/** Of a page that a class shares; some of it may be due already, or not yet published. */
const PAGE = 10;
/** A teacher's assignments that may still have something to grade; older ones are history. */
const MOST_ASSIGNMENTS = 200;

const homeworkOf = ({ document }: Found): Homework => document as unknown as Homework;

/** What dashboards show of homework (DB1). */
export function createHomeworkCards({
  buffer,
  reader,
  store,
  school,
}: {
  buffer: WriteBuffer;
  reader: Reader;
  store: HomeworkStore;
  school: School;
}): AnyCard[] {
  const ofClass = ({ payload }: DomainEvent): readonly Touch[] => {
    const { class_id } = payload as unknown as HomeworkChanged;
    return class_id ? [`class:${class_id}`] : [];
  };
  const submitted = async ({ payload }: DomainEvent): Promise<readonly Touch[]> => {
    const { homework_id, student_id } = payload as { homework_id: string; student_id: string };
    const found = await reader.get('homework', homework_id);
    return [`student:${student_id}`, ...(found ? [`staff:${homeworkOf(found).staff_id}` as const] : [])];
  };

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
    touches: { 'homework.published': ofClass, 'homework.changed': ofClass, 'homework.submitted': submitted },
    async load({ studentId, classId, now, today }) {
      const taught = (await school.classSubjects()).filter((subject) => subject.classId === classId);
      if (taught.length === 0) return { next_due: [] };
      // From midnight, so that all of a class share one cached page for the day; the rest is decided here.
      const since = instantOf(today, '00:00', await school.timezone()).toISOString();
      const at = now.toISOString();
      const next: Homework[] = [];
      let after: Position | undefined;
      do {
        const page = await reader.list({
          entity: 'homework',
          relation: { column: 'class_subject_id', values: taught.map(({ id }) => id) },
          where: [
            { column: 'status', op: 'eq', value: 'published' },
            { column: 'due_at', op: 'gte', value: since },
          ],
          sort: { column: 'due_at', direction: 'asc' },
          ...(after ? { after } : {}),
          limit: PAGE,
        });
        next.push(...page.items.map(homeworkOf).filter(({ due_at, publish_at }) => due_at >= at && publish_at <= at));
        after = page.next;
      } while (after && next.length < NEXT_DUE);
      next.splice(NEXT_DUE);
      const own = await Promise.all(next.map(({ id }) => reader.get('homework_submission', `${id}:${studentId}`)));
      return {
        next_due: next.map(({ id, title, due_at, class_subject_id }, index) => ({
          homework_id: id,
          title,
          subject: taught.find((subject) => subject.id === class_subject_id)!.subjectName,
          due_at,
          handed_in: own[index] !== undefined && own[index].document.status !== 'draft',
        })),
      };
    },
  };
  const teacher: CardDefinition<'teacher'> = {
    name: 'homework',
    dashboard: 'teacher',
    schema: Joi.object({ to_grade: Joi.number().integer().min(0).required() }),
    touches: { 'homework.submitted': submitted },
    async load({ teaches }) {
      if (teaches.length === 0) return { to_grade: 0 };
      const { items } = await reader.list({
        entity: 'homework',
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
