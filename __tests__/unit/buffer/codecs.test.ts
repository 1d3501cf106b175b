import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODECS, chooseCodec, codecById } from '../../../src/buffer/codec/codecs.ts';
import { anyText } from '../../support/arbitraries.ts';

const dictionary = Buffer.from('Read pages 42 to 48 and answer the questions at the end of the chapter.');

describe('codecs', () => {
  it.each(CODECS.map((codec) => [codec.name, codec] as const))(
    '%s gives back every text, with and without a dictionary',
    async (_name, codec) => {
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(anyText(400), fc.constant('Read pages 42 to 48. '.repeat(500))),
          fc.boolean(),
          async (text, hasDictionary) => {
            const texts = Buffer.from(text);
            if (texts.length === 0) return;
            const used = hasDictionary ? dictionary : Buffer.alloc(0);
            expect(codec.decode(await codec.encode(texts, used), used).equals(texts)).toBe(true);
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  it.each(CODECS.filter(({ id }) => id !== 0).map((codec) => [codec.name, codec] as const))(
    '%s does not take damaged bytes for a text in silence',
    async (_name, codec) => {
      const texts = Buffer.from('Read pages 42 to 48 and answer the questions. '.repeat(30));
      const encoded = await codec.encode(texts, dictionary);
      const outcomes = Array.from({ length: 20 }, () => {
        try {
          return codec.decode(randomBytes(encoded.length), dictionary).equals(texts);
        } catch {
          return false;
        }
      });
      expect(outcomes).not.toContain(true);
    },
  );

  it.each(['auto', 'none', 'snappy', 'lz4', 'zstd', 'zstd-dict', 'deflate-dict'])(
    '%s: what it writes is readable by its id alone',
    async (name) => {
      for (const bytes of [1, 11, 12, 200, 256, 257, 5_000, 8_191, 8_192, 60_000]) {
        const texts = Buffer.from('Maths and Science '.repeat(Math.ceil(bytes / 18))).subarray(0, bytes);
        const codec = chooseCodec(name)(bytes);
        expect(
          codecById(codec.id)
            .decode(await codec.encode(texts, dictionary), dictionary)
            .equals(texts),
          `${bytes} bytes`,
        ).toBe(true);
      }
    },
  );

  it('takes no codec when compression is off or the text is too short to gain', () => {
    expect(chooseCodec('zstd', false)(10_000).name).toBe('none');
    expect(chooseCodec('zstd')(5).name).toBe('none');
  });

  it('names what it does not know', () => {
    expect(() => chooseCodec('gzip')).toThrow('gzip');
    expect(() => codecById(15)).toThrow('15');
  });
});
