import { type DomainEvent, stampEvent } from '../../lib/events.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { Homework } from './homework.entity.ts';
import type { HomeworkSubmission } from './homework-submission.entity.ts';

type Caller = Pick<RequestContext, 'actor' | 'requestId' | 'now' | 'newId'>;

/** Of `homework.published` and `homework.changed` (DOMAIN §6). */
export interface HomeworkChanged {
  homework_id: string;
  /** Null when its class-subject is not of this year. */
  class_id: string | null;
  due_at: string;
  /** Nobody is told before. */
  publish_at: string;
  status: Homework['status'] | 'deleted';
}

/** A class hears of what is published, and of changes to that; a draft is nobody's business. */
export function changeEvents(
  caller: Caller,
  old: Homework | undefined,
  { id, due_at, publish_at, status, deleted_at }: Homework,
  classId: string | undefined,
): DomainEvent[] {
  const isKnown = old !== undefined && old.status !== 'draft';
  if (!isKnown && status === 'draft') return [];
  const payload: HomeworkChanged = {
    homework_id: id,
    class_id: classId ?? null,
    due_at,
    publish_at,
    status: deleted_at === null ? status : 'deleted',
  };
  const name = isKnown ? 'homework.changed' : 'homework.published';
  return [stampEvent(caller, { name, aggregateId: id, payload: { ...payload } })];
}

/**
 * What is handed in, and whether it is late: told with each revision, and again, of the same revision, when a moved due date has
 * changed its lateness.
 */
export const submittedEvent = (
  caller: Caller,
  { homework_id, student_id, is_late, revision }: HomeworkSubmission,
): DomainEvent =>
  stampEvent(caller, {
    name: 'homework.submitted',
    aggregateId: `${homework_id}:${student_id}`,
    payload: { homework_id, student_id, late: is_late, revision },
  });
