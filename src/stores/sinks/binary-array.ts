import type { Column } from '../../lib/entity.ts';

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
  timestamptz: 1184,
  jsonb: 3802,
};

const DAY_MS = 86_400_000;
/** PostgreSQL counts dates and instants from here. */
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);
const HEADER_BYTES = 20;
const JSONB_FORMAT = 1;

export class BinaryValueError extends Error {
  override name = 'BinaryValueError';
  /** SQLSTATE invalid_text_representation: what PostgreSQL would answer to such a value sent as text. */
  readonly code = '22P02';
}

/** Output of one parameter; reused, since a parameter is built to its end without yielding. */
let scratch = Buffer.allocUnsafe(65_536);

function reserve(at: number, bytes: number): void {
  if (at + bytes <= scratch.length) return;
  const grown = Buffer.allocUnsafe(Math.max(scratch.length * 2, at + bytes));
  scratch.copy(grown, 0, 0, at);
  scratch = grown;
}

function int64(value: number, at: number): number {
  scratch.writeInt32BE(Math.floor(value / 4_294_967_296), at);
  return scratch.writeUInt32BE(((value % 4_294_967_296) + 4_294_967_296) % 4_294_967_296, at + 4);
}

const fixed =
  (length: number, write: (value: unknown, at: number) => void) =>
  (value: unknown, at: number): number => {
    reserve(at, 4 + length);
    scratch.writeInt32BE(length, at);
    write(value, at + 4);
    return at + 4 + length;
  };

function bytesOf(text: string, at: number, prefix = 0): number {
  reserve(at, 5 + text.length * 3);
  const length = scratch.write(text, at + 4 + prefix, 'utf8') + prefix;
  scratch.writeInt32BE(length, at);
  return at + 4 + length;
}

const integerOf = (value: unknown, least: number, most: number): number => {
  const number = Number(value);
  if (!Number.isInteger(number) || number < least || number > most) throw new BinaryValueError(`not an integer in range: ${number}`);
  return number;
};

const instantOf = (value: unknown): number => {
  const ms = Date.parse(value as string);
  if (Number.isNaN(ms)) throw new BinaryValueError('not an instant');
  return ms - POSTGRES_EPOCH_MS;
};

const text = (value: unknown, at: number): number => bytesOf(String(value), at);

const writers: Record<Column['type'], (value: unknown, at: number) => number> = {
  uuid: fixed(16, (value, at) => {
    if (scratch.write(String(value).replaceAll('-', ''), at, 'hex') !== 16) throw new BinaryValueError('not a uuid');
  }),
  text,
  enum: text,
  int: fixed(4, (value, at) => scratch.writeInt32BE(integerOf(value, -2_147_483_648, 2_147_483_647), at)),
  bigint: fixed(8, (value, at) => int64(integerOf(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER), at)),
  boolean: fixed(1, (value, at) => {
    scratch[at] = value === true ? 1 : 0;
  }),
  date: fixed(4, (value, at) => scratch.writeInt32BE(integerOf(instantOf(value) / DAY_MS, -1_000_000, 10_000_000), at)),
  timestamptz: fixed(8, (value, at) => int64(instantOf(value) * 1000, at)),
  jsonb: (value, at) => {
    reserve(at, 5);
    scratch[at + 4] = JSONB_FORMAT;
    return bytesOf(JSON.stringify(value), at, 1);
  },
};

/**
 * One column's values as one parameter in PostgreSQL's binary array format: the server neither parses texts nor splits
 * a literal, and the client neither escapes nor measures one. The driver sends Buffers as binary parameters.
 *
 * @throws BinaryValueError when a value is not of the column's type
 */
export function binaryArray({ type }: Column, values: readonly unknown[]): Buffer {
  const write = writers[type];
  let at = HEADER_BYTES;
  let hasNull = 0;
  for (const value of values) {
    if (value === null || value === undefined) {
      reserve(at, 4);
      at = scratch.writeInt32BE(-1, at);
      hasNull = 1;
    } else at = write(value, at);
  }
  scratch.writeInt32BE(1, 0); // dimensions
  scratch.writeInt32BE(hasNull, 4);
  scratch.writeInt32BE(OIDS[type], 8);
  scratch.writeInt32BE(values.length, 12);
  scratch.writeInt32BE(1, 16); // lower bound
  return Buffer.from(scratch.subarray(0, at));
}
