import fc from 'fast-check';
import lz4 from 'lz4-napi';
import { describe, expect, it } from 'vitest';
import { compress, decompress } from '../../../src/buffer/codec/lz4.ts';
import { anyText } from '../../support/arbitraries.ts';

const MOST = 1_000_000;

/** Texts with much and little in common with themselves and the dictionary; short, long, and longer than an offset reaches. */
const words = fc
  .array(fc.constantFrom('Read ', 'pages ', '42 to 48', ' and ', 'é', 'x'.repeat(300), '\u{1f600}'), { maxLength: 400 })
  .map((parts) => Buffer.from(parts.join('')));
const noise = fc.uint8Array({ minLength: 1, maxLength: 90_000 }).map((bytes) => Buffer.from(bytes));
const repeated = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 70_000 }), fc.integer({ min: 1, max: 3 }))
  .map(([bytes, times]) => Buffer.concat(Array.from({ length: times }, () => Buffer.from(bytes))));
const texts = fc.oneof(
  anyText(400).map((text) => Buffer.from(text)),
  words,
  noise,
  repeated,
);
const dictionaries = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc.constant(Buffer.from('abc')),
  words.map((dictionary) => dictionary.subarray(-4_096)),
);

describe('lz4', () => {
  it('gives back every text, and is understood by the reference both ways', () => {
    fc.assert(
      fc.property(texts, dictionaries, (text, dictionary) => {
        if (text.length === 0) return;
        const own = Buffer.from(compress(text, dictionary));
        expect(decompress(own, dictionary, MOST).equals(text)).toBe(true);
        expect(lz4.uncompressSync(own, dictionary).equals(text)).toBe(true);
        const theirs = lz4.compressSync(text, dictionary);
        expect(decompress(theirs, dictionary, MOST).equals(text)).toBe(true);
        expect(own.length).toBeLessThan(text.length + text.length / 255 + 24);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps texts apart that follow each other in the same window', () => {
    const dictionary = Buffer.from('Read pages 42 to 48.');
    const encoded = Array.from({ length: 50 }, (_, index) => Buffer.from(compress(textOf(index), dictionary)));
    encoded.forEach((data, index) => {
      expect(decompress(data, dictionary, MOST).equals(textOf(index))).toBe(true);
    });
  });

  it('refuses damaged data, or gives a text of the size it says, and reads nothing beyond', () => {
    fc.assert(
      fc.property(words, fc.nat(), fc.integer({ min: 1, max: 255 }), (text, at, bits) => {
        if (text.length === 0) return;
        const data = Buffer.from(compress(text, Buffer.alloc(0)));
        for (let length = 0; length < Math.min(data.length, 40); length++)
          expect(() => decompress(data.subarray(0, length), Buffer.alloc(0), MOST)).toThrow('not an lz4 payload');
        const damaged = Buffer.from(data);
        damaged[at % data.length] = damaged[at % data.length]! ^ bits;
        let found: Buffer | undefined;
        try {
          found = decompress(damaged, Buffer.alloc(0), MOST);
        } catch (error) {
          expect((error as Error).message).toBe('not an lz4 payload');
        }
        if (found) expect(found.length).toBe(damaged.readUInt32LE(0));
      }),
    );
    expect(() => decompress(Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0]), Buffer.alloc(0), MOST)).toThrow();
  });
});

const textOf = (index: number): Buffer =>
  Buffer.from(`Read pages ${index} to ${index * 7}. ${'Answer all questions. '.repeat(index % 7)}`);
