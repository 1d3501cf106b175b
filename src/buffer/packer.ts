import { type Column, type Columns, type Document } from '../lib/entity.ts';
import { fromField } from './keys.ts';

/**
 * Packs a document by its columns: one null bit a column, then each value in its shortest binary form (a uuid in 16
 * bytes, an instant in 6), then all texts in one run, the only part worth compressing. Column names never travel.
 *
 *   [null bits][values and text lengths in column order] | [texts]
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
  readonly texts: () => Buffer;
  at = 0;
  textAt = 0;

  constructor(bytes: Buffer, texts: () => Buffer) {
    this.bytes = bytes;
    this.texts = texts;
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

  text(): string {
    const length = this.varint();
    const texts = this.texts();
    if (this.textAt + length > texts.length) throw new PackError('payload texts end early');
    const value = texts.toString('utf8', this.textAt, this.textAt + length);
    this.textAt += length;
    return value;
  }
}

const DAY_MS = 86_400_000;
/** Days and milliseconds are stored from this day on, so that they stay positive: 1900-01-01. */
const EPOCH_MS = Date.UTC(1900, 0, 1);

const zigzag = (value: number): number => (value < 0 ? -value * 2 - 1 : value * 2);
const unzigzag = (value: number): number => (value % 2 === 1 ? -(value + 1) / 2 : value / 2);

const integer: [Write, Read] = [
  (value, out) => {
    if (!Number.isSafeInteger(value)) throw new PackError('not a safe integer');
    out.varint(zigzag(value as number));
  },
  (input) => unzigzag(input.varint()),
];

const isoDay = (days: number): string => new Date(EPOCH_MS + days * DAY_MS).toISOString().slice(0, 10);

const codecs: Record<Exclude<Column['type'], 'enum'>, [Write, Read]> = {
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
  ],
  text: [
    (value, out) => {
      if (typeof value !== 'string') throw new PackError('not a text');
      out.text(value);
    },
    (input) => input.text(),
  ],
  jsonb: [(value, out) => out.text(JSON.stringify(value)), (input) => JSON.parse(input.text())],
  int: integer,
  bigint: integer,
  boolean: [(value, out) => out.byte(value ? 1 : 0), (input) => input.byte() === 1],
  date: [
    (value, out) => {
      const days = (Date.parse(value as string) - EPOCH_MS) / DAY_MS;
      if (!Number.isInteger(days) || days < 0 || isoDay(days) !== value) throw new PackError('not a date YYYY-MM-DD');
      out.varint(days);
    },
    (input) => isoDay(input.varint()),
  ],
  timestamptz: [
    (value, out) => {
      const ms = Date.parse(value as string) - EPOCH_MS;
      if (!(ms >= 0 && ms < 2 ** 48)) throw new PackError('not an instant');
      out.reserve(6);
      out.fixed.writeUIntBE(ms, out.fixedLength, 6);
      out.fixedLength += 6;
    },
    (input) => {
      const ms = input.bytes.readUIntBE(input.at, 6);
      input.at += 6;
      return new Date(ms + EPOCH_MS).toISOString();
    },
  ],
};

function codecOf(column: Column): [Write, Read] {
  if (column.type !== 'enum') return codecs[column.type];
  const { values } = column;
  return [
    (value, out) => {
      const index = values.indexOf(value as string);
      if (index < 0) throw new PackError(`not one of ${values.join(', ')}`);
      out.byte(index);
    },
    (input) => {
      const index = input.byte();
      const value = values[index];
      if (value === undefined) throw new PackError(`no value has number ${index}`);
      return value;
    },
  ];
}

const scratch = new Scratch();

/** Packs and unpacks the documents of one column list. */
export class Packer {
  readonly #columns: { name: string; write: Write; read: Read }[];
  readonly #bitmapBytes: number;

  constructor(columns: Columns) {
    this.#columns = Object.entries(columns).map(([name, column]) => {
      const [write, read] = codecOf(column);
      return { name, write, read };
    });
    this.#bitmapBytes = Math.ceil((this.#columns.length * 2) / 8);
  }

  /** @throws PackError naming the column whose value has no place in the format */
  pack(document: Document): Packed {
    const out = scratch;
    out.fixedLength = this.#bitmapBytes;
    out.textLength = 0;
    out.fixed.fill(0, 0, this.#bitmapBytes);
    // Two bits a column: 0 absent, 1 null, 2 a value. A partial document (per-field merge) names only what it changes.
    this.#columns.forEach(({ name, write }, index) => {
      const value = document[name];
      if (value === undefined) return;
      const shift = (index % 4) * 2;
      const byte = index >> 2;
      out.fixed[byte] = out.fixed[byte]! | ((value === null ? 1 : 2) << shift);
      if (value === null) return;
      try {
        write(value, out);
      } catch (cause) {
        throw new PackError(`${name}: ${(cause as Error).message}`, { cause });
      }
    });
    return {
      fixed: Buffer.from(out.fixed.subarray(0, out.fixedLength)),
      texts: Buffer.from(out.texts.subarray(0, out.textLength)),
    };
  }

  /**
   * @param bytes the fixed part, and possibly more behind it
   * @param texts given the offset where the fixed part ends, the texts; called once all fixed values are known
   */
  unpack(bytes: Buffer, texts: (offset: number) => Buffer): Document {
    // Lengths of texts stand in the fixed part, so a first pass notes where each text begins.
    const document: Document = {};
    const lazy: { name: string; read: Read; at: number }[] = [];
    const end = this.#scan(bytes, document, lazy);
    if (lazy.length === 0) return document;
    const cursor = new Cursor(bytes, () => body);
    const body = texts(end);
    for (const { name, read, at } of lazy) {
      cursor.at = at;
      document[name] = read(cursor);
    }
    return document;
  }

  #scan(bytes: Buffer, document: Document, lazy: { name: string; read: Read; at: number }[]): number {
    const none = () => {
      throw new NeedsTexts();
    };
    const cursor = new Cursor(bytes, none);
    cursor.at = this.#bitmapBytes;
    this.#columns.forEach(({ name, read }, index) => {
      const state = (bytes[index >> 2]! >> ((index % 4) * 2)) & 3;
      if (state === 0) return;
      document[name] = null;
      if (state === 1) return;
      const at = cursor.at;
      if (read === codecs.text[1] || read === codecs.jsonb[1]) {
        cursor.varint();
        lazy.push({ name, read, at });
      } else {
        document[name] = read(cursor);
      }
    });
    return cursor.at;
  }
}

class NeedsTexts extends Error {}
