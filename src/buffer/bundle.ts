import type { Document } from '../lib/entity.ts';
import { LARGE_TEXT_BYTES } from './codec/codecs.ts';
import { Cursor, PackError, Scratch } from './pack-buffer.ts';
import type { Packer } from './packer.ts';

/**
 * The payload of a bundle: documents that one commit takes together. Their fixed parts stand one behind the other, their
 * texts in one run, which is compressed once.
 *
 *   [number of documents, 1 byte][bytes of the fixed parts, 3 bytes][fixed part of each] | [texts]
 *
 * The put script reads the first byte: a bundle stands for so many acknowledged writes.
 */
const HEAD_BYTES = 4;

/** A batch takes as many at least. */
const MOST_DOCUMENTS = 100;
/** Fixed parts and texts stay this small, so that encoding one holds up nobody; a larger document goes alone. */
const MOST_BYTES = LARGE_TEXT_BYTES - 1;

/** Gathers the documents of one bundle; used again after each. */
export class BundleWriter {
  readonly #packer: Packer;
  readonly #out = new Scratch();
  #count = 0;
  #rawBytes = 0;

  constructor(packer: Packer) {
    this.#packer = packer;
    this.#reset();
  }

  get count(): number {
    return this.#count;
  }

  /** Whether another document should go into another bundle. */
  get isFull(): boolean {
    return this.#count >= MOST_DOCUMENTS || this.#out.fixedLength + this.#out.textLength >= MOST_BYTES;
  }

  /** @throws PackError naming the column whose value has no place in the format; the others stay */
  add(document: Document): void {
    this.#rawBytes += this.#packer.append(document, this.#out);
    this.#count++;
  }

  /** Ends the bundle. The parts are views of bytes that the next one is written over. */
  take(): { fixed: Buffer; texts: Buffer; rawBytes: number } {
    const { fixed, texts, fixedLength, textLength } = this.#out;
    fixed[0] = this.#count;
    fixed.writeUIntBE(fixedLength - HEAD_BYTES, 1, 3);
    const rawBytes = this.#rawBytes;
    this.#reset();
    return { fixed: fixed.subarray(0, fixedLength), texts: texts.subarray(0, textLength), rawBytes };
  }

  #reset(): void {
    this.#out.clear();
    this.#out.fixedLength = HEAD_BYTES;
    this.#count = 0;
    this.#rawBytes = 0;
  }
}

/** @throws when the payload is broken */
export function readBundle(payload: Buffer, packer: Packer, inflate: (texts: Buffer) => Buffer): Document[] {
  if (payload.length < HEAD_BYTES) throw new PackError('payload ends early');
  const end = HEAD_BYTES + payload.readUIntBE(1, 3);
  if (end > payload.length) throw new PackError('payload ends early');
  const cursor = new Cursor(payload.subarray(0, end), HEAD_BYTES);
  const texts = inflate(payload.subarray(end));
  const documents: Document[] = [];
  for (let index = 0; index < payload[0]!; index++) documents.push(packer.next(cursor, () => texts));
  if (cursor.at !== end || cursor.textAt !== texts.length) throw new PackError('payload has bytes that nobody owns');
  return documents;
}
