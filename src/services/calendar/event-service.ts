import { BadStateError, ForbiddenError, NotFoundError } from '../../errors/catalogue.ts';
import type { Reading, RequestContext } from '../../lib/route.ts';
import { type Change, requireVersion } from '../write-through.ts';
import { edits, sees, type Viewer, type Viewing, viewerOf } from './audience.ts';
import type { CalendarChanges, Warning } from './calendar-changes.ts';
import type { Audience, EventException, EventInput, WholeEvent } from './calendar-event.ts';
import type { CalendarStore, StoredEvent } from './calendar-store.ts';
import type { RsvpService } from './rsvp-service.ts';
import {
  changedEvent,
  columnsOf,
  type EventChanges,
  fitting,
  requireOccurrence,
  soundEvent,
  splitAt,
  withCancelled,
  withChanged,
} from './series.ts';

export type CalendarCaller = Reading & Pick<RequestContext, 'requestId' | 'ip' | 'newId'>;

/** Which part of a series a change is about (C3). */
export interface Target {
  id: string;
  scope: 'all' | 'this' | 'following';
  /** Rule's start of the occurrence; null only with `all`. */
  occurrence: string | null;
  ifMatch?: number | undefined;
}

export interface EventView extends WholeEvent {
  /** The caller may change it. */
  isEditable: boolean;
}

export interface EventResult {
  /** Null when nothing is left of it. */
  view: EventView | null;
  /** Exceptions that no longer fit. */
  dropped: EventException[];
  warnings: Warning[];
}

/** What a change makes of one event: null when it is deleted. */
interface Outcome {
  before: WholeEvent[];
  after: WholeEvent[];
  /** The one of `after` that the caller asked for. */
  result: WholeEvent | null;
  dropped: EventException[];
}

/** Events of the school's calendar: written through, since they change other rules. */
export class EventService {
  readonly #store: CalendarStore;
  readonly #changes: CalendarChanges;
  readonly #rsvps: RsvpService;

  constructor(deps: { store: CalendarStore; changes: CalendarChanges; rsvps: RsvpService }) {
    this.#store = deps.store;
    this.#changes = deps.changes;
    this.#rsvps = deps.rsvps;
  }

  /** @throws NotFoundError when there is none that the caller sees (C7) */
  async get(caller: Viewing, id: string): Promise<EventView> {
    const [viewer, found] = await Promise.all([viewerOf(caller), this.#store.find(id)]);
    if (!found || !sees(found, viewer)) throw new NotFoundError();
    return { ...found, isEditable: edits(found, viewer) };
  }

  /**
   * @throws ValidationError, BadRruleError, TooManyError (C1)
   * @throws ForbiddenError, NotFoundError for audiences that the caller may not write to
   */
  async create(caller: CalendarCaller, input: EventInput, audiences: readonly Audience[]): Promise<EventResult> {
    const event = soundEvent(input, audiences);
    await this.#requireAudiences(await viewerOf(caller), event, audiences);
    return this.#run(caller, async (change) => {
      const made = await this.#insert(caller, change, columnsOf(event, []), audiences, []);
      change.record(activityOf('create', made.event.id, event));
      return { before: [], after: [made], result: made, dropped: [] };
    });
  }

