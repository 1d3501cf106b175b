import type { Knex } from 'knex';
import { StaleVersionError } from '../buffer/write-buffer.ts';
import { TakenError } from '../errors/catalogue.ts';
import { type DomainEvent, type NewEvent, stampEvent } from '../lib/events.ts';
import type { RequestContext } from '../lib/route.ts';
import { onceOnly } from '../stores/postgres/once-only.ts';
import { addToOutbox } from '../stores/postgres/outbox.ts';
import type { Activity, ActivityLog, ActivityOrigin } from './activity-log/activity-log.ts';

export type Caller = ActivityOrigin & Pick<RequestContext, 'repeatable'>;

/** What a change works with; everything it does through this stands or falls together. */
export interface Change {
  knex: Knex.Transaction;
  /** Tells other services, once the change is committed. */
  emit(event: NewEvent): void;
  /** Adds a line to the audit log. Every change adds at least one. */
  record(activity: Activity): void;
}

export interface RunOptions<T = unknown> {
  /**
   * Whether a repeatable request is answered with the first one's result, which is kept beside the rows: true unless told. False
   * for results that are secrets; such a change runs again for a repetition, and must itself find what it has stored.
   */
  keepsResult?: boolean;
  /** Drops what is kept of the old rows: called once the change is committed, before anybody is told of it. */
  settle?: (result: T) => Promise<void>;
}

/** Runs changes as `run` does, and keeps nothing of them. */
export interface Rehearsal {
  run<T>(change: (change: Change) => Promise<T>, uniques?: UniquePointers): Promise<T>;
}

/** Which field of the request a unique constraint of the database is about: constraint name → JSON pointer. */
export type UniquePointers = Readonly<Record<string, string>>;

const UNIQUE_VIOLATION = '23505';

/**
 * Changes of rows that are committed before they are answered (mode T of DOMAIN §0): one transaction for the rows and the
 * events that follow from them, and the lines of the audit log.
 */
export class WriteThrough {
  readonly #knex: Knex;
  readonly #activity: ActivityLog;
  #onEvents: ((events: readonly DomainEvent[]) => Promise<void>) | undefined;

  constructor({ knex, activity }: { knex: Knex; activity: ActivityLog }) {
    this.#knex = knex;
    this.#activity = activity;
  }

  /**
   * Told of the events of a change once it is committed, before the request is answered: for what its own maker must see at
   * once. It must not throw; consumers hear of the same events later.
   */
  onEvents(listener: (events: readonly DomainEvent[]) => Promise<void>): void {
    this.#onEvents = listener;
  }

  /**
   * Runs a change in a transaction; nothing of it stays when it throws. A request with an Idempotency-Key runs it once,
   * also when its answer was lost: its result is kept beside the rows, so it must be plain JSON.
   *
   * @param uniques what a broken unique constraint is called in the request
   * @throws TakenError naming the field of a value that another row has; whatever the change throws
   */
  async run<T>(
    caller: Caller,
    change: (change: Change) => Promise<T>,
    uniques: UniquePointers = {},
    { keepsResult = true, settle }: RunOptions<T> = {},
  ): Promise<T> {
    let events: DomainEvent[] = [];
    let result: T;
    try {
      result = await this.#knex.transaction(async (knex) => {
        const said: NewEvent[] = [];
        const lines: Activity[] = [];
        const effect = () =>
          change({
            knex,
            emit: (event) => void said.push(event),
            record: (line) => void lines.push(line),
          });
        const effected = await (keepsResult && caller.repeatable
          ? onceOnly(knex, caller.actor.userId, caller.repeatable, effect)
          : effect());
        events = said.map((event) => stampEvent(caller, event));
        await addToOutbox(knex, events);
        // Before the commit: a change that cannot be noted does not happen.
        await Promise.all(lines.map((line) => this.#activity.record(caller, line)));
        return effected;
      });
    } catch (error) {
      throw takenError(error, uniques) ?? error;
    }
    await settle?.(result);
    if (events.length > 0) await this.#onEvents?.(events);
    return result;
  }

  /**
   * Tries changes one after the other: each sees those before it and throws what it would throw, then all are taken back. Nothing
   * is stored, told or noted. Rows that they touch are locked until then, so a rehearsal is short.
   */
  async rehearse<T>(changes: (rehearsal: Rehearsal) => Promise<T>): Promise<T> {
    const transaction = await this.#knex.transaction();
    try {
      return await changes({
        run: async (change, uniques = {}) => {
          try {
            // A savepoint: what throws takes only itself back.
            return await transaction.transaction((knex) => change({ knex, emit: () => {}, record: () => {} }));
          } catch (error) {
            throw takenError(error, uniques) ?? error;
          }
        },
      });
    } finally {
      await transaction.rollback();
    }
  }
}

function takenError(error: unknown, uniques: UniquePointers): Error | undefined {
  const { code, constraint } = error as { code?: string; constraint?: string };
  const pointer = code === UNIQUE_VIOLATION && constraint ? uniques[constraint] : undefined;
  if (pointer === undefined) return undefined;
  return new TakenError({ cause: error, errors: [{ pointer, detail: 'another one has this value already' }] });
}

/** SQL for a new row's `version`: the database's clock in microseconds (DOMAIN §0). */
export const FIRST_VERSION = '(extract(epoch FROM clock_timestamp()) * 1000000)::bigint';
/** SQL for a changed row's `version`: it only rises, whatever the clock does. */
export const NEXT_VERSION = `greatest(version + 1, ${FIRST_VERSION})`;

/** @throws StaleVersionError when the client has seen another version than the row's */
export function requireVersion(ifMatch: number | undefined, version: number): void {
  if (ifMatch !== undefined && ifMatch !== version) throw new StaleVersionError(version);
}
