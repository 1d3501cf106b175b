import type { Knex } from 'knex';
import { FIRST_VERSION, NEXT_VERSION } from '../write-through.ts';
import type { Audience, CalendarEvent, EventException, EventKind, WholeEvent } from './calendar-event.ts';
import type { Answer } from './event-rsvp.entity.ts';
import type { Span } from './occurrences.ts';

/** An audience with the student behind its user, so that parents are found through their children (C7). */
export interface StoredAudience extends Audience {
  student_id?: string;
}

/** A stored answer to an occurrence. */
export interface StoredRsvp {
  user_id: string;
  answer: Answer;
  note: string | null;
  answered_at: string;
}

export interface StoredEvent extends WholeEvent {
  audiences: StoredAudience[];
}

const LOCAL = `'YYYY-MM-DD"T"HH24:MI'`;

const EVENT_COLUMNS = `e.id, e.title, e.description, e.kind, e.is_all_day, to_char(e.start_local, ${LOCAL}) AS start_local, e.duration_min, e.tz,
  e.rrule, e.starts_at, e.last_ends_at, e.is_school_closed, e.is_skip_closed, e.location, e.split_from_id, e.status, e.created_by,
  e.created_at, e.updated_at, e.version`;

const PARTS = `
  (SELECT coalesce(json_agg(json_build_object('occurrence_local', to_char(x.occurrence_local, ${LOCAL}), 'action', x.action,
     'new_start_local', to_char(x.new_start_local, ${LOCAL}), 'new_duration_min', x.new_duration_min, 'new_title', x.new_title)
     ORDER BY x.occurrence_local), '[]') FROM event_exceptions x WHERE x.event_id = e.id) AS exceptions,
  (SELECT coalesce(json_agg(json_strip_nulls(json_build_object('kind', a.kind, 'role', a.role, 'class_id', a.class_id, 'user_id', a.user_id,
     'student_id', (SELECT s.id FROM students s WHERE s.user_id = a.user_id))) ORDER BY a.id), '[]')
     FROM event_audiences a WHERE a.event_id = e.id) AS audiences`;

type Row = CalendarEvent & { exceptions: EventException[]; audiences: StoredAudience[] };

const wholeOf = ({ exceptions, audiences, ...event }: Row): StoredEvent => ({ event, exceptions, audiences });

/** Columns of an event that a change writes. */
export type EventColumns = Omit<CalendarEvent, 'id' | 'created_by' | 'created_at' | 'updated_at' | 'version'>;

const WRITTEN = [
  'title',
  'description',
  'kind',
  'is_all_day',
  'start_local',
  'duration_min',
  'tz',
  'rrule',
  'starts_at',
  'last_ends_at',
  'is_school_closed',
  'is_skip_closed',
  'location',
  'split_from_id',
  'status',
] as const satisfies readonly (keyof EventColumns)[];

