export class PackError extends Error {
  override name = 'PackError';
}

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
