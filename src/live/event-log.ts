import type { Redis } from 'ioredis';
import type { BufferKeys } from '../buffer/keys.ts';
import { type DomainEvent, firstPartOf } from '../lib/events.ts';
import type { Channels } from './channels.ts';

/** Events that joined the log of a shard in one step. */
export interface LoggedEntry {
  shard: number;
  place: string;
  events: LoggedEvent[];
  /** Those that the consumer has still to confirm. */
  open: number;
}

export interface LoggedEvent {
  entry: LoggedEntry;
  /** Absent for what is in no form to be handled. */
  event?: DomainEvent;
}

/** DOMAIN §6: consumers know for a day what they have handled. */
const HANDLED_SECONDS = 86_400;
/** A service that nobody runs must not fill the memory: what is older than a week is given up. */
const KEPT_MS = 7 * 86_400_000;

/** All of a consumer's processes read under one name: whoever is elected goes on with what the one before has left. */
const READER = 'elected';

/** As many as one commit of the buffer brings, mostly. */
const MOST_IN_ENTRY = 128;

/** Field and text of each event in turn; null once it is removed. */
type Entry = [place: string, fields: string[] | null];

/**
 * Events that are on their way to their consumers: a Redis stream a shard, filled by the buffer's put script and by the relay
 * of the outbox; a consumer group each consumer. An entry holds the events of one commit, each in a field, and is removed when
 * all groups have confirmed it.
 */
export class EventLog {
  readonly #redis: Redis;
  readonly #keys: BufferKeys;
  readonly #channels: Channels;

  constructor(deps: { redis: Redis; keys: BufferKeys; channels: Channels }) {
    this.#redis = deps.redis;
    this.#keys = deps.keys;
    this.#channels = deps.channels;
  }

  get shards(): number {
    return this.#keys.shards;
  }

