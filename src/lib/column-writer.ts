/**
 * Takes the values of one column, row by row, as a payload holds them: bytes go from the buffer to the database without
 * becoming JavaScript values in between.
 */
export interface ColumnWriter {
  null(): void;
  /** 16 bytes of `source`. */
  uuid(source: Buffer, at: number): void;
  integer(value: number): void;
  boolean(value: boolean): void;
  /** Days since 1970-01-01. */
  date(days: number): void;
  /** Milliseconds since 1970-01-01T00:00Z. */
  instant(ms: number): void;
  /** UTF-8 bytes; JSON columns take their text. */
  text(source: Buffer, at: number, length: number): void;
  /** A JavaScript value, in the form documents have it. @throws when it is not of the column's type */
  value(value: unknown): void;
}

/** Writers of a row's columns by name; columns without one are not wanted. */
export type RowWriters = ReadonlyMap<string, ColumnWriter>;
