import type { Knex } from 'knex';
import type { Barrier } from '../../buffer/barrier.ts';
import type { Reader } from '../../buffer/reader.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { Writer } from '../../buffer/writer.ts';
import { NoSuchOccurrenceError, NotFoundError, RsvpClosedError, UnprocessableError } from '../../errors/catalogue.ts';
import { addDays } from '../../lib/clock.ts';
import type { Document } from '../../lib/entity.ts';
import { reachOfUser } from '../../lib/reach.ts';
import type { WriteReceipt } from '../../lib/write-receipt.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import { repeatUnlessAsked } from '../repeat.ts';
import type { School } from '../school/school.ts';
import { edits, sees, type Viewer, type Viewing, viewerOf } from './audience.ts';
import type { CalendarStore, StoredEvent, StoredRsvp } from './calendar-store.ts';
import { type Answer, type EventRsvp, toKeyMinute } from './event-rsvp.entity.ts';
import type { CalendarCaller } from './event-service.ts';
import { type Occurrence, occurrencesOf } from './occurrences.ts';

export interface RsvpInput {
  eventId: string;
  /** Rule's start; of an event that takes place once it may be left out. */
  occurrence: string | undefined;
  /** Null takes the answer back. */
  answer: Answer | null;
  note: string | null;
}

export interface RsvpView {
  event_id: string;
  occurrence_local: string;
  user_id: string;
  answer: Answer | null;
  note: string | null;
  answered_at: string;
}

export interface RsvpDeps {
  buffer: WriteBuffer;
  writer: Writer;
  reader: Reader;
  barrier: Barrier;
  store: CalendarStore;
  school: School;
  activity: ActivityLog;
}

/** Answers to invitations: buffered, each person's own. */
export class RsvpService {
  readonly #deps: RsvpDeps;

  constructor(deps: RsvpDeps) {
    this.#deps = deps;
  }

  /**
   * Sets, changes or takes back the caller's answer to an occurrence.
   *
   * @throws NotFoundError when the caller does not see the event (C7); NoSuchOccurrenceError
   * @throws RsvpClosedError once it is cancelled or has begun
   */
  answer(
    caller: CalendarCaller,
    input: RsvpInput,
    ifMatch?: number,
  ): Promise<{ view: RsvpView; receipt: WriteReceipt }> {
    return repeatUnlessAsked(ifMatch, () => this.#answer(caller, input, ifMatch));
  }

  async #answer(caller: CalendarCaller, { eventId, occurrence, answer, note }: RsvpInput, ifMatch?: number) {
    const { reader, writer, activity } = this.#deps;
    const { found } = await this.#requireSeen(caller, eventId);
    if (found.event.status !== 'published') throw new RsvpClosedError('the event does not take place');
    const one = await this.#requireOccurrence(found, occurrence, '/occurrence');
    if (one.starts_at <= caller.now.toISOString()) throw new RsvpClosedError('it has begun');
    const { userId } = caller.actor;
    const at = caller.now.toISOString();
    const key = `${eventId}:${toKeyMinute(one.occurrence_local)}:${userId}`;
    const old = await reader.get('event_rsvp', key, reachOfUser(userId));
    const document: EventRsvp = {
      event_id: eventId,
      occurrence_local: toKeyMinute(one.occurrence_local),
      user_id: userId,
      // An answer that is taken back keeps its row, and that an answer; nobody reads it.
      answer: answer ?? (old?.document.answer as Answer | undefined) ?? 'no',
      note: answer === null ? null : note,
      answered_at: at,
      deleted_at: null,
    };
    const [receipt] = await Promise.all([
      writer.put('event_rsvp', document as unknown as Document, {
        base: old?.version ?? 0,
        isTombstone: answer === null,
        ...(ifMatch === undefined ? {} : { ifMatch }),
      }),
      activity.record(caller, {
        service: 'calendar',
        action: answer === null ? 'event_rsvp.delete' : 'event_rsvp.save',
        entity: { type: 'event', id: eventId },
        after: { occurrence_local: one.occurrence_local, answer },
      }),
    ]);
    const view: RsvpView = {
      event_id: eventId,
      occurrence_local: one.occurrence_local,
      user_id: userId,
      answer,
      note: document.note,
      answered_at: at,
    };
    return { view, receipt };
  }

