import type { Log } from '../src/lib/log.ts';
import type { EventLog } from '../src/live/event-log.ts';
import type { EventReader } from './event-reader.ts';
import type { OutboxRelay } from './outbox-relay.ts';

const TICK_MS = 500;
/** Hints may be lost: so often readers look by themselves, and the log is trimmed. */
const LOOK_TICKS = 20;

/** All that a worker does about events: the relay, a reader each consumer, and the trimming of the log. */
export class EventDelivery {
  readonly #relay: OutboxRelay;
  readonly #readers: readonly EventReader[];
  readonly #eventLog: EventLog;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #stopListening: (() => void) | undefined;
  #ticks = 0;
  #ticking: Promise<void> | undefined;

  constructor(deps: { relay: OutboxRelay; readers: readonly EventReader[]; eventLog: EventLog; log: Log }) {
    this.#relay = deps.relay;
    this.#readers = deps.readers;
    this.#eventLog = deps.eventLog;
    this.#log = deps.log;
  }

  /** @param names of all consumers there are, those of other processes too */
  async start(names: readonly string[]): Promise<this> {
    await this.#eventLog.prepare(names);
    this.#stopListening = await this.#eventLog.listen((shard) => {
      for (const reader of this.#readers) reader.wake(shard);
    });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#tick();
    return this;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopListening?.();
    await this.#ticking;
    await Promise.all([this.#relay.stop(), ...this.#readers.map((reader) => reader.stop())]);
  }

  #tick(): void {
    const nowMs = Date.now();
    this.#relay.tick(nowMs);
    // A tick that hangs, with Redis, is not followed by more.
    this.#ticking ??= this.#look(nowMs)
      .catch((error: Error) => void this.#log.warn('events not delivered', { error: error.message }))
      .finally(() => {
        this.#ticking = undefined;
      });
  }

  async #look(nowMs: number): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.tick(nowMs)));
    if (++this.#ticks % LOOK_TICKS !== 0) return;
    for (const reader of this.#readers) reader.wake();
    for (let shard = 0; shard < this.#eventLog.shards; shard++) await this.#eventLog.trim(shard, nowMs);
  }
}
