import type { ColumnWriter } from '../../lib/column-writer.ts';
import type { Column } from '../../lib/entity.ts';
import { UUID_BYTES, writeUuid } from '../../lib/uuid-bytes.ts';

/** PostgreSQL's array type of a column, for casts. */
export const arrayType = ({ type }: Column): string => `${type === 'enum' ? 'text' : type}[]`;

/** Object ids of the element types; fixed for all PostgreSQL versions (pg_type.dat). */
const OIDS: Record<Column['type'], number> = {
  uuid: 2950,
  text: 25,
  enum: 25,
  int: 23,
  bigint: 20,
  boolean: 16,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  jsonb: 3802,
};

const DAY_MS = 86_400_000;
/** PostgreSQL counts dates and instants from here. */
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);
const POSTGRES_EPOCH_DAYS = POSTGRES_EPOCH_MS / DAY_MS;
const HEADER_BYTES = 20;
const JSONB_FORMAT = 1;
const TWO_32 = 4_294_967_296;

export class BinaryValueError extends Error {
  override name = 'BinaryValueError';
  /** SQLSTATE that PostgreSQL would answer to such a value sent as text: invalid_text_representation unless told. */
  readonly code: string;

  constructor(message: string, code = '22P02') {
    super(message);
    this.code = code;
  }
}

/** A wall clock's minute `YYYYMMDDTHHMM` as if it were UTC, ms: how PostgreSQL counts a timestamp without a zone. */
const wallMinuteMs = (text: string): number =>
  Date.parse(text.replace(/^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})$/, '$1-$2-$3T$4:$5Z'));

/** numeric_value_out_of_range */
const OUT_OF_RANGE = '22003';

/**
 * One column's values as one parameter in PostgreSQL's binary array format: the server neither parses texts nor splits
 * a literal, and the client neither escapes nor measures one. The driver sends Buffers as binary parameters.
 */
export class BinaryColumn implements ColumnWriter {
  readonly column: Column;
  #bytes: Buffer;
  #at = HEADER_BYTES;
  #count = 0;
  #nulls = 0;

  /** @param rows how many values are expected, to size the buffer */
  constructor(column: Column, rows: number) {
    this.column = column;
    this.#bytes = Buffer.allocUnsafe(
      HEADER_BYTES + rows * (column.type === 'text' || column.type === 'jsonb' ? 128 : 20),
    );
  }

  null(): void {
    this.#begin(0);
    this.#bytes.writeInt32BE(-1, this.#at - 4);
    this.#nulls++;
  }

  uuid(source: Buffer, at: number): void {
    const start = this.#begin(16);
    if (source.copy(this.#bytes, start, at, at + 16) !== 16) throw new BinaryValueError('not a uuid');
  }

  integer(value: number): void {
    if (this.column.type === 'bigint') {
      if (!Number.isSafeInteger(value)) throw new BinaryValueError(`not a safe integer: ${value}`, OUT_OF_RANGE);
      this.#int64(value);
      return;
    }
    if (value !== (value | 0)) throw new BinaryValueError(`not an integer in range: ${value}`, OUT_OF_RANGE);
    const start = this.#begin(4);
    this.#bytes.writeInt32BE(value, start);
  }

  boolean(value: boolean): void {
    const start = this.#begin(1);
    this.#bytes[start] = value ? 1 : 0;
  }

  date(days: number): void {
    if (!Number.isInteger(days)) throw new BinaryValueError('not a date');
    const start = this.#begin(4);
    this.#bytes.writeInt32BE(days - POSTGRES_EPOCH_DAYS, start);
  }

  instant(ms: number): void {
    if (!Number.isInteger(ms)) throw new BinaryValueError('not an instant');
    const us = (ms - POSTGRES_EPOCH_MS) * 1000;
    if (Number.isSafeInteger(us)) {
      this.#int64(us);
      return;
    }
    // From the year 2285 on, microseconds are more than a double holds exactly.
    const start = this.#begin(8);
    this.#bytes.writeBigInt64BE(BigInt(ms - POSTGRES_EPOCH_MS) * 1000n, start);
  }

  text(source: Buffer, at: number, length: number): void {
    const isJson = this.column.type === 'jsonb';
    const start = this.#begin(isJson ? length + 1 : length);
    if (isJson) this.#bytes[start] = JSONB_FORMAT;
    source.copy(this.#bytes, isJson ? start + 1 : start, at, at + length);
  }

  value(value: unknown): void {
    if (value === null || value === undefined) {
      this.null();
      return;
    }
    switch (this.column.type) {
      case 'uuid': {
        const start = this.#begin(UUID_BYTES);
        if (!writeUuid(String(value), this.#bytes, start)) throw new BinaryValueError('not a uuid');
        return;
      }
      case 'int':
      case 'bigint':
        this.integer(Number(value));
        return;
      case 'boolean':
        this.boolean(value === true);
        return;
      case 'date':
        this.date(Date.parse(String(value)) / DAY_MS);
        return;
      case 'timestamp':
        this.instant(wallMinuteMs(String(value)));
        return;
      case 'timestamptz':
        this.instant(Date.parse(String(value)));
        return;
      default: {
        const bytes = Buffer.from(this.column.type === 'jsonb' ? JSON.stringify(value) : String(value), 'utf8');
        this.text(bytes, 0, bytes.length);
      }
    }
  }

  /** Something but nulls. */
  get hasValues(): boolean {
    return this.#count > this.#nulls;
  }

  take(): Buffer {
    this.#bytes.writeInt32BE(1, 0); // dimensions
    this.#bytes.writeInt32BE(this.#nulls > 0 ? 1 : 0, 4);
    this.#bytes.writeInt32BE(OIDS[this.column.type], 8);
    this.#bytes.writeInt32BE(this.#count, 12);
    this.#bytes.writeInt32BE(1, 16); // lower bound
    return this.#bytes.subarray(0, this.#at);
  }

  /** Writes an element's length. @returns where its bytes go */
  #begin(length: number): number {
    if (this.#at + 4 + length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + 4 + length));
      this.#bytes.copy(grown, 0, 0, this.#at);
      this.#bytes = grown;
    }
    const start = this.#bytes.writeInt32BE(length, this.#at);
    this.#at = start + length;
    this.#count++;
    return start;
  }

  #int64(value: number): void {
    const start = this.#begin(8);
    const high = Math.floor(value / TWO_32);
    this.#bytes.writeInt32BE(high, start);
    this.#bytes.writeUInt32BE(value - high * TWO_32, start + 4);
  }
}
