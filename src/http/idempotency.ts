import { createHash, randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { IdempotencyInProgressError, IdempotencyMismatchError, MalformedRequestError } from '../errors/catalogue.ts';
import { idSequence } from '../lib/ids.ts';
import type { Reply } from '../lib/route.ts';

interface KeyRecord {
  /** Of method, path and body: the same key with another request is an error. */
  requestHash: string;
  /** Instant of the first attempt, ms: ids of later attempts are made of it again. */
  firstAtMs: number;
  /** Attempt that is running, and in which process. Since when, the record's TTL says: by Redis' clock, as processes' may differ. */
  attempt?: string;
  owner?: string;
  reply?: Reply;
}

const KEPT_SECONDS = 86_400;
/** An attempt that has run this long is lost, even if its process lives: the next one takes over. */
const LOST_AFTER_MS = 30_000;
/** A process says that it lives every three seconds; without a word for ten its attempts are lost. */
const ALIVE_SECONDS = 10;
const SAY_ALIVE_MS = 3_000;
const KEY = /^[\x21-\x7e]{1,200}$/;

/** Writes only over the record that was read. KEYS: record. ARGV: expected, new, TTL s */
const REPLACE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
  return 1
end
return 0`;

export interface Attempt {
  /** An earlier attempt's answer, when there is one: then nothing is to be done. */
  replay?: Reply;
  requestHash: string;
  newId: () => string;
  /** Instant of the first attempt, so that a repeated one writes the same. */
  now: Date;
  finish(reply: Reply): Promise<void>;
  /** The attempt was refused and had no effect; the key may be used for anything. */
  abandon(): Promise<void>;
  /** The attempt may have had part of its effect; the next one goes on with the same ids. */
  release(): Promise<void>;
}

/**
 * The same request sent twice takes effect once (I8):
 *
 *   (none) -> running, with the ids' seed -> answered, kept for 24 h
 *   running, its process lost -> running again with the same ids, so that repeated writes meet the same keys
 */
export class Idempotency {
  readonly #redis: Redis;
  readonly #keyOf: (user: string, key: string) => string;
  /** This process. */
  readonly #owner = randomUUID();
  #alive: Promise<unknown> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis, keyOf: (user: string, key: string) => string) {
    this.#redis = redis;
    this.#keyOf = keyOf;
    redis.defineCommand('idempotency_replace', { lua: REPLACE, numberOfKeys: 1 });
  }

  /**
   * @param request method, path and body, which must be the same for the same key
   * @throws IdempotencyMismatchError, IdempotencyInProgressError
   */
  async begin(user: string, key: string, request: readonly unknown[], nowMs: number): Promise<Attempt> {
    if (!KEY.test(key)) throw new MalformedRequestError('Idempotency-Key must be 1 to 200 printable characters');
    this.#alive ??= this.#startSayingAlive();
    await this.#alive;
    const redisKey = this.#keyOf(user, key);
    const requestHash = createHash('sha256').update(JSON.stringify(request)).digest('base64url');
    const running = { attempt: randomUUID(), owner: this.#owner };
    let record: KeyRecord = { requestHash, firstAtMs: nowMs, ...running };
    const isFirst = (await this.#redis.set(redisKey, JSON.stringify(record), 'EX', KEPT_SECONDS, 'NX')) === 'OK';
    if (!isFirst) {
      const content = await this.#redis.get(redisKey);
      if (content === null) return this.begin(user, key, request, nowMs); // abandoned in between
      const earlier = JSON.parse(content) as KeyRecord;
      if (earlier.requestHash !== requestHash) throw new IdempotencyMismatchError();
      if (earlier.reply)
        return {
          replay: earlier.reply,
          requestHash,
          newId: unused,
          now: new Date(earlier.firstAtMs),
          finish: nothing,
          abandon: nothing,
          release: nothing,
        };
      const isRunning = (await this.#isAlive(earlier.owner)) && (await this.#ageMs(redisKey)) < LOST_AFTER_MS;
      record = { ...earlier, ...running };
      if (isRunning || !(await this.#replace(redisKey, content, record)))
        throw new IdempotencyInProgressError({ headers: { 'Retry-After': '1' } });
    }
    const written = JSON.stringify(record);
    return {
      requestHash,
      newId: idSequence(`${user}:${key}`, record.firstAtMs),
      now: new Date(record.firstAtMs),
      finish: async (reply) => {
        const { requestHash: hash, firstAtMs } = record;
        await this.#replace(redisKey, written, { requestHash: hash, firstAtMs, reply });
      },
      abandon: async () => {
        if ((await this.#redis.get(redisKey)) === written) await this.#redis.del(redisKey);
      },
      release: async () => {
        const { requestHash: hash, firstAtMs } = record;
        await this.#replace(redisKey, written, { requestHash: hash, firstAtMs });
      },
    };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #startSayingAlive(): Promise<unknown> {
    const say = () => this.#redis.set(this.#ownerKey(this.#owner), '1', 'EX', ALIVE_SECONDS);
    this.#timer = setInterval(() => void say().catch(() => {}), SAY_ALIVE_MS);
    this.#timer.unref();
    return say().catch((error: unknown) => {
      this.close();
      this.#alive = undefined;
      throw error;
    });
  }

  async #isAlive(owner: string | undefined): Promise<boolean> {
    return owner !== undefined && (await this.#redis.exists(this.#ownerKey(owner))) === 1;
  }

  /** Since the record was written. */
  async #ageMs(redisKey: string): Promise<number> {
    return KEPT_SECONDS * 1_000 - (await this.#redis.pttl(redisKey));
  }

  /** No user has this name. */
  #ownerKey(owner: string): string {
    return this.#keyOf('process', owner);
  }

  async #replace(key: string, expected: string, record: KeyRecord): Promise<boolean> {
    const commands = this.#redis as unknown as { idempotency_replace(...args: (string | number)[]): Promise<number> };
    return (await commands.idempotency_replace(key, expected, JSON.stringify(record), KEPT_SECONDS)) === 1;
  }
}

const nothing = async (): Promise<void> => {};
const unused = (): string => {
  throw new Error('a replayed request makes no ids');
};
