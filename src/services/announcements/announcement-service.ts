import type { Knex } from 'knex';
import { BadStateError, ForbiddenError, NotFoundError } from '../../errors/catalogue.ts';
import { type NewEvent, stampScheduled } from '../../lib/events.ts';
import type { RequestContext } from '../../lib/route.ts';
import { addToOutbox } from '../../stores/postgres/outbox.ts';
import type { School } from '../school/school.ts';
import { type Reach, reachOf } from '../scope.ts';
import { type Change, requireVersion, type WriteThrough, type Caller as Writing } from '../write-through.ts';
import {
  type Announcement,
  type AnnouncementInput,
  type Audience,
  requireSound,
  type State,
  settledChanges,
  stateAt,
} from './announcement.ts';
import type { AnnouncementStore, ListPosition } from './announcement-store.ts';

type Asking = Pick<RequestContext, 'actor' | 'scope' | 'now'>;
type Caller = Writing & Asking;

export interface AnnouncementView {
  announcement: Announcement;
  state: State;
  /** The caller may change it. */
  isEditable: boolean;
}

export type Changes = Partial<AnnouncementInput>;

export interface AnnouncementDeps {
  knex: Knex;
  store: AnnouncementStore;
  writes: WriteThrough;
  school: School;
}

/** Told in one transaction at most. */
const CLAIMED_AT_ONCE = 100;

/**
 * Announcements and who reads, writes and hears of them (DOMAIN §1). An announcement is told once, in the commit that finds it
 * out: its creation, the change that moves it to now, or the minute's work.
 */
export class AnnouncementService {
  readonly #deps: AnnouncementDeps;

  constructor(deps: AnnouncementDeps) {
    this.#deps = deps;
  }

  /** Pinned ones first, then the newest. @returns one more than the limit where there is a further page */
  async list(
    caller: Asking,
    query: { state: State; after: ListPosition | undefined; limit: number },
  ): Promise<AnnouncementView[]> {
    const { actor, now } = caller;
    const reach = await this.#reachOf(caller);
    const reader = reach.all ? undefined : { userId: actor.userId, roles: actor.roles, classIds: [...reach.classes] };
    const found = await this.#deps.store.list({ ...query, reader, now });
    return found.map((announcement) => this.#viewOf(caller, reach, announcement));
  }

  /** @throws NotFoundError when there is none that the caller sees */
  async get(caller: Asking, id: string): Promise<AnnouncementView> {
    const reach = await this.#reachOf(caller);
    const found = await this.#deps.store.find(id);
    if (!found || !sees(caller, reach, found)) throw new NotFoundError();
    return this.#viewOf(caller, reach, found);
  }

  /**
   * @throws UnprocessableError for fields that do not go together; ForbiddenError for an audience that the caller may not write
   *   to; NotFoundError for a class that is not the caller's
   */
  async create(caller: Caller, input: AnnouncementInput): Promise<AnnouncementView> {
    requireSound(input);
    const { store, writes } = this.#deps;
    const reach = await this.#reachOf(caller);
    const announcement = await writes.run(caller, async (change) => {
      await this.#requireAudience(change.knex, reach, input);
      const id = caller.newId();
      const announced_at = announce(change, { id, announced_at: null, ...input }, caller.now);
      const created_at = caller.now.toISOString();
      await store.insert(change.knex, { ...input, id, author_id: caller.actor.userId, announced_at, created_at });
      change.record(activityOf('create', id, auditOf(input)));
      return (await store.find(id, change.knex))!;
    });
    return this.#viewOf(caller, reach, announcement);
  }

  /**
   * @throws NotFoundError for one that the caller may not change; StaleVersionError; BadStateError when the audience or the time
   *   would change once it is out; as `create` does
   */
  async update(caller: Caller, id: string, changes: Changes, ifMatch: number | undefined): Promise<AnnouncementView> {
    const { store, writes } = this.#deps;
    const reach = await this.#reachOf(caller);
    const announcement = await writes.run(caller, async (change) => {
      const old = await this.#requireOwn(change, caller, reach, id, ifMatch);
      const named = changes.audience === undefined ? {} : { class_id: null, role: null };
      const next = { ...old, ...named, ...changes };
      requireSound(next);
      requireUnsettled(old, next, caller.now);
      await this.#requireAudience(change.knex, reach, next);
      const announced_at = announce(change, next, caller.now);
      await store.update(change.knex, id, { ...next, announced_at }, caller.now);
      change.record(activityOf('update', id, { ...auditOf(next), changed: Object.keys(changes) }));
      return (await store.find(id, change.knex))!;
    });
    return this.#viewOf(caller, reach, announcement);
  }

  /** @throws NotFoundError, StaleVersionError */
  async remove(caller: Caller, id: string, ifMatch: number | undefined): Promise<void> {
    const { store, writes } = this.#deps;
    const reach = await this.#reachOf(caller);
    await writes.run(caller, async (change) => {
      await this.#requireOwn(change, caller, reach, id, ifMatch);
      await store.remove(change.knex, id, caller.now);
      change.record(activityOf('delete', id));
      return null;
    });
  }

  /**
   * Tells the audiences of what is out by now and was not told. Any number of processes may do so at once: each is told by one.
   *
   * @returns how many were told
   */
  async publishDue(now: Date): Promise<number> {
    const { knex, store } = this.#deps;
    let told = 0;
    for (;;) {
      const due = await knex.transaction(async (transaction) => {
        const claimed = await store.claimDue(transaction, now, CLAIMED_AT_ONCE);
        await addToOutbox(
          transaction,
          claimed.map((announcement) => stampScheduled(publishedEvent(announcement), now)),
        );
        return claimed;
      });
      told += due.length;
      if (due.length < CLAIMED_AT_ONCE) return told;
    }
  }

  #reachOf({ actor, scope }: Asking): Promise<Reach> {
    return reachOf(actor, scope, this.#deps.school);
  }

  #viewOf(caller: Asking, reach: Reach, announcement: Announcement): AnnouncementView {
    return { announcement, state: stateAt(announcement, caller.now), isEditable: edits(caller, reach, announcement) };
  }

