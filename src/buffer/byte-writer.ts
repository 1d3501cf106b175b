/**
 * Builds one binary argument for a script: a single argument costs the client a fraction of a dozen a write. Numbers
 * are big-endian, texts carry their length first; `struct.unpack` reads them in Lua.
 */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 16_384) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#length = this.#bytes.writeUInt16BE(value, this.#length);
  }

  u24(value: number): void {
    this.#reserve(3);
    this.#length = this.#bytes.writeUIntBE(value, this.#length, 3);
  }

  /** Versions: exact up to 2^53. */
  double(value: number): void {
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleBE(value, this.#length);
  }

  /** `I2c0` */
  text(value: string): void {
    this.#reserve(2 + value.length * 3);
    const written = this.#bytes.write(value, this.#length + 2, 'utf8');
    this.#bytes.writeUInt16BE(written, this.#length);
    this.#length += 2 + written;
  }

  /** `I2c0` */
  field(value: Buffer): void {
    this.u16(value.length);
    this.raw(value);
  }

  /** `I4c0` */
  payload(value: Buffer): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeUInt32BE(value.length, this.#length);
    this.raw(value);
  }

  raw(value: Buffer): void {
    this.#reserve(value.length);
    this.#length += value.copy(this.#bytes, this.#length);
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

/** Positions of keys in a script's KEYS, each key once. */
export class KeyList {
  readonly keys: string[];
  readonly #positions = new Map<string, number>();

  /** @param fixed keys the script knows by their places */
  constructor(fixed: readonly string[]) {
    this.keys = [...fixed];
  }

  position(key: string): number {
    let at = this.#positions.get(key);
    if (at === undefined) {
      at = this.keys.push(key);
      this.#positions.set(key, at);
    }
    return at;
  }
}