/** The calendar's questions to PostgreSQL; those of a change are asked in its transaction. */
export class CalendarStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** @param knex of a change, which locks the event until it is committed */
  async find(id: string, knex?: Knex.Transaction): Promise<StoredEvent | undefined> {
    // By a statement of its own: one that waits for the lock goes on with the event's new row, but reads all that hangs on it
    // as it was before the wait.
    await knex?.raw('SELECT 1 FROM events WHERE id = ? FOR UPDATE', [id]);
    const result = await (knex ?? this.#knex).raw(
      `SELECT ${EVENT_COLUMNS}, ${PARTS} FROM events e WHERE e.id = ? AND e.deleted_at IS NULL`,
      [id],
    );
    return result.rows[0] ? wholeOf(result.rows[0]) : undefined;
  }

  /** Events that are not cancelled and may have an occurrence in a span. */
  async inSpan({ from, to }: Span): Promise<StoredEvent[]> {
    const result = await this.#knex.raw(
      `SELECT ${EVENT_COLUMNS}, ${PARTS} FROM events e
       WHERE e.deleted_at IS NULL AND e.status <> 'cancelled' AND e.starts_at < ? AND (e.last_ends_at IS NULL OR e.last_ends_at > ?)
       ORDER BY e.starts_at, e.id`,
      [to, from],
    );
    return result.rows.map(wholeOf);
  }

  /** Published events that close the school, or those of one kind, with an occurrence in a span perhaps. */
  async published(
    knex: Knex,
    which: { isClosing: true } | { kind: EventKind },
    { from, to }: Span,
  ): Promise<StoredEvent[]> {
    const [condition, value] = 'kind' in which ? ['e.kind = ?', which.kind] : ['e.is_school_closed = ?', true];
    const result = await knex.raw(
      `SELECT ${EVENT_COLUMNS}, ${PARTS} FROM events e
       WHERE e.deleted_at IS NULL AND e.status = 'published' AND ${condition} AND e.starts_at < ?
         AND (e.last_ends_at IS NULL OR e.last_ends_at > ?)
       ORDER BY e.starts_at, e.id`,
      [value, to, from],
    );
    return result.rows.map(wholeOf);
  }

  /** Dates of a range on which the school is closed. */
  async closedDates(from: string, to: string): Promise<Set<string>> {
    const result = await this.#knex.raw(
      'SELECT on_date FROM school_days WHERE NOT is_open AND on_date BETWEEN ? AND ?',
      [from, to],
    );
    return new Set(result.rows.map(({ on_date }: { on_date: string }) => on_date));
  }

  async insert(
    knex: Knex.Transaction,
    { id, created_by, created_at, ...event }: EventColumns & Pick<CalendarEvent, 'id' | 'created_by' | 'created_at'>,
  ): Promise<number> {
    const result = await knex.raw(
      `INSERT INTO events (id, created_by, created_at, updated_at, version, ${WRITTEN.join(', ')})
       VALUES (:id, :created_by, :created_at, :created_at, ${FIRST_VERSION}, ${WRITTEN.map((name) => `:${name}`).join(', ')}) RETURNING version`,
      { ...event, id, created_by, created_at },
    );
    return result.rows[0].version;
  }

  async update(knex: Knex.Transaction, id: string, event: EventColumns, now: Date): Promise<number> {
    const result = await knex.raw(
      `UPDATE events SET ${WRITTEN.map((name) => `${name} = :${name}`).join(', ')}, updated_at = :now, version = ${NEXT_VERSION}
       WHERE id = :id RETURNING version`,
      { ...event, id, now },
    );
    return result.rows[0].version;
  }

  async remove(knex: Knex.Transaction, id: string, now: Date): Promise<void> {
    await knex.raw(`UPDATE events SET deleted_at = :now, updated_at = :now, version = ${NEXT_VERSION} WHERE id = :id`, {
      id,
      now,
    });
  }

  /** @param newId of each audience */
  async setAudiences(
    knex: Knex.Transaction,
    eventId: string,
    audiences: readonly Audience[],
    newId: () => string,
  ): Promise<void> {
    await knex.raw('DELETE FROM event_audiences WHERE event_id = ?', [eventId]);
    await knex('event_audiences').insert(
      audiences.map(({ kind, role, class_id, user_id }) => ({
        id: newId(),
        event_id: eventId,
        kind,
        role,
        class_id,
        user_id,
      })),
    );
  }

  /** Exceptions of an event become these. */
  async setExceptions(knex: Knex.Transaction, eventId: string, exceptions: readonly EventException[]): Promise<void> {
    const keys = exceptions.map(({ occurrence_local }) => occurrence_local);
    await knex.raw('DELETE FROM event_exceptions WHERE event_id = ? AND occurrence_local <> ALL(?::timestamp[])', [
      eventId,
      keys,
    ]);
    if (exceptions.length === 0) return;
    await knex('event_exceptions')
      .insert(exceptions.map((exception) => ({ event_id: eventId, ...exception })))
      .onConflict(['event_id', 'occurrence_local'])
      .merge(['action', 'new_start_local', 'new_duration_min', 'new_title', 'updated_at']);
  }

  /** Answers to occurrences that another event has taken over follow them. @param knex the store's own where there is no change */
  async moveRsvps(knex: Knex | undefined, fromId: string, toId: string, since: string): Promise<void> {
    await (knex ?? this.#knex).raw(
      `UPDATE event_rsvps r SET event_id = :toId WHERE event_id = :fromId AND occurrence_local >= :since
         AND NOT EXISTS (SELECT 1 FROM event_rsvps o WHERE o.event_id = :toId AND o.occurrence_local = r.occurrence_local AND o.user_id = r.user_id)`,
      { fromId, toId, since },
    );
  }

  /** Stored answers to an occurrence. */
  async rsvps(eventId: string, occurrence: string): Promise<StoredRsvp[]> {
    const result = await this.#knex.raw(
      `SELECT user_id, answer, note, answered_at FROM event_rsvps
       WHERE event_id = ? AND occurrence_local = ? AND deleted_at IS NULL`,
      [eventId, occurrence],
    );
    return result.rows;
  }

  /** Who has answered to what of an event, taken back or not. */
  async rsvpPlaces(eventId: string): Promise<{ user_id: string; occurrence_local: string }[]> {
    const result = await this.#knex.raw(
      `SELECT user_id, to_char(occurrence_local, ${LOCAL}) AS occurrence_local FROM event_rsvps WHERE event_id = ?`,
      [eventId],
    );
    return result.rows;
  }

  /** Full names of people by the id of their login. */
  async namesOf(userIds: readonly string[]): Promise<Map<string, string>> {
    const result = await this.#knex.raw(
      `SELECT u.id, coalesce(st.full_name, p.full_name, g.full_name, u.login) AS name FROM users u
       LEFT JOIN staff st ON st.user_id = u.id LEFT JOIN students p ON p.user_id = u.id LEFT JOIN guardians g ON g.user_id = u.id
       WHERE u.id = ANY(?::uuid[])`,
      [[...userIds]],
    );
    return new Map(result.rows.map(({ id, name }: { id: string; name: string }) => [id, name]));
  }

  /** Which of these ids are classes, and which are users that are not archived. */
  async known(classIds: readonly string[], userIds: readonly string[]): Promise<Set<string>> {
    const result = await this.#knex.raw(
      `SELECT id FROM classes WHERE id = ANY(?::uuid[]) UNION ALL SELECT id FROM users WHERE id = ANY(?::uuid[]) AND status <> 'archived'`,
      [[...classIds], [...userIds]],
    );
    return new Set(result.rows.map(({ id }: { id: string }) => id));
  }
}
