/**
 * LZ4 blocks with a dictionary, behind four bytes that hold the size of the texts; the block format is
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md. Written here because texts are short: a native library's call,
 * and the memory outside of V8's heap that it answers with, cost several times what the work does.
 */
const SIZE_BYTES = 4;
const MIN_MATCH = 4;
/** The format ends a block with so many plain bytes, and starts no match closer to its end. */
const LAST_LITERALS = 5;
const MATCH_LIMIT = 12;
const MOST_OFFSET = 65_535;
/** A length of 15 or more in half a byte goes on in bytes of its own. */
const LONG = 15;

const HASH_BITS = 11;
/** Knuth's multiplicative hash. */
const HASH_FACTOR = 2_654_435_761;
/** After so many places without a match the search takes larger steps. */
const PATIENCE_BITS = 6;

/** A dictionary with room for texts behind it, so that matches reach back into it. */
interface Window {
  bytes: Buffer;
  /** Where the dictionary last has each hash. */
  places: Int32Array;
}

const windows = new WeakMap<Buffer, Window>();
const places = new Int32Array(1 << HASH_BITS);
let output = Buffer.allocUnsafe(16_384);

const read32 = (bytes: Buffer, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
const hash = (value: number): number => Math.imul(value, HASH_FACTOR) >>> (32 - HASH_BITS);

function windowOf(dictionary: Buffer, textBytes: number): Window {
  let window = windows.get(dictionary);
  if (!window || window.bytes.length < dictionary.length + textBytes) {
    const bytes = Buffer.allocUnsafe(dictionary.length + Math.max(textBytes * 2, 4_096));
    dictionary.copy(bytes);
    window = { bytes, places: new Int32Array(1 << HASH_BITS) };
    for (let at = 0; at + MIN_MATCH <= dictionary.length; at++) window.places[hash(read32(bytes, at))] = at;
    windows.set(dictionary, window);
  }
  return window;
}

/** Bytes of a length beyond its half byte. */
function writeLength(length: number, at: number): number {
  let next = at;
  let rest = length - LONG;
  for (; rest >= 255; rest -= 255) output[next++] = 255;
  output[next++] = rest;
  return next;
}

/** @returns a view that the next call writes over */
export function compress(texts: Buffer, dictionary: Buffer): Buffer {
  const most = SIZE_BYTES + texts.length + Math.ceil(texts.length / 255) + 16;
  if (output.length < most) output = Buffer.allocUnsafe(most * 2);
  const window = windowOf(dictionary, texts.length);
  const { bytes } = window;
  places.set(window.places);
  texts.copy(bytes, dictionary.length);
  const end = dictionary.length + texts.length;
  const lastStart = end - MATCH_LIMIT;
  const lastMatched = end - LAST_LITERALS;
  let at = dictionary.length;
  let anchor = at;
  let out = output.writeUInt32LE(texts.length, 0);
  let patience = 1 << PATIENCE_BITS;
  while (at <= lastStart) {
    const value = read32(bytes, at);
    const slot = hash(value);
    let from = places[slot]!;
    places[slot] = at;
    if (from >= at || at - from > MOST_OFFSET || read32(bytes, from) !== value) {
      at += patience++ >> PATIENCE_BITS;
      continue;
    }
    patience = 1 << PATIENCE_BITS;
    while (at > anchor && from > 0 && bytes[at - 1] === bytes[from - 1]) {
      at--;
      from--;
    }
    const offset = at - from;
    const literals = at - anchor;
    const token = out++;
    output[token] = Math.min(literals, LONG) << 4;
    if (literals >= LONG) out = writeLength(literals, out);
    for (let literal = anchor; literal < at; literal++) output[out++] = bytes[literal]!;
    output[out++] = offset & 0xff;
    output[out++] = offset >> 8;
    at += MIN_MATCH;
    const matched = at;
    while (at < lastMatched && bytes[at] === bytes[at - offset]) at++;
    const more = at - matched;
    output[token] = output[token]! | Math.min(more, LONG);
    if (more >= LONG) out = writeLength(more, out);
    anchor = at;
    if (at <= lastStart) places[hash(read32(bytes, at - 2))] = at - 2;
  }
  const literals = end - anchor;
  output[out++] = Math.min(literals, LONG) << 4;
  if (literals >= LONG) out = writeLength(literals, out);
  out += bytes.copy(output, out, anchor, end);
  return output.subarray(0, out);
}

const broken = (): Error => new Error('not an lz4 payload');

/** @param mostBytes a larger size is not believed @throws when the data is not what `compress` makes */
export function decompress(data: Buffer, dictionary: Buffer, mostBytes: number): Buffer {
  const end = data.length;
  if (end <= SIZE_BYTES) throw broken();
  const size = data.readUInt32LE(0);
  if (size > mostBytes) throw broken();
  const texts = Buffer.allocUnsafe(size);
  let at = SIZE_BYTES;
  let out = 0;
  for (;;) {
    if (at >= end) throw broken();
    const token = data[at++]!;
    let length = token >> 4;
    if (length === LONG) {
      let byte: number;
      do {
        if (at >= end) throw broken();
        byte = data[at++]!;
        length += byte;
      } while (byte === 255);
    }
    if (at + length > end || out + length > size) throw broken();
    if (length > 32) data.copy(texts, out, at, at + length);
    else for (let index = 0; index < length; index++) texts[out + index] = data[at + index]!;
    at += length;
    out += length;
    if (at === end) break;
    if (at + 2 > end) throw broken();
    const offset = data[at]! | (data[at + 1]! << 8);
    at += 2;
    length = token & LONG;
    if (length === LONG) {
      let byte: number;
      do {
        if (at >= end) throw broken();
        byte = data[at++]!;
        length += byte;
      } while (byte === 255);
    }
    length += MIN_MATCH;
    let from = out - offset;
    if (offset === 0 || from < -dictionary.length || out + length > size) throw broken();
    const stop = out + length;
    for (; from < 0 && out < stop; from++) texts[out++] = dictionary[dictionary.length + from]!;
    // Byte by byte: a match may reach into what it writes.
    while (out < stop) texts[out++] = texts[from++]!;
  }
  if (out !== size) throw broken();
  return texts;
}
