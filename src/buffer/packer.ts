import type { ColumnWriter } from '../lib/column-writer.ts';
import type { Column, Columns, Document } from '../lib/entity.ts';
import { fromField, UUID_BYTES, writeUuid } from './keys.ts';

/**
 * Packs a document by its columns: two bits a column for its presence, then each value in its shortest binary form (a uuid in 16
 * bytes, an instant in 6), then all texts in one run, the only part worth compressing. Column names never travel.
 *
 *   [presence][values and text lengths in column order] | [texts]
 */
export interface Packed {
  /** Both are views of a buffer that the next call writes over. */
  fixed: Buffer;
  texts: Buffer;
  /** Bytes of the document as JSON. */
  jsonBytes: number;
}

export class PackError extends Error {
  override name = 'PackError';
}

/** @returns bytes of the value as JSON */
type Write = (value: unknown, out: Scratch) => number;
type Read = (input: Cursor) => unknown;
/** Moves one value to a column of the database, without making a JavaScript value of it. */
type Pour = (input: Cursor, target: ColumnWriter) => void;

/** Growing output buffers, made to be used again. */
export class Scratch {
  fixed = Buffer.allocUnsafe(4096);
  texts = Buffer.allocUnsafe(65_536);
  fixedLength = 0;
  textLength = 0;

  clear(): void {
    this.fixedLength = 0;
    this.textLength = 0;
  }

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

  /** @returns its bytes */
  text(value: string): number {
    const most = value.length * 3;
    if (this.textLength + most > this.texts.length) {
      this.texts = Buffer.concat([this.texts, Buffer.allocUnsafe(this.texts.length + most)]);
    }
    const bytes = this.texts.write(value, this.textLength, 'utf8');
    this.textLength += bytes;
    this.varint(bytes);
    return bytes;
  }
}

/** A place in packed bytes, and in the run of texts that belongs to them. */
export class Cursor {
  readonly bytes: Buffer;
  at: number;
  textAt = 0;

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
      return bytes[index]!.length + QUOTES;
    },
    (input) => at(values, input.byte()),
    (input, target) => {
      const text = at(bytes, input.byte());
      target.text(text, 0, text.length);
    },
  ];
}

/** For documents that are packed by themselves: packing runs to its end without yielding. */
const scratch = new Scratch();

/** Packs and unpacks the documents of one column list. */
export class Packer {
  readonly names: readonly string[];
  readonly #columns: {
    name: string;
    /** Bytes of `"name":` and a comma in JSON. */
    nameBytes: number;
    write: Write;
    read: Read;
    pour: Pour;
    isText: boolean;
    isJson: boolean;
  }[];
  readonly #bitmapBytes: number;

  constructor(columns: Columns) {
    this.#columns = Object.entries(columns).map(([name, column]) => {
      const [write, read, pour] = codecOf(column);
      const isJson = column.type === 'jsonb';
      const nameBytes = jsonBytes(name) + 2;
      return { name, nameBytes, write, read, pour, isText: isJson || column.type === 'text', isJson };
    });
    this.names = Object.keys(columns);
    this.#bitmapBytes = Math.ceil((this.#columns.length * 2) / 8);
  }

  /** @throws PackError naming the column whose value has no place in the format */
  pack(document: Document): Packed {
    scratch.clear();
    const bytes = this.append(document, scratch);
    return {
      fixed: scratch.fixed.subarray(0, scratch.fixedLength),
      texts: scratch.texts.subarray(0, scratch.textLength),
      jsonBytes: bytes,
    };
  }

  /**
   * Adds a document behind those that `out` holds; nothing of it stays when it throws.
   *
   * @returns bytes of the document as JSON
   * @throws PackError naming the column whose value has no place in the format
   */
  append(document: Document, out: Scratch): number {
    const { fixedLength: start, textLength } = out;
    out.reserve(this.#bitmapBytes);
    out.fixedLength += this.#bitmapBytes;
    out.fixed.fill(0, start, out.fixedLength);
    let bytes = 1; // two brackets, and one comma less than there are fields
    const columns = this.#columns;
    // Two bits a column: 0 absent, 1 null, 2 a value. A partial document (per-field merge) names only what it changes.
    for (let index = 0; index < columns.length; index++) {
      const { name, nameBytes, write } = columns[index]!;
      const value = document[name];
      if (value === undefined) continue;
      const byte = start + (index >> 2);
      out.fixed[byte] = out.fixed[byte]! | ((value === null ? 1 : 2) << ((index % 4) * 2));
      if (value === null) {
        bytes += nameBytes + 'null'.length;
        continue;
      }
      try {
        bytes += nameBytes + write(value, out);
      } catch (cause) {
        out.fixedLength = start;
        out.textLength = textLength;
        throw new PackError(`${name}: ${(cause as Error).message}`, { cause });
      }
    }
    return bytes;
  }

  /**
   * @param bytes the fixed part, and possibly more behind it
   * @param texts given the offset where the fixed part ends, the texts; called only when there are any
   * @param document what is known already; the values join it
   */
  unpack(bytes: Buffer, texts: (offset: number) => Buffer, document: Document = {}): Document {
    return this.next(new Cursor(bytes, 0), texts, document);
  }

  /** Unpacks the document at the cursor and moves it behind; otherwise as `unpack`. */
  next(cursor: Cursor, texts: (offset: number) => Buffer, document: Document = {}): Document {
    // Lengths of texts stand in the fixed part, so the texts are cut once its end is known.
    const { bytes, at: start } = cursor;
    cursor.at += this.#bitmapBytes;
    const lengths: number[] = [];
    const columns = this.#columns;
    for (let index = 0; index < columns.length; index++) {
      const { name, read, isText } = columns[index]!;
      const state = (bytes[start + (index >> 2)]! >> ((index % 4) * 2)) & 3;
      if (state === 0) continue;
      if (state === 1) document[name] = null;
      else if (isText) {
        document[name] = undefined;
        lengths.push(index, cursor.varint());
      } else document[name] = read(cursor);
    }
    if (lengths.length === 0) return document;
    const body = texts(cursor.at);
    for (let index = 0; index < lengths.length; index += 2) {
      const { name, isJson } = columns[lengths[index]!]!;
      const end = cursor.textAt + lengths[index + 1]!;
      if (end > body.length) throw new PackError('payload texts end early');
      const text = body.toString('utf8', cursor.textAt, end);
      document[name] = isJson ? JSON.parse(text) : text;
      cursor.textAt = end;
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
