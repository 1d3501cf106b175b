import type { Knex } from 'knex';
import type { Log } from '../src/lib/log.ts';
import type { EventLog } from '../src/live/event-log.ts';
import type { Lease } from '../src/live/lease.ts';
import { markSent, unsentEvents } from '../src/stores/postgres/outbox.ts';

const AT_ONCE = 200;

/**
 * Sends the events of committed changes on to their consumers, in one process at a time. They are marked after they were sent,
 * so a crash in between sends them twice, in the same order; consumers know them by their ids.
 */
export class OutboxRelay {
  readonly #deps: { knex: Knex; eventLog: EventLog; lease: Lease; log: Log };
  #running: Promise<void> | undefined;
  #isAway = false;

  constructor(deps: { knex: Knex; eventLog: EventLog; lease: Lease; log: Log }) {
    this.#deps = deps;
  }

  /** Called twice a second. */
  tick(nowMs: number): void {
    this.#running ??= this.#relay(nowMs).finally(() => {
      this.#running = undefined;
    });
  }

  async stop(): Promise<void> {
    await this.#running;
    await this.#deps.lease.release();
  }

  async #relay(nowMs: number): Promise<void> {
    const { knex, eventLog, lease, log } = this.#deps;
    try {
      if (!(await lease.hold(nowMs))) return;
      for (;;) {
        const events = await unsentEvents(knex, AT_ONCE);
        if (events.length > 0) {
          await eventLog.append(events);
          await markSent(
            knex,
            events.map(({ id }) => id),
          );
        }
        this.#isAway = false;
        if (events.length < AT_ONCE) return;
      }
    } catch (error) {
      // Twice a second is too often to say that a database is away.
      if (!this.#isAway) log.warn('events of changes wait in their table', { error });
      this.#isAway = true;
    }
  }
}
