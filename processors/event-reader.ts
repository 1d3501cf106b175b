import { isDatabaseAway } from '../src/errors/driver-errors.ts';
import type { DomainEvent, EventConsumer } from '../src/lib/events.ts';
import type { Log } from '../src/lib/log.ts';
import type { EventLog, LoggedEntry, LoggedEvent } from '../src/live/event-log.ts';
import type { Lease } from '../src/live/lease.ts';
import { MailNotSentError } from '../src/stores/mail/mailer.ts';

export interface EventReaderDeps {
  consumer: EventConsumer;
  eventLog: EventLog;
  lease: Lease;
  /** Makes an event that was given up visible. */
  giveUp: (consumer: string, event: DomainEvent) => Promise<void>;
  log: Log;
  /** Before the second attempt; doubled for each further one. */
  retryMs?: number;
}

/** Attempts before an event is given up, unless a server is away: then it waits for that. */
const MOST_ATTEMPTS = 6;
const RETRY_MS = 500;
const RETRY_MOST_MS = 30_000;
/** Aggregates whose events are handled at the same time. */
const MOST_AT_ONCE = 8;
/** Events held in memory before no more are taken; the rest waits in the log. */
const MOST_HELD = 500;
/** Entries, each with the events of a commit: up to 128. */
const TAKE = 10;

/** Events of one aggregate, oldest first: one at a time. */
interface Line {
  events: LoggedEvent[];
  isRunning: boolean;
  attempts: number;
  /** By the process' own time, which nobody puts back. */
  againAtMs: number;
}

/**
 * Brings a consumer its events, in one process at a time:
 *
 *   taken -> in its aggregate's line -> handled, noted for a day, confirmed
 *                  |-> failed: the line waits, longer each time -> handled | given up: shown to admins, confirmed
 *
 * A process that dies leaves what it has taken unconfirmed; the next that is elected begins with that. An event handled
 * before its confirmation is lost is known by its id.
 */
export class EventReader {
  readonly #deps: EventReaderDeps;
  #lines = new Map<string, Line>();
  #held = 0;
  /** The last place that was taken, by shard. */
  #places = new Map<number, string>();
  #isElected = false;
  /** Shards that may have events to take. */
  readonly #shards = new Set<number>();
  readonly #running = new Set<Promise<void>>();
  #filling: Promise<void> | undefined;
  #isStopping = false;

  constructor(deps: EventReaderDeps) {
    this.#deps = deps;
  }

  /** There may be new events; without a shard, in any. */
  wake(shard?: number): void {
    if (!this.#isElected || this.#isStopping) return;
    if (shard === undefined) for (let each = 0; each < this.#deps.eventLog.shards; each++) this.#shards.add(each);
    else this.#shards.add(shard);
    void this.#pump();
  }

  /** Called twice a second: stands for election, and goes on with lines that have waited. */
  async tick(nowMs: number): Promise<void> {
    if (this.#isStopping) return;
    const { lease } = this.#deps;
    const wasElected = this.#isElected;
    this.#isElected = await lease.hold(nowMs);
    if (!this.#isElected) {
      this.#lines = new Map();
      this.#held = 0;
      return;
    }
    if (!wasElected) {
      // From the beginning: the process before has left what it did not confirm.
      this.#places = new Map();
      this.wake();
    }
    await this.#pump();
  }

  /** Finishes what is being handled and lets another process take over. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#filling;
    await Promise.all(this.#running);
    if (this.#isElected) await this.#deps.lease.release();
  }

  async #pump(): Promise<void> {
    this.#filling ??= this.#fill()
      .catch((error: Error) => void this.#deps.log.warn('events not read', { error: error.message }))
      .finally(() => {
        this.#filling = undefined;
      });
    await this.#filling;
    if (this.#isStopping || !this.#isElected) return;
    const nowMs = performance.now();
    for (const line of this.#lines.values()) {
      if (this.#running.size >= MOST_AT_ONCE) return;
      if (line.isRunning || line.againAtMs > nowMs) continue;
      const running: Promise<void> = this.#run(line).finally(() => {
        this.#running.delete(running);
        void this.#pump();
      });
      this.#running.add(running);
    }
  }

  async #fill(): Promise<void> {
    const { eventLog, consumer } = this.#deps;
    for (const shard of this.#shards) {
      // Events that come while it is asked wake it again.
      this.#shards.delete(shard);
      const lines = this.#lines;
      try {
        while (this.#held < MOST_HELD) {
          const taken = await eventLog.take(consumer.name, shard, this.#places.get(shard) ?? '0', TAKE);
          for (const entry of taken) {
            // Another election has begun with places of its own.
            if (lines !== this.#lines) return;
            await this.#hold(entry);
            this.#places.set(shard, entry.place);
          }
          if (taken.length < TAKE) break;
        }
      } catch (error) {
        this.#shards.add(shard);
        throw error;
      }
      if (this.#held < MOST_HELD) continue;
      this.#shards.add(shard);
      return;
    }
  }

  /** Puts events in their lines; what is not the consumer's is confirmed unseen. */
  async #hold({ events }: LoggedEntry): Promise<void> {
    const { consumer, eventLog } = this.#deps;
    for (const logged of events) {
      if (logged.event && consumer.on.includes(logged.event.name)) this.#enqueue(logged, logged.event);
      else await eventLog.confirm(consumer.name, logged);
    }
  }

  #enqueue(logged: LoggedEvent, { aggregateId }: DomainEvent): void {
    let line = this.#lines.get(aggregateId);
    if (!line) {
      line = { events: [], isRunning: false, attempts: 0, againAtMs: 0 };
      this.#lines.set(aggregateId, line);
    }
    line.events.push(logged);
    this.#held++;
  }

  async #run(line: Line): Promise<void> {
    line.isRunning = true;
    const lines = this.#lines;
    // Another election has begun with lines of its own: what is left here is in those.
    while (line.events.length > 0 && this.#isElected && !this.#isStopping && lines === this.#lines) {
      const logged = line.events[0]!;
      if (!(await this.#settle(logged, line))) break;
      line.events.shift();
      line.attempts = 0;
      if (lines === this.#lines) this.#held--;
      if (line.events.length === 0) lines.delete(logged.event!.aggregateId);
    }
    line.isRunning = false;
  }

  /** @returns false when it is to be tried again */
  async #settle(logged: LoggedEvent, line: Line): Promise<boolean> {
    const { consumer, eventLog, giveUp, log, retryMs = RETRY_MS } = this.#deps;
    const event = logged.event!;
    try {
      if (!(await eventLog.isHandled(consumer.name, event.id))) {
        await consumer.handle(event);
        await eventLog.noteHandled(consumer.name, event.id);
      }
      await eventLog.confirm(consumer.name, logged);
      return true;
    } catch (error) {
      line.attempts++;
      line.againAtMs = performance.now() + Math.min(retryMs * 2 ** Math.min(line.attempts - 1, 10), RETRY_MOST_MS);
      const fields = { consumer: consumer.name, event: event.name, id: event.id, error };
      if (isServerAway(error) || line.attempts < MOST_ATTEMPTS) {
        log.warn('event not handled; it is tried again', fields);
        return false;
      }
      log.error('event given up', fields);
      try {
        await giveUp(consumer.name, event);
        await eventLog.confirm(consumer.name, logged);
        return true;
      } catch {
        return false;
      }
    }
  }
}

/** What needs a server waits for it; that it is away is no fault of the event. */
const isServerAway = (error: unknown): boolean =>
  isDatabaseAway(error) || (error instanceof MailNotSentError && error.isServerAway);
