import type { ColumnWriter } from '../lib/column-writer.ts';
import type { Column, Columns, Document } from '../lib/entity.ts';
import { fromField } from './keys.ts';

/**
 * Packs a document by its columns: two bits a column for its presence, then each value in its shortest binary form (a uuid in 16
 * bytes, an instant in 6), then all texts in one run, the only part worth compressing. Column names never travel.
 *
 *   [presence][values and text lengths in column order] | [texts]
 */
export interface Packed {
  fixed: Buffer;
  texts: Buffer;
}

export class PackError extends Error {
  override name = 'PackError';
}

type Write = (value: unknown, out: Scratch) => void;
type Read = (input: Cursor) => unknown;
/** Moves one value to a column of the database, without making a JavaScript value of it. */
type Pour = (input: Cursor, target: ColumnWriter) => void;

/** Growing output buffers, reused by every call: packing runs to its end without yielding. */
class Scratch {
  fixed = Buffer.allocUnsafe(4096);
  texts = Buffer.allocUnsafe(65_536);
  fixedLength = 0;
  textLength = 0;

  reserve(bytes: number): void {
    if (this.fixedLength + bytes > this.fixed.length) {
      this.fixed = Buffer.concat([this.fixed, Buffer.allocUnsafe(this.fixed.length + bytes)]);
    }
  }

  byte(value: number): void {
    this.reserve(1);
    this.fixed[this.fixedLength++] = value;
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  text(value: string): void {
    const most = value.length * 3;
    if (this.textLength + most > this.texts.length) {
      this.texts = Buffer.concat([this.texts, Buffer.allocUnsafe(this.texts.length + most)]);
    }
    const bytes = this.texts.write(value, this.textLength, 'utf8');
    this.textLength += bytes;
    this.varint(bytes);
  }
}

class Cursor {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new PackError('payload ends early');
    return value;
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
  }
}

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

