import type { ColumnWriter, RowWriters } from '../lib/column-writer.ts';
import type { Columns, Document } from '../lib/entity.ts';
import { Cursor, PackError, Scratch } from './pack-buffer.ts';
import { codecOf, jsonBytes, type Pour, type Read, type Write } from './pack-columns.ts';

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
  /** A writer a column, looked up once for the rows of a batch, and gone with it. */
  readonly #targets = new WeakMap<RowWriters, readonly (ColumnWriter | undefined)[]>();

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
   * @param writers by column; columns without one are not wanted
   */
  pour(bytes: Buffer, texts: (offset: number) => Buffer, writers: RowWriters): void {
    const targets = this.#targetsOf(writers);
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

  #targetsOf(writers: RowWriters): readonly (ColumnWriter | undefined)[] {
    let targets = this.#targets.get(writers);
    if (!targets) {
      targets = this.#columns.map(({ name }) => writers.get(name));
      this.#targets.set(writers, targets);
    }
    return targets;
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