  /** The row as it is, locked. */
  async #requireOwn(
    { knex }: Change,
    caller: Asking,
    reach: Reach,
    id: string,
    ifMatch: number | undefined,
  ): Promise<Announcement> {
    const found = await this.#deps.store.find(id, knex);
    if (!found || !edits(caller, reach, found)) throw new NotFoundError();
    requireVersion(ifMatch, found.version);
    return found;
  }

  /** Teachers write to classes that they lead (404 for others), to more than a class only those who run the school (403). */
  async #requireAudience(knex: Knex, reach: Reach, { audience, class_id }: Audience): Promise<void> {
    if (audience !== 'class') {
      if (!reach.all) throw new ForbiddenError('announcements to your own classes only');
      return;
    }
    const isKnown = reach.all ? await this.#deps.store.hasClass(knex, class_id!) : reach.ledClasses.has(class_id!);
    if (!isKnown) throw new NotFoundError({ errors: [{ pointer: '/class_id', detail: 'is not one of yours' }] });
  }
}

/** Those who run the school change all; others what they wrote, while they still lead the class. */
const edits = ({ actor }: Asking, reach: Reach, { author_id, class_id }: Announcement): boolean =>
  reach.all || (author_id === actor.userId && class_id !== null && reach.ledClasses.has(class_id));

/** What the list's condition says in SQL. */
function sees({ actor, now }: Asking, reach: Reach, announcement: Announcement): boolean {
  if (reach.all || announcement.author_id === actor.userId) return true;
  if (stateAt(announcement, now) !== 'current') return false;
  const { audience, class_id, role } = announcement;
  if (audience === 'school') return true;
  return audience === 'role' ? actor.roles.includes(role!) : reach.classes.has(class_id!);
}

function requireUnsettled(old: Announcement, next: AnnouncementInput, now: Date): void {
  if (old.announced_at === null && old.publish_at > now.toISOString()) return;
  const late = settledChanges(old, next);
  if (late.length === 0) return;
  const errors = late.map((name) => ({ pointer: `/${name}`, detail: 'cannot change once it is published' }));
  throw new BadStateError({ errors });
}

type Told = AnnouncementInput & Pick<Announcement, 'id' | 'announced_at'>;

/** Tells the audience with the commit, if it is to be told now. @returns when it was told, or null */
function announce(change: Change, announcement: Told, now: Date): string | null {
  if (announcement.announced_at !== null || stateAt(announcement, now) !== 'current') return announcement.announced_at;
  change.emit(publishedEvent(announcement));
  return now.toISOString();
}

/** Ids only: events are shown in Bull Board when they fail. */
const publishedEvent = ({ id, audience, class_id, role }: Audience & { id: string }): NewEvent => ({
  name: 'announcement.published',
  aggregateId: id,
  payload: { announcement_id: id, audience, class_id, role },
});

const auditOf = ({ audience, class_id, role, publish_at, expires_at, is_pinned }: AnnouncementInput) => ({
  audience,
  class_id,
  role,
  publish_at,
  expires_at,
  is_pinned,
});

const activityOf = (verb: 'create' | 'update' | 'delete', id: string, after?: object) => ({
  service: 'dashboard',
  action: `announcement.${verb}`,
  entity: { type: 'announcement', id },
  ...(after ? { after } : {}),
});