  /**
   * Answers to one occurrence: all for those who run the event, else the caller's own.
   *
   * @throws NotFoundError, NoSuchOccurrenceError; UnprocessableError when a series is asked without one
   */
  async list(
    caller: Viewing,
    eventId: string,
    occurrence: string | undefined,
  ): Promise<{ occurrence_local: string; answers: (RsvpView & { name: string | null; pending: boolean })[] }> {
    const { buffer, store } = this.#deps;
    const { found, viewer } = await this.#requireSeen(caller, eventId);
    const { occurrence_local } = await this.#requireOccurrence(found, occurrence, '/query/occurrence');
    // Pending answers first: one that is stored in between is read twice and shown once.
    const pending = (await buffer.pendingOf('event_rsvp', 'event_id', [eventId])).filter(
      ({ document }) => document.occurrence_local === toKeyMinute(occurrence_local),
    );
    const stored = await store.rsvps(eventId, occurrence_local);
    const answers = new Map(
      stored.map((rsvp): [string, StoredRsvp & { pending: boolean }] => [rsvp.user_id, { ...rsvp, pending: false }]),
    );
    for (const { header, document } of pending) {
      const { user_id, answer, note, answered_at } = document as unknown as EventRsvp;
      if (header.isTombstone) answers.delete(user_id);
      else answers.set(user_id, { user_id, answer, note, answered_at, pending: true });
    }
    const shown = [...answers.values()].filter(({ user_id }) => edits(found, viewer) || user_id === viewer.userId);
    const names = await store.namesOf(shown.map(({ user_id }) => user_id));
    return {
      occurrence_local,
      answers: shown
        .map((rsvp) => ({ ...rsvp, event_id: eventId, occurrence_local, name: names.get(rsvp.user_id) ?? null }))
        .sort((a, b) => (a.user_id < b.user_id ? -1 : 1)),
    };
  }

  /** Has the buffered answers to an event stored now. @throws FlushPendingError */
  async storePending(eventId: string): Promise<void> {
    const pending = await this.#deps.buffer.pendingOf('event_rsvp', 'event_id', [eventId]);
    await this.#deps.barrier.store(
      'event_rsvp',
      pending.map(({ key }) => key),
    );
  }

  /** Answers from an occurrence on belong to another event now. */
  move(knex: Knex, fromId: string, toId: string, since: string): Promise<void> {
    return this.#deps.store.moveRsvps(knex, fromId, toId, since);
  }

  /** After the commit of such a move: what was answered meanwhile follows, and copies of what moved are forgotten. */
  async moveLate(fromId: string, toId: string, since: string): Promise<void> {
    const { store } = this.#deps;
    await this.storePending(fromId);
    await store.moveRsvps(undefined, fromId, toId, since);
    const keys = (await store.rsvpPlaces(toId)).flatMap(({ user_id, occurrence_local }) =>
      [fromId, toId].map((id) => `${id}:${toKeyMinute(occurrence_local)}:${user_id}`),
    );
    await this.#deps.buffer.dropWarm('event_rsvp', keys);
  }

  async #requireSeen(caller: Viewing, eventId: string): Promise<{ found: StoredEvent; viewer: Viewer }> {
    const [viewer, found] = await Promise.all([viewerOf(caller), this.#deps.store.find(eventId)]);
    if (!found || !sees(found, viewer)) throw new NotFoundError();
    return { found, viewer };
  }

  async #requireOccurrence(
    { event, exceptions }: StoredEvent,
    occurrence: string | undefined,
    pointer: string,
  ): Promise<Occurrence> {
    if (occurrence === undefined && event.rrule !== null)
      throw new UnprocessableError({ errors: [{ pointer, detail: 'is needed for an event that recurs' }] });
    const wanted = occurrence ?? event.start_local;
    const closed = event.is_skip_closed ? await this.#closedOn(wanted) : undefined;
    const one = occurrencesOf(event, exceptions, closed ? { closed } : {}).find(
      ({ occurrence_local }) => occurrence_local === wanted,
    );
    if (!one) throw new NoSuchOccurrenceError({ errors: [{ pointer, detail: 'is not the start of an occurrence' }] });
    return one;
  }

  async #closedOn(local: string) {
    const on = local.slice(0, 10);
    const dates = await this.#deps.store.closedDates(addDays(on, -1), addDays(on, 1));
    return { timezone: await this.#deps.school.timezone(), has: (date: string) => dates.has(date) };
  }
}
