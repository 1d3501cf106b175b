import type { Redis } from 'ioredis';
import { type Document, type EntityDefinition, keyOf } from '../lib/entity.ts';
import type { BufferKeys } from './keys.ts';
import type { BufferScripts } from './scripts.ts';

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
 * The database's own constraint holds before (the service asks it) and after (it refuses).
 */
export class Reservations {
  readonly #redis: Redis;
  readonly #scripts: BufferScripts;
  readonly #keys: BufferKeys;

  constructor(redis: Redis, scripts: BufferScripts, keys: BufferKeys) {
    this.#redis = redis;
    this.#scripts = scripts;
    this.#keys = keys;
  }

  /**
   * Takes all unique values of a document for its key.
   *
   * @returns what to confirm after the write or to give back when it fails
   * @throws ValueTakenError naming the column; nothing stays taken then
   */
  async take(entity: EntityDefinition, document: Document): Promise<{ confirm(): Promise<void>; giveBack(): Promise<void> }> {
    const owner = keyOf(entity, document);
    const taken: string[] = [];
    const giveBack = async () => void (await Promise.all(taken.map((key) => this.#redis.del(key))));
    for (const { column, key } of this.#reservationsOf(entity, document)) {
      const result = await this.#scripts.reserve(key, owner, PROVISIONAL_SECONDS);
      if (result === 0) {
        await giveBack();
        throw new ValueTakenError(column);
      }
      if (result === 1) taken.push(key);
    }
    return {
      confirm: async () => void (await Promise.all(taken.map((key) => this.#redis.persist(key)))),
      giveBack,
    };
  }

  /** Ends the reservations of stored or discarded documents. */
  async end(entity: EntityDefinition, documents: readonly Document[]): Promise<void> {
    if (!entity.uniques) return;
    await Promise.all(
      documents.flatMap((document) =>
        this.#reservationsOf(entity, document).map(async ({ key }) => {
          if ((await this.#redis.get(key)) === keyOf(entity, document)) await this.#redis.del(key);
        }),
      ),
    );
  }

  #reservationsOf(entity: EntityDefinition, document: Document): { column: string; key: string }[] {
    return (entity.uniques ?? []).flatMap((column) => {
      const value = document[column];
      return value === undefined || value === null ? [] : [{ column, key: this.#keys.reservation(entity.name, column, String(value)) }];
    });
  }
}
