/** What services tell each other (DOMAIN §6). */
export type EventName =
  | 'auth.user.changed'
  | 'auth.user.suspended'
  | 'school.enrollment.changed'
  | 'school.assignment.changed'
  | 'homework.published'
  | 'homework.changed'
  | 'homework.submitted'
  | 'homework.released'
  | 'attendance.saved'
  | 'attendance.stored'
  | 'leave.decided'
  | 'calendar.event.changed'
  | 'calendar.holiday.changed'
  | 'platform.flush.failed'
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
