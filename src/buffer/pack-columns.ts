import type { ColumnWriter } from '../lib/column-writer.ts';
import type { Column } from '../lib/entity.ts';
import { UUID_BYTES, writeUuid } from '../lib/uuid-bytes.ts';
import { fromField } from './keys.ts';
import { type Cursor, PackError, type Scratch } from './pack-buffer.ts';

/** @returns bytes of the value as JSON */
export type Write = (value: unknown, out: Scratch) => number;
export type Read = (input: Cursor) => unknown;
/** Moves one value to a column of the database, without making a JavaScript value of it. */
export type Pour = (input: Cursor, target: ColumnWriter) => void;

const DAY_MS = 86_400_000;
/** Days and milliseconds are stored from this day on, so that they stay positive: 1900-01-01. */
const EPOCH_MS = Date.UTC(1900, 0, 1);
const EPOCH_DAYS = EPOCH_MS / DAY_MS;
/** The first instant whose ISO text has more than four digits for the year. */
const END_MS = Date.UTC(10_000, 0, 1);

/**
 * Zigzag varint. The sign bit is put in and taken out by itself: twice a large number would be more than a double holds
 * exactly.
 */
function writeInteger(value: number, out: Scratch): void {
  const isNegative = value < 0;
  const size = isNegative ? -value - 1 : value;
  const first = (size % 64) * 2 + (isNegative ? 1 : 0);
  if (size < 64) out.byte(first);
  else {
    out.byte(first | 0x80);
    out.varint(Math.floor(size / 64));
  }
}

function readInteger(input: Cursor): number {
  const first = input.byte();
  const size = ((first & 0x7f) >> 1) + (first < 0x80 ? 0 : input.varint() * 64);
  return first % 2 === 1 ? -size - 1 : size;
}

const integer: [Write, Read, Pour] = [
  (value, out) => {
    if (!Number.isSafeInteger(value)) throw new PackError('not a safe integer');
    writeInteger(value as number, out);
    return String(value).length;
  },
  readInteger,
  (input, target) => target.integer(readInteger(input)),
];

/** Dates repeat: a school's documents of a term share a few hundred. */
const isoDays = new Map<number, string>();
const MAX_ISO_DAYS = 10_000;

function isoDay(days: number): string {
  let day = isoDays.get(days);
  if (day === undefined) {
    if (isoDays.size >= MAX_ISO_DAYS) isoDays.clear();
    day = new Date(EPOCH_MS + days * DAY_MS).toISOString().slice(0, 10);
    isoDays.set(days, day);
  }
  return day;
}

const two = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));

/** `toISOString` in a third of its time. */
function isoInstant(sinceEpochMs: number): string {
  const days = Math.floor(sinceEpochMs / DAY_MS);
  let rest = sinceEpochMs - days * DAY_MS;
  const ms = rest % 1000;
  rest = (rest - ms) / 1000;
  const seconds = rest % 60;
  rest = (rest - seconds) / 60;
  const minutes = rest % 60;
  const hours = (rest - minutes) / 60;
  return `${isoDay(days)}T${two[hours]}:${two[minutes]}:${two[seconds]}.${ms < 100 ? `0${two[ms]}` : ms}Z`;
}

const MINUTE_MS = 60_000;
const WALL_MINUTE = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})$/;

const wallMinute = (sinceEpoch: number): string =>
  isoInstant(sinceEpoch * MINUTE_MS)
    .slice(0, 16)
    .replace(/[-:]/g, '');

/** Texts are read from their own run, see `unpack`. */
const unreachable = (): never => {
  throw new PackError('texts have no fixed value');
};

