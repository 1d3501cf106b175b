import type { Redis } from 'ioredis';
import { type Document, type EntityDefinition, keyOf } from '../lib/entity.ts';
import type { BufferKeys } from './keys.ts';
import type { WriteBuffer } from './write-buffer.ts';

/** Long enough for any put; a process that dies in between blocks the value no longer than this. */
const PROVISIONAL_SECONDS = 60;

export class ValueTakenError extends Error {
  override name = 'ValueTakenError';
  readonly column: string;

  constructor(column: string) {
    super(`${column} is taken`);
    this.column = column;
  }
}

/**
 * Unique values of buffered documents (DESIGN §3.10):
 *
 *   free -> provisional (taken for 60 s) -> confirmed with the write, no TTL -> free once the row is stored or discarded
 *
 * A document that changes its value before it is stored holds both until then; a set a document says which.
 *
 * The database's own constraint holds before (the service asks it) and after (it refuses).
 */
export class Reservations {
  readonly #redis: Redis;
  readonly #buffer: WriteBuffer;
  readonly #keys: BufferKeys;

  constructor(redis: Redis, buffer: WriteBuffer) {
    this.#redis = redis;
    this.#buffer = buffer;
    this.#keys = buffer.keys;
  }

  /**
   * Takes all unique values of a document for its key.
   *
   * @returns what to confirm after the write or to give back when it fails
   * @throws ValueTakenError naming the column; nothing stays taken then
   */
  async take(
    entity: EntityDefinition,
    document: Document,
  ): Promise<{ confirm(): Promise<void>; giveBack(): Promise<void> }> {
    const owner = keyOf(entity, document);
    const wanted = this.#reservationsOf(entity, document);
    const taken: string[] = [];
    const giveBack = async () =>
      void (await Promise.all(taken.map((key) => this.#buffer.scripts.release(key, owner, true))));
    for (const { column, key } of wanted) {
      const result = await this.#buffer.scripts.reserve(key, owner, PROVISIONAL_SECONDS);
      if (result === 0) {
        await giveBack();
        throw new ValueTakenError(column);
      }
      if (result === 1) taken.push(key);
    }
    return {
      confirm: async () => {
        // A value that is not provisional any more was confirmed before, or its row is stored already.
        const isNew = await Promise.all(wanted.map(({ key }) => this.#redis.persist(key)));
        const confirmed = wanted.filter((_, index) => isNew[index] === 1).map(({ key }) => key);
        if (confirmed.length > 0) await this.#redis.sadd(this.#keys.held(entity, owner), ...confirmed);
      },
      giveBack,
    };
  }

  /** Ends the reservations of stored or discarded documents, but those that a pending version of them still needs. */
  async end(entity: EntityDefinition, documents: readonly Document[]): Promise<void> {
    if (!entity.uniques) return;
    await Promise.all(documents.map((document) => this.#end(entity, document)));
  }

  async #end(entity: EntityDefinition, document: Document): Promise<void> {
    const owner = keyOf(entity, document);
    const held = this.#keys.held(entity, owner);
    // In this order: a value confirmed by now belongs to a version that the buffer shows, or that is stored already.
    const keys = new Set([
      ...(await this.#redis.smembers(held)),
      ...this.#reservationsOf(entity, document).map(({ key }) => key),
    ]);
    const [pending] = await this.#buffer.fetch(entity.name, [owner]);
    if (pending?.broken) return;
    const needed =
      pending?.head && !pending.head.header.isTombstone ? this.#reservationsOf(entity, pending.head.document) : [];
    for (const { key } of needed) keys.delete(key);
    if (keys.size === 0) return;
    await this.#redis.srem(held, ...keys);
    await Promise.all([...keys].map((key) => this.#buffer.scripts.release(key, owner, false)));
  }

  #reservationsOf(entity: EntityDefinition, document: Document): { column: string; key: string }[] {
    return (entity.uniques ?? []).flatMap((column) => {
      const value = document[column];
      return value === undefined || value === null
        ? []
        : [{ column, key: this.#keys.reservation(entity.name, column, String(value)) }];
    });
  }
}
