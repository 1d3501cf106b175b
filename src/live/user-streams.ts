import type { Redis } from 'ioredis';
import type { BufferKeys } from '../buffer/keys.ts';
import type { Channels } from './channels.ts';

/** What a user's clients are told. */
export interface UserMessage {
  /** Its place in the user's stream: `<milliseconds>-<number>`, rising. */
  id: string;
  name: string;
  /** JSON */
  data: string;
}

export interface UserMessages {
  messages: UserMessage[];
  /** Id of the newest message, or one before all that are still to come. */
  lastId: string;
  /** Nothing after the asked id has been dropped by now. */
  isComplete: boolean;
}

/** DOMAIN §7 `stream:user:{id}` */
export const KEPT_MESSAGES = 100;
export const KEPT_SECONDS = 86_400;
/** A message says what happened; whoever wants more asks for it. */
export const MOST_MESSAGE_BYTES = 8 * 1024;

/**
 * Effect: a message joins its stream, which keeps so many for so long, and whoever listens is told.
 * KEYS: stream. ARGV: name, data, messages kept, seconds kept, channel. Returns the id.
 */
const APPEND = `
local id = redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], '*', 'name', ARGV[1], 'data', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[5], id)
return id`;

/**
 * KEYS: stream. ARGV: id to read after, or '' for none.
 * Returns {entries, id of the newest or '', id of the oldest or '', number of entries, server time in ms}
 */
const READ = `
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local entries = {}
if ARGV[1] ~= '' then entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+') end
local now = redis.call('TIME')
return { entries, newest[1] and newest[1][1] or '', oldest[1] and oldest[1][1] or '', redis.call('XLEN', KEYS[1]),
  string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)) }`;

type Entry = [id: string, fields: [string, string, string, string]];

interface Commands {
  user_stream_append(...args: (string | number)[]): Promise<string>;
  user_stream_read(...args: string[]): Promise<[Entry[], string, string, number, string]>;
}

export const MESSAGE_ID = /^(\d{1,15})-(\d{1,19})$/;

/** Messages of each user, the last of them kept: what a client missed while it was away is replayed from here. */
export class UserStreams {
  readonly #commands: Commands;
  readonly #keys: BufferKeys;
  readonly #channels: Channels;

  constructor(deps: { redis: Redis; keys: BufferKeys; channels: Channels }) {
    this.#keys = deps.keys;
    this.#channels = deps.channels;
    deps.redis.defineCommand('user_stream_append', { lua: APPEND, numberOfKeys: 1 });
    deps.redis.defineCommand('user_stream_read', { lua: READ, numberOfKeys: 1, readOnly: true });
    this.#commands = deps.redis as unknown as Commands;
  }

  /** @returns the message's id */
  async append(userId: string, name: string, payload: object): Promise<string> {
    const data = JSON.stringify(payload);
    if (Buffer.byteLength(data) > MOST_MESSAGE_BYTES)
      throw new Error(`a message of ${name} is larger than ${MOST_MESSAGE_BYTES} bytes`);
    return this.#commands.user_stream_append(
      this.#keys.userStream(userId),
      name,
      data,
      KEPT_MESSAGES,
      KEPT_SECONDS,
      this.#channel(userId),
    );
  }

  /** Messages after an id, oldest first; without one, none, and where to go on from. */
  async after(userId: string, id: string | undefined): Promise<UserMessages> {
    const [entries, newest, oldest, count, now] = await this.#commands.user_stream_read(
      this.#keys.userStream(userId),
      id ?? '',
    );
    // A message of this very millisecond may still come; it must be after the id.
    const lastId = newest === '' ? `${Number(now) - 1}-0` : newest;
    return {
      messages: entries.map(([messageId, [, name, , data]]) => ({ id: messageId, name, data })),
      lastId,
      isComplete: id === undefined || isComplete(id, oldest, count, Number(now)),
    };
  }

  /** Calls the listener when the user has a new message. @returns what ends it */
  listen(userId: string, listener: () => void): Promise<() => void> {
    return this.#channels.listen(this.#channel(userId), listener);
  }

  #channel(userId: string): string {
    return this.#keys.channel(`user:${userId}`);
  }
}

/** Messages go by number, and with their stream when none has come for a day. */
function isComplete(id: string, oldest: string, count: number, nowMs: number): boolean {
  const [, ms, number] = MESSAGE_ID.exec(id)!;
  if (nowMs - Number(ms) >= KEPT_SECONDS * 1000) return false;
  if (count < KEPT_MESSAGES) return true;
  const [, oldestMs, oldestNumber] = MESSAGE_ID.exec(oldest)!;
  return Number(oldestMs) < Number(ms) || (oldestMs === ms && BigInt(oldestNumber!) <= BigInt(number!));
}
