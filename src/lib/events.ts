import type { Actor } from './actor.ts';
import { newId } from './ids.ts';
import type { RequestContext } from './route.ts';

/** What services tell each other (DOMAIN §6). */
export type EventName =
  | 'auth.user.changed'
  | 'auth.user.suspended'
  | 'auth.user.invited'
  | 'school.enrollment.changed'
  | 'school.assignment.changed'
  | 'school.class.changed'
  | 'school.student.changed'
  | 'school.subject.changed'
  | 'school.timetable.changed'
  | 'homework.published'
  | 'homework.changed'
  | 'homework.submitted'
  | 'homework.released'
  | 'attendance.saved'
  | 'attendance.stored'
  | 'leave.decided'
  | 'points.changed'
  | 'announcement.published'
  | 'calendar.event.changed'
  | 'calendar.holiday.changed'
  | 'platform.flush.failed'
  | 'platform.flush.repaired'
  | 'platform.flush.discarded'
  | 'platform.buffer.stalled';

/** What a service says happened; who did it and when is added where it is sent. */
export interface NewEvent {
  name: EventName;
  /** Events of one aggregate are delivered in order. */
  aggregateId: string;
  payload: Readonly<Record<string, unknown>>;
}

/** As it is delivered: at least once, in order for each aggregate. Consumers remember the id. */
export interface DomainEvent extends NewEvent {
  id: string;
  /** Version of the payload's shape. */
  v: number;
  /** ISO 8601 */
  at: string;
  /** Null for what no user did. */
  actorId: string | null;
  requestId: string | null;
}

/** Of the payloads that are sent now. */
export const EVENT_VERSION = 1;

/** What a request says happened, as it is delivered: a repeated request makes the same event again. */
export const stampEvent = (
  {
    actor,
    requestId,
    now,
    newId,
  }: Pick<RequestContext, 'requestId' | 'now' | 'newId'> & { actor: Pick<Actor, 'userId'> },
  event: NewEvent,
): DomainEvent => ({
  ...event,
  id: newId(),
  v: EVENT_VERSION,
  at: now.toISOString(),
  actorId: actor.userId,
  requestId,
});

/** What no user did: work that its time brings. */
export const stampScheduled = (event: NewEvent, now: Date): DomainEvent => ({
  ...event,
  id: newId(),
  v: EVENT_VERSION,
  at: now.toISOString(),
  actorId: null,
  requestId: null,
});

/** What the parts of an aggregate's id share: the first of them decides where its events are kept. */
export const firstPartOf = (aggregateId: string): string => aggregateId.split(':', 1)[0]!;

/** Who does something about events. It is declared by its service and run by workers. */
export interface EventConsumer {
  /** Its place in the events is kept under this name: never changed, never used for another. */
  name: string;
  /** SERVICES chooses by this name. */
  service: string;
  on: readonly EventName[];
  /**
   * Called for each event at least once, for those of one aggregate in order. What it throws makes it called again, later and
   * later; while a database is away for as long as that lasts, otherwise until the event is given up and an admin sees it.
   */
  handle(event: DomainEvent): Promise<void>;
}