const codecs: Record<Exclude<Column['type'], 'enum'>, [Write, Read, Pour]> = {
  uuid: [
    (value, out) => {
      const hex = (value as string).replaceAll('-', '');
      if (hex.length !== 32) throw new PackError('not a uuid');
      out.reserve(16);
      if (out.fixed.write(hex, out.fixedLength, 'hex') !== 16) throw new PackError('not a uuid');
      out.fixedLength += 16;
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
      out.text(value);
    },
    unreachable,
    unreachable,
  ],
  jsonb: [(value, out) => out.text(JSON.stringify(value)), unreachable, unreachable],
  int: integer,
  bigint: integer,
  boolean: [
    (value, out) => out.byte(value ? 1 : 0),
    (input) => input.byte() === 1,
    (input, target) => target.boolean(input.byte() === 1),
  ],
  date: [
    (value, out) => {
      const days = (Date.parse(value as string) - EPOCH_MS) / DAY_MS;
      if (!Number.isInteger(days) || days < 0 || isoDay(days) !== value) throw new PackError('not a date YYYY-MM-DD');
      out.varint(days);
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

function codecOf(column: Column): [Write, Read, Pour] {
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
    },
    (input) => at(values, input.byte()),
    (input, target) => {
      const text = at(bytes, input.byte());
      target.text(text, 0, text.length);
    },
  ];
}

const scratch = new Scratch();

/** Packs and unpacks the documents of one column list. */
export class Packer {
  readonly names: readonly string[];
  readonly #columns: { name: string; write: Write; read: Read; pour: Pour; isText: boolean; isJson: boolean }[];
  readonly #bitmapBytes: number;

  constructor(columns: Columns) {
    this.#columns = Object.entries(columns).map(([name, column]) => {
      const [write, read, pour] = codecOf(column);
      const isJson = column.type === 'jsonb';
      return { name, write, read, pour, isText: isJson || column.type === 'text', isJson };
    });
    this.names = Object.keys(columns);
    this.#bitmapBytes = Math.ceil((this.#columns.length * 2) / 8);
  }

  /** @throws PackError naming the column whose value has no place in the format */
  pack(document: Document): Packed {
    const out = scratch;
    out.fixedLength = this.#bitmapBytes;
    out.textLength = 0;
    out.fixed.fill(0, 0, this.#bitmapBytes);
    // Two bits a column: 0 absent, 1 null, 2 a value. A partial document (per-field merge) names only what it changes.
    for (let index = 0; index < this.#columns.length; index++) {
      const { name, write } = this.#columns[index]!;
      const value = document[name];
      if (value === undefined) continue;
      const byte = index >> 2;
      out.fixed[byte] = out.fixed[byte]! | ((value === null ? 1 : 2) << ((index % 4) * 2));
      if (value === null) continue;
      try {
        write(value, out);
      } catch (cause) {
        throw new PackError(`${name}: ${(cause as Error).message}`, { cause });
      }
    }
    return {
      fixed: Buffer.from(out.fixed.subarray(0, out.fixedLength)),
      texts: Buffer.from(out.texts.subarray(0, out.textLength)),
    };
  }

  /**
   * @param bytes the fixed part, and possibly more behind it
   * @param texts given the offset where the fixed part ends, the texts; called only when there are any
   * @param document what is known already; the values join it
   */
  unpack(bytes: Buffer, texts: (offset: number) => Buffer, document: Document = {}): Document {
    // Lengths of texts stand in the fixed part, so the texts are cut once its end is known.
    const cursor = new Cursor(bytes, this.#bitmapBytes);
    const lengths: number[] = [];
    const columns = this.#columns;
    for (let index = 0; index < columns.length; index++) {
      const { name, read, isText } = columns[index]!;
      const state = (bytes[index >> 2]! >> ((index % 4) * 2)) & 3;
      if (state === 0) continue;
      if (state === 1) document[name] = null;
      else if (isText) {
        document[name] = undefined;
        lengths.push(index, cursor.varint());
      } else document[name] = read(cursor);
    }
    if (lengths.length === 0) return document;
    const body = texts(cursor.at);
    let at = 0;
    for (let index = 0; index < lengths.length; index += 2) {
      const { name, isJson } = columns[lengths[index]!]!;
      const end = at + lengths[index + 1]!;
      if (end > body.length) throw new PackError('payload texts end early');
      const text = body.toString('utf8', at, end);
      document[name] = isJson ? JSON.parse(text) : text;
      at = end;
    }
    return document;
  }

  /**
   * Pours a payload's values into columns; a value that is absent becomes null.
   *
   * @param targets a writer a column, in the order of `names`; undefined where the value is not wanted
   */
  pour(bytes: Buffer, texts: (offset: number) => Buffer, targets: readonly (ColumnWriter | undefined)[]): void {
    const cursor = new Cursor(bytes, this.#bitmapBytes);
    const lengths: number[] = [];
    const columns = this.#columns;
    for (let index = 0; index < columns.length; index++) {
      const { read, pour, isText } = columns[index]!;
      const state = (bytes[index >> 2]! >> ((index % 4) * 2)) & 3;
      const target = targets[index];
      if (state < 2) target?.null();
      else if (isText) lengths.push(index, cursor.varint());
      else if (target) pour(cursor, target);
      else read(cursor);
    }
    if (cursor.at > bytes.length) throw new PackError('payload ends early');
    if (lengths.length === 0) return;
    const body = texts(cursor.at);
    let at = 0;
    for (let index = 0; index < lengths.length; index += 2) {
      const length = lengths[index + 1]!;
      if (at + length > body.length) throw new PackError('payload texts end early');
      targets[lengths[index]!]?.text(body, at, length);
      at += length;
    }
  }

  /** One value that is not a text, without the others; undefined when it is absent, null or a text. */
  pick(bytes: Buffer, name: string): unknown {
    const cursor = new Cursor(bytes, this.#bitmapBytes);
    for (let index = 0; index < this.#columns.length; index++) {
      const column = this.#columns[index]!;
      const state = (bytes[index >> 2]! >> ((index % 4) * 2)) & 3;
      if (state === 2) {
        if (column.isText) {
          if (column.name === name) return undefined;
          cursor.varint();
        } else {
          const value = column.read(cursor);
          if (column.name === name) return value;
        }
      } else if (column.name === name) return undefined;
    }
    return undefined;
  }
}