const QUOTES = 2;
/** Whatever JSON may write in more than its own bytes: quotes, backslashes, control characters, halves of surrogate pairs. */
const ESCAPED = /["\\\p{Cc}\p{Cs}]/u;

/** @param bytes of the text in UTF-8 */
const jsonTextBytes = (text: string, bytes: number): number =>
  ESCAPED.test(text) ? Buffer.byteLength(JSON.stringify(text)) : bytes + QUOTES;

/** Bytes of a field's value as JSON, for columns that are not packed. */
export function jsonBytes(value: unknown): number {
  if (typeof value === 'string' && value.length <= MOST_ASCII_KEY && !/[^\x20-\x21\x23-\x5b\x5d-\x7e]/.test(value))
    return value.length + QUOTES;
  return Buffer.byteLength(JSON.stringify(value));
}
const MOST_ASCII_KEY = 64;

const codecs: Record<Exclude<Column['type'], 'enum'>, [Write, Read, Pour]> = {
  uuid: [
    (value, out) => {
      out.reserve(UUID_BYTES);
      if (!writeUuid(value as string, out.fixed, out.fixedLength)) throw new PackError('not a uuid');
      out.fixedLength += UUID_BYTES;
      return (value as string).length + QUOTES;
    },
    (input) => {
      const start = input.at;
      input.at += 16;
      if (input.at > input.bytes.length) throw new PackError('payload ends early');
      return fromField(input.bytes.subarray(start, input.at), true);
    },
    (input, target) => {
      target.uuid(input.bytes, input.at);
      input.at += 16;
    },
  ],
  text: [
    (value, out) => {
      if (typeof value !== 'string') throw new PackError('not a text');
      return jsonTextBytes(value, out.text(value));
    },
    unreachable,
    unreachable,
  ],
  jsonb: [(value, out) => out.text(JSON.stringify(value)), unreachable, unreachable],
  int: integer,
  bigint: integer,
  boolean: [
    (value, out) => {
      out.byte(value ? 1 : 0);
      return value ? 'true'.length : 'false'.length;
    },
    (input) => input.byte() === 1,
    (input, target) => target.boolean(input.byte() === 1),
  ],
  date: [
    (value, out) => {
      const days = (Date.parse(value as string) - EPOCH_MS) / DAY_MS;
      if (!Number.isInteger(days) || days < 0 || isoDay(days) !== value) throw new PackError('not a date YYYY-MM-DD');
      out.varint(days);
      return 'YYYY-MM-DD'.length + QUOTES;
    },
    (input) => isoDay(input.varint()),
    (input, target) => target.date(input.varint() + EPOCH_DAYS),
  ],
  timestamp: [
    (value, out) => {
      const minute = WALL_MINUTE.exec(value as string);
      if (!minute) throw new PackError('not a wall clock minute YYYYMMDDTHHMM');
      const [, year, month, day, hours, minutes] = minute.map(Number) as [
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      const sinceEpochMs = Date.UTC(year, month - 1, day, hours, minutes) - EPOCH_MS;
      if (sinceEpochMs < 0 || wallMinute(sinceEpochMs / MINUTE_MS) !== value) throw new PackError('no such minute');
      out.varint(sinceEpochMs / MINUTE_MS);
      return 'YYYYMMDDTHHMM'.length + QUOTES;
    },
    (input) => wallMinute(input.varint()),
    (input, target) => target.instant(input.varint() * MINUTE_MS + EPOCH_MS),
  ],
  timestamptz: [
    (value, out) => {
      const ms = Date.parse(value as string) - EPOCH_MS;
      if (!(ms >= 0 && ms < END_MS - EPOCH_MS)) throw new PackError('not an instant');
      out.reserve(6);
      out.fixed.writeUIntBE(ms, out.fixedLength, 6);
      out.fixedLength += 6;
      return (value as string).length + QUOTES;
    },
    (input) => {
      const ms = input.bytes.readUIntBE(input.at, 6);
      input.at += 6;
      return isoInstant(ms);
    },
    (input, target) => {
      target.instant(input.bytes.readUIntBE(input.at, 6) + EPOCH_MS);
      input.at += 6;
    },
  ],
};

/** How a column's values are written, read and poured. */
export function codecOf(column: Column): [Write, Read, Pour] {
  if (column.type !== 'enum') return codecs[column.type];
  const { values } = column;
  const bytes = values.map((value) => Buffer.from(value));
  const at = <T>(list: readonly T[], index: number): T => {
    const value = list[index];
    if (value === undefined) throw new PackError(`no value has number ${index}`);
    return value;
  };
  return [
    (value, out) => {
      const index = values.indexOf(value as string);
      if (index < 0) throw new PackError(`not one of ${values.join(', ')}`);
      out.byte(index);
      return bytes[index]!.length + QUOTES;
    },
    (input) => at(values, input.byte()),
    (input, target) => {
      const text = at(bytes, input.byte());
      target.text(text, 0, text.length);
    },
  ];
}