  /**
   * Changes a whole series, one occurrence, or those from one on (C3).
   *
   * @throws NotFoundError, StaleVersionError, NoSuchOccurrenceError, BadStateError once it is cancelled; as `create` does
   */
  async update(caller: CalendarCaller, target: Target, changes: EventChanges): Promise<EventResult> {
    const viewer = await viewerOf(caller);
    const split = await this.#prepare(target);
    const outcome = await this.#run(caller, async (change) => {
      const old = await this.#requireOwn(change, viewer, target);
      if (target.occurrence !== null) requireOccurrence(old, target.occurrence);
      if (target.scope === 'this' && old.event.rrule !== null)
        return this.#changeOne(caller, change, old, withChanged(old, target.occurrence!, changes));
      const parts = target.scope === 'following' ? splitAt(old, target.occurrence!) : undefined;
      return parts
        ? this.#changeFollowing(caller, change, viewer, old, parts, changes)
        : this.#changeAll(caller, change, viewer, old, changes);
    });
    await split(outcome.view?.event.id);
    return outcome;
  }

  /** Deletes a whole series, one occurrence, or those from one on. @throws as `update` does */
  async remove(caller: CalendarCaller, target: Target): Promise<EventResult> {
    const viewer = await viewerOf(caller);
    return this.#run(caller, async (change) => {
      const old = await this.#requireOwn(change, viewer, target);
      if (target.occurrence !== null) requireOccurrence(old, target.occurrence);
      if (target.scope === 'this' && old.event.rrule !== null)
        return this.#changeOne(caller, change, old, withCancelled(old, target.occurrence!));
      const parts = target.scope === 'following' ? splitAt(old, target.occurrence!) : undefined;
      if (parts) {
        const ended = await this.#write(caller, change, old, columnsOf(parts.ended, parts.kept), parts.kept);
        change.record(activityOf('delete', old.event.id, { from: target.occurrence }));
        return { before: [old], after: [ended], result: ended, dropped: parts.moved };
      }
      await this.#store.remove(change.knex, old.event.id, caller.now);
      change.record(activityOf('delete', old.event.id));
      return { before: [old], after: [], result: null, dropped: [] };
    });
  }

  async #run(caller: CalendarCaller, work: (change: Change) => Promise<Outcome>): Promise<EventResult> {
    const { result, warnings } = await this.#changes.run(caller, work);
    return {
      view: result.result && { ...result.result, isEditable: true },
      dropped: result.dropped,
      warnings,
    };
  }

  /** The event as it is, locked. @throws NotFoundError for one that the caller may not change */
  async #requireOwn({ knex }: Change, viewer: Viewer, { id, ifMatch }: Target): Promise<StoredEvent> {
    const found = await this.#store.find(id, knex);
    if (!found || !edits(found, viewer)) throw new NotFoundError();
    requireVersion(ifMatch, found.event.version);
    return found;
  }

  async #changeAll(
    caller: CalendarCaller,
    change: Change,
    viewer: Viewer,
    old: WholeEvent,
    { audiences = old.audiences, ...changes }: EventChanges,
  ): Promise<Outcome> {
    if (old.event.status === 'cancelled') throw new BadStateError('a cancelled event stays as it is');
    const event = changedEvent(old.event, changes, audiences);
    await this.#requireAudiences(viewer, event, audiences);
    const { kept, dropped } = fitting(event, old.exceptions);
    const written = await this.#write(caller, change, old, columnsOf(event, kept), kept, audiences);
    change.record(activityOf('update', old.event.id, changes));
    return { before: [old], after: [written], result: written, dropped };
  }

  async #changeOne(
    caller: CalendarCaller,
    change: Change,
    old: WholeEvent,
    exceptions: EventException[],
  ): Promise<Outcome> {
    if (old.event.status === 'cancelled') throw new BadStateError('a cancelled event stays as it is');
    const written = await this.#write(caller, change, old, columnsOf(old.event, exceptions), exceptions);
    change.record(activityOf('update', old.event.id, { exceptions: exceptions.length }));
    return { before: [old], after: [written], result: written, dropped: [] };
  }

  /** Ends the old series before the occurrence and starts a new one, with the exceptions and answers that fit it. */
  async #changeFollowing(
    caller: CalendarCaller,
    change: Change,
    viewer: Viewer,
    old: WholeEvent,
    { ended, kept, rest, moved }: NonNullable<ReturnType<typeof splitAt>>,
    { audiences = old.audiences, ...changes }: EventChanges,
  ): Promise<Outcome> {
    if (old.event.status === 'cancelled') throw new BadStateError('a cancelled event stays as it is');
    const next = changedEvent({ ...old.event, ...rest }, changes, audiences);
    await this.#requireAudiences(viewer, next, audiences);
    const { kept: fits, dropped } = fitting(next, moved);
    const before = await this.#write(caller, change, old, columnsOf(ended, kept), kept);
    const columns = columnsOf({ ...next, split_from_id: old.event.id }, fits);
    const made = await this.#insert(caller, change, columns, audiences, fits);
    await this.#rsvps.move(change.knex, old.event.id, made.event.id, rest.start_local);
    change.record(activityOf('split', old.event.id, { into: made.event.id, from: rest.start_local, ...changes }));
    return { before: [old], after: [before, made], result: made, dropped };
  }

  /** A series that is split takes its answers along: those of the buffer are stored first, and late ones follow. */
  async #prepare({ id, scope, occurrence }: Target): Promise<(newId: string | undefined) => Promise<void>> {
    if (scope !== 'following') return async () => {};
    await this.#rsvps.storePending(id);
    return async (newId) => {
      if (newId !== undefined && newId !== id) await this.#rsvps.moveLate(id, newId, occurrence!);
    };
  }

  async #insert(
    { actor, now, newId }: CalendarCaller,
    { knex }: Change,
    columns: ReturnType<typeof columnsOf>,
    audiences: readonly Audience[],
    exceptions: EventException[],
  ): Promise<WholeEvent> {
    const at = now.toISOString();
    const made = { ...columns, id: newId(), created_by: actor.userId, created_at: at };
    const version = await this.#store.insert(knex, made);
    await this.#store.setAudiences(knex, made.id, audiences, newId);
    await this.#store.setExceptions(knex, made.id, exceptions);
    return { event: { ...made, updated_at: at, version }, exceptions, audiences: [...audiences] };
  }

  async #write(
    { now, newId }: CalendarCaller,
    { knex }: Change,
    old: WholeEvent,
    columns: ReturnType<typeof columnsOf>,
    exceptions: EventException[],
    audiences: readonly Audience[] = old.audiences,
  ): Promise<WholeEvent> {
    const { id } = old.event;
    const version = await this.#store.update(knex, id, columns, now);
    if (audiences !== old.audiences) await this.#store.setAudiences(knex, id, audiences, newId);
    await this.#store.setExceptions(knex, id, exceptions);
    return {
      event: { ...old.event, ...columns, updated_at: now.toISOString(), version },
      exceptions,
      audiences: [...audiences],
    };
  }

  /** Teachers write to classes, and only to their own, which the platform checks; the rest is for those who run the school. */
  async #requireAudiences({ reach }: Viewer, event: EventInput, audiences: readonly Audience[]): Promise<void> {
    if (!reach.all) {
      if (event.is_school_closed || audiences.some(({ kind }) => kind !== 'class'))
        throw new ForbiddenError('events of your own classes only');
      return;
    }
    const known = await this.#store.known(
      audiences.flatMap(({ class_id }) => class_id ?? []),
      audiences.flatMap(({ user_id }) => user_id ?? []),
    );
    const strange = audiences.flatMap(({ class_id, user_id }, place) => {
      const id = class_id ?? user_id;
      return id && !known.has(id) ? [`/audiences/${place}/${class_id ? 'class_id' : 'user_id'}`] : [];
    });
    if (strange.length > 0)
      throw new NotFoundError({ errors: strange.map((pointer) => ({ pointer, detail: 'is not there' })) });
  }
}

const activityOf = (verb: 'create' | 'update' | 'delete' | 'split', id: string, after?: object) => ({
  service: 'calendar',
  action: `event.${verb}`,
  entity: { type: 'event', id },
  ...(after ? { after } : {}),
});