  /** Adds events in their order. */
  async append(events: readonly DomainEvent[]): Promise<void> {
    const byShard = Map.groupBy(events, ({ aggregateId }) => this.#keys.shardOf(firstPartOf(aggregateId)));
    await Promise.all(
      [...byShard].map(async ([shard, group]) => {
        const key = this.#keys.events(shard);
        for (let start = 0; start < group.length; start += MOST_IN_ENTRY) {
          const slice = group.slice(start, start + MOST_IN_ENTRY);
          await this.#redis.xadd(key, '*', ...slice.flatMap((event) => ['event', JSON.stringify(event)]));
        }
        await this.#channels.publish(this.#keys.channel('events'), key);
      }),
    );
  }

  /** Calls the listener with the shard of new events, or without one when some may have been missed. */
  async listen(listener: (shard?: number) => void): Promise<() => void> {
    const shardOf = new Map(Array.from({ length: this.shards }, (_, shard) => [this.#keys.events(shard), shard]));
    const stop = await this.#channels.listen(this.#keys.channel('events'), (key) => listener(shardOf.get(key)));
    const forget = this.#channels.onMissed(() => listener());
    return () => {
      stop();
      forget();
    };
  }

  /** Makes the consumers' places, from the oldest event on, and forgets those of consumers that are no more. */
  async prepare(consumers: readonly string[]): Promise<void> {
    for (let shard = 0; shard < this.shards; shard++) {
      const key = this.#keys.events(shard);
      for (const name of consumers) await this.#join(name, key);
      for (const { name } of await this.#groups(key))
        if (!consumers.includes(name)) await this.#redis.xgroup('DESTROY', key, name);
    }
  }

  /**
   * Entries after a place that a consumer has to handle, oldest first: those it has begun and not confirmed, then further ones,
   * which it begins now. What is new is taken first and then read like what was left, since the answer to the taking may be lost:
   * a command that is sent again takes the next ones. Where new ones lie before the place, the group was made anew meanwhile: then
   * they come from the beginning.
   */
  async take(consumer: string, shard: number, after: string, count: number): Promise<LoggedEntry[]> {
    const key = this.#keys.events(shard);
    const read = async (from: string) => {
      const answer = await this.#redis.xreadgroup('GROUP', consumer, READER, 'COUNT', count, 'STREAMS', key, from);
      return ((answer ?? []) as [string, Entry[]][])[0]?.[1] ?? [];
    };
    const both = () => Promise.all([read('>'), read(after)]);
    const [begun, left] = await both().catch(async (error: Error) => {
      if (!error.message.startsWith('NOGROUP')) throw error;
      // Its place is gone, or the whole log. What was handled is known by its id.
      await this.#join(consumer, key);
      return both();
    });
    const isAnew = begun[0] !== undefined && isBefore(begun[0][0], after);
    return (isAnew ? await read('0') : left).map(([place, fields]) => {
      const texts = (fields ?? ['', '']).filter((_, index) => index % 2 === 1);
      const entry: LoggedEntry = { shard, place, events: [], open: texts.length };
      entry.events = texts.map((text) => ({ entry, event: parse(text) }));
      return entry;
    });
  }

  async #join(consumer: string, key: string): Promise<void> {
    await this.#redis.xgroup('CREATE', key, consumer, '0', 'MKSTREAM').catch(unlessItExists);
  }

  /** Within a day. */
  async isHandled(consumer: string, eventId: string): Promise<boolean> {
    return (await this.#redis.exists(this.#handledKey(consumer, eventId))) === 1;
  }

  async noteHandled(consumer: string, eventId: string): Promise<void> {
    await this.#redis.set(this.#handledKey(consumer, eventId), '1', 'EX', HANDLED_SECONDS);
  }

  /** The entry is settled with the last of its events; until then all of them come again to whoever is elected next. */
  async confirm(consumer: string, { entry }: LoggedEvent): Promise<void> {
    if (entry.open === 1) await this.#redis.xack(this.#keys.events(entry.shard), consumer, entry.place);
    entry.open--;
  }

  /** Removes what all consumers have confirmed, and what is older than a week. */
  async trim(shard: number, nowMs: number): Promise<void> {
    const key = this.#keys.events(shard);
    const groups = await this.#groups(key);
    const open = await Promise.all(
      groups.map(async ({ name, lastPlace }) => {
        const [count, first] = (await this.#redis.xpending(key, name)) as [number, string | null];
        return count > 0 ? first! : after(lastPlace);
      }),
    );
    const week = `${nowMs - KEPT_MS}-0`;
    // Without any places nothing is known to be confirmed.
    const first = open.reduce((least, place) => (isBefore(place, least) ? place : least), open[0] ?? week);
    await this.#redis.xtrim(key, 'MINID', isBefore(first, week) ? week : first);
  }

  /** Entries that some consumer has still to confirm. */
  async length(): Promise<number> {
    const lengths = await Promise.all(
      Array.from({ length: this.shards }, (_, shard) => this.#redis.xlen(this.#keys.events(shard))),
    );
    return lengths.reduce((sum, length) => sum + length, 0);
  }

  async #groups(key: string): Promise<{ name: string; lastPlace: string }[]> {
    const groups = (await this.#redis.xinfo('GROUPS', key).catch(nothingYet)) as unknown[][];
    return groups.map((flat) => {
      const field = (name: string) => String(flat[flat.indexOf(name) + 1]);
      return { name: field('name'), lastPlace: field('last-delivered-id') };
    });
  }

  #handledKey(consumer: string, eventId: string): string {
    return this.#keys.cache(`event:${consumer}:${eventId}`);
  }
}

function parse(text: string): DomainEvent | undefined {
  try {
    return JSON.parse(text) as DomainEvent;
  } catch {
    return undefined;
  }
}

function unlessItExists(error: Error): void {
  if (!error.message.startsWith('BUSYGROUP')) throw error;
}

function nothingYet(error: Error): [] {
  if (!error.message.includes('no such key')) throw error;
  return [];
}

const partsOf = (place: string): [number, bigint] => {
  const [ms, number] = place.split('-');
  return [Number(ms), BigInt(number ?? 0)];
};

function isBefore(a: string, b: string): boolean {
  const [aMs, aNumber] = partsOf(a);
  const [bMs, bNumber] = partsOf(b);
  return aMs < bMs || (aMs === bMs && aNumber < bNumber);
}

function after(place: string): string {
  const [ms, number] = partsOf(place);
  return `${ms}-${number + 1n}`;
}
