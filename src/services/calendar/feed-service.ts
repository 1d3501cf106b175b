import type { Knex } from 'knex';
import { BadFeedTokenError } from '../../errors/catalogue.ts';
import type { Role, Scopes } from '../../lib/actor.ts';
import { addDays, schoolDateOf } from '../../lib/clock.ts';
import type { RowScopes } from '../../lib/reach.ts';
import { can } from '../auth/permissions.ts';
import type { School } from '../school/school.ts';
import type { Caller, WriteThrough } from '../write-through.ts';
import { sees, viewerOf } from './audience.ts';
import type { CalendarStore } from './calendar-store.ts';
import type { FeedTokens } from './feed-tokens.ts';
import { calendarText } from './icalendar.ts';

/** How far a feed looks back and ahead, days. */
const BACK_DAYS = 365;
const AHEAD_DAYS = 730;

export interface FeedDeps {
  knex: Knex;
  store: CalendarStore;
  school: School;
  tokens: FeedTokens;
  writeThrough: WriteThrough;
  /** Scopes of somebody on a date, for requests that have no session. */
  findScopes: (userId: string, on: string) => Promise<Scopes>;
  rowScopes: RowScopes;
}

/** Each person's calendar for the programs that subscribe to it: read with an address that proves itself and can be ended. */
export class FeedService {
  readonly #deps: FeedDeps;

  constructor(deps: FeedDeps) {
    this.#deps = deps;
  }

  /** The caller's address: the same one until it is ended. @returns its path and query */
  async open(caller: Caller): Promise<string> {
    const { userId } = caller.actor;
    const epoch = await this.#deps.writeThrough.run(caller, async ({ knex, record }) => {
      const result = await knex.raw(
        `INSERT INTO calendar_feeds (user_id, created_at, updated_at) VALUES (:userId, :now, :now)
         ON CONFLICT (user_id) DO UPDATE SET updated_at = :now RETURNING epoch`,
        { userId, now: caller.now },
      );
      record({ service: 'calendar', action: 'calendar_feed.open', entity: { type: 'user', id: userId } });
      return result.rows[0].epoch as number;
    });
    return `/api/v1/calendar.ics?token=${this.#deps.tokens.sign({ userId, epoch })}`;
  }

  /** Ends all addresses that the caller has been given. */
  async revoke(caller: Caller): Promise<void> {
    const { userId } = caller.actor;
    await this.#deps.writeThrough.run(caller, async ({ knex, record }) => {
      await knex.raw(`UPDATE calendar_feeds SET epoch = epoch + 1, updated_at = :now WHERE user_id = :userId`, {
        userId,
        now: caller.now,
      });
      record({ service: 'calendar', action: 'calendar_feed.revoke', entity: { type: 'user', id: userId } });
    });
  }

  /**
   * What the owner of an address sees of the calendar, a year back and two ahead, as iCalendar.
   *
   * @throws BadFeedTokenError when it is none of ours, was ended, or its owner is not active
   */
  async read(token: string, now: Date): Promise<string> {
    const { store, school, findScopes, rowScopes } = this.#deps;
    const { userId, epoch } = this.#deps.tokens.verify(token);
    const roles = await this.#rolesOf(userId, epoch);
    const timezone = await school.timezone();
    const today = schoolDateOf(now, timezone);
    const span = {
      from: `${addDays(today, -BACK_DAYS)}T00:00:00.000Z`,
      to: `${addDays(today, AHEAD_DAYS)}T00:00:00.000Z`,
    };
    const actor = { userId, roles, scopes: () => findScopes(userId, today) };
    const reach = () => rowScopes.reachOf(actor, can(actor, 'events', 'r'));
    const [viewer, events] = await Promise.all([viewerOf({ actor, reach }), store.inSpan(span)]);
    const shown = events.filter((event) => event.event.status === 'published' && sees(event, viewer));
    const [first = today] = shown.map(({ event }) => event.start_local.slice(0, 10)).sort();
    const dates = await store.closedDates(addDays(first, -1), '2200-01-01');
    const closed = { timezone, has: (date: string) => dates.has(date) };
    return calendarText('School calendar', shown, { closed, to: span.to });
  }

  async #rolesOf(userId: string, epoch: number): Promise<Role[]> {
    const result = await this.#deps.knex.raw(
      `SELECT array(SELECT role FROM user_roles r WHERE r.user_id = u.id ORDER BY role) AS roles
       FROM calendar_feeds f JOIN users u ON u.id = f.user_id
       WHERE f.user_id = ? AND f.epoch = ? AND u.status = 'active'`,
      [userId, epoch],
    );
    if (!result.rows[0]) throw new BadFeedTokenError();
    return result.rows[0].roles;
  }
}
