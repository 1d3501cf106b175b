import type { RefusalReason } from '../../errors/driver-errors.ts';
import type { RowWriters } from '../../lib/column-writer.ts';
import type { Document, EntityDefinition } from '../../lib/entity.ts';
import { BinaryValueError } from './binary-column.ts';

/** One write on its way to a database. */
export interface StoreWrite {
  key: string;
  version: number;
  isDeleted: boolean;
  /** The document, or a sheet's head; undefined when only fields of a sheet changed. */
  source?: RowSource;
  /** Changed fields of a sheet, each with its own version. */
  fields: readonly { document: Document; version: number }[];
}

/** A document that can be read whole or poured into columns; both throw when its payload is broken. */
export interface RowSource {
  readonly document: Document;
  pour(writers: RowWriters): void;
}

/** A document in memory as a source of rows. */
export const sourceOf = (document: Document): RowSource => ({
  document,
  pour: (writers) => {
    for (const [name, writer] of writers) writer.value(document[name]);
  },
});

/** Reason of a write whose payload cannot be read, or holds a value that its column cannot take. */
export const unreadable = (error: unknown): RefusalReason =>
  error instanceof BinaryValueError
    ? { code: error.code, message: error.message }
    : { code: 'PAYLOAD_UNREADABLE', message: `payload cannot be read: ${(error as Error).message}` };

export interface BatchOutcome {
  /** Keys that the database has now: written, or already there in the same or a newer version. */
  stored: string[];
  /** Of these, keys whose row was already as new. */
  stale: number;
  /** Of these, keys that the entity's drop rule left out. */
  dropped: string[];
  rejected: { key: string; reason: RefusalReason }[];
  /** Statements sent. */
  statements: number;
}

/**
 * Writes batches of one entity to its database. Writing twice, or older after newer, changes nothing (I3).
 *
 * @throws the driver's error when no row is to blame: the caller tells a retry from an outage by its kind
 */
export interface Sink {
  write(entity: EntityDefinition, writes: readonly StoreWrite[]): Promise<BatchOutcome>;
  /** Version of a stored key, deleted ones too; undefined when there is none. */
  versionOf(entity: EntityDefinition, key: string): Promise<number | undefined>;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
}
