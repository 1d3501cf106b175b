import { type AnyBulkWriteOperation, type Db, MongoBulkWriteError, type Document as MongoDocument } from 'mongodb';
import { classifyMongoError, reasonOf } from '../../errors/driver-errors.ts';
import type { Document, EntityDefinition, MongoSink as MongoTarget } from '../../lib/entity.ts';
import type { BatchOutcome, Sink, StoreWrite } from './sink.ts';

const DUPLICATE_KEY = 11000;

/**
 * Unordered guarded upserts: the filter asks for a lower version, so an as new or newer document makes the server try
 * an insert and answer "duplicate _id", which is what a stale write looks like here.
 */
export class MongoSink implements Sink {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  async ping(): Promise<void> {
    await this.#db.command({ ping: 1 });
  }

  async versionOf(entity: EntityDefinition, key: string): Promise<number | undefined> {
    const collection = this.#db.collection<{ _id: string; version: number }>((entity.sink as MongoTarget).collection);
    const found = await collection.findOne({ _id: key }, { projection: { version: 1 } });
    return found === null ? undefined : Number(found.version);
  }

  async write(entity: EntityDefinition, writes: readonly StoreWrite[]): Promise<BatchOutcome> {
    const outcome: BatchOutcome = { stored: [], stale: 0, dropped: [], rejected: [], statements: 1 };
    const refused = await this.#send(entity, writes);
    // Such an answer may also be a lost race: another batch inserted an older version a moment ago. It is there now, so a
    // second attempt replaces it, or is refused because what stands is newer.
    const doubtful = writes.flatMap((write, index) => (isStale(refused.get(index), write) ? [{ write, index }] : []));
    if (doubtful.length > 0) {
      outcome.statements++;
      const again = await this.#send(
        entity,
        doubtful.map(({ write }) => write),
      );
      for (const [at, { index }] of doubtful.entries()) {
        const error = again.get(at);
        if (error) refused.set(index, error);
        else refused.delete(index);
      }
    }
    for (const [index, write] of writes.entries()) {
      const error = refused.get(index);
      if (error && !isStale(error, write)) outcome.rejected.push({ key: write.key, reason: reasonOf(error) });
      else outcome.stored.push(write.key);
      if (isStale(error, write)) outcome.stale++;
    }
    return outcome;
  }

  /** @returns errors by index of the write */
  async #send(entity: EntityDefinition, writes: readonly StoreWrite[]): Promise<Map<number, WriteFailure>> {
    const collection = this.#db.collection((entity.sink as MongoTarget).collection);
    const { merge = 'replace' } = entity.sink as MongoTarget;
    const operations = writes.map((write): AnyBulkWriteOperation => {
      const document = toMongo(entity, write);
      const _id = write.key as unknown as MongoDocument['_id'];
      if (merge === 'first')
        return { updateOne: { filter: { _id }, update: { $setOnInsert: document }, upsert: true } };
      if (merge === 'earliest') {
        const { version, ...instants } = document;
        return { updateOne: { filter: { _id }, update: { $min: instants, $max: { version } } } };
      }
      return {
        // Whole, so that nothing of an older version (a field it had, its deletion) shines through.
        replaceOne: {
          filter: { _id: write.key, version: { $lt: write.version } } as MongoDocument,
          replacement: document,
          upsert: true,
        },
      };
    });
    try {
      await collection.bulkWrite(operations, { ordered: false });
      return new Map();
    } catch (error) {
      if (error instanceof MongoBulkWriteError) {
        const failures = [error.writeErrors ?? []].flat();
        const errors = new Map(
          failures.map((failure) => [failure.index, { code: failure.code ?? 0, message: failure.errmsg ?? '' }]),
        );
        // A connection that breaks comes as such an error too, with no write to blame: then nothing is known to be stored.
        const isAnswered = error.matchedCount + error.upsertedCount + failures.length === writes.length;
        const isKept = error.result.getWriteConcernError() === undefined;
        if (isAnswered && isKept && failures.every((failure) => classifyMongoError(failure) === 'permanent'))
          return errors;
        if (failures.length === 0) throw error;
      }
      if (classifyMongoError(error) === 'permanent' && writes.length > 1) return this.#oneByOne(entity, writes);
      if (classifyMongoError(error) === 'permanent')
        return new Map([
          [0, { code: Number((error as { code?: number }).code ?? 0), message: (error as Error).message }],
        ]);
      throw error;
    }
  }

  /** A document the driver cannot even encode spoils the whole call, so its neighbours go alone. */
  async #oneByOne(entity: EntityDefinition, writes: readonly StoreWrite[]): Promise<Map<number, WriteFailure>> {
    const errors = new Map<number, WriteFailure>();
    for (const [index, write] of writes.entries()) {
      const failed = (await this.#send(entity, [write])).get(0);
      if (failed) errors.set(index, failed);
    }
    return errors;
  }
}

interface WriteFailure {
  code: number;
  message: string;
}

const isStale = (failure: WriteFailure | undefined, { key }: StoreWrite): boolean =>
  failure?.code === DUPLICATE_KEY && /_id_?\b/.test(failure.message) && failure.message.includes(key);

function toMongo(entity: EntityDefinition, { source, version, isDeleted }: StoreWrite): MongoDocument {
  const document = source?.document;
  const fields: Document = {};
  for (const [name, column] of Object.entries(entity.columns)) {
    const value = document?.[name];
    // The last part of the key is in `_id`; the others are fields to be found by.
    if (value === undefined || entity.key.at(-1) === name) continue;
    fields[name] = column.type === 'timestamptz' && value !== null ? new Date(value as string) : value;
  }
  return { ...fields, version, ...(isDeleted ? { deleted_at: new Date(version / 1000) } : {}) };
}
