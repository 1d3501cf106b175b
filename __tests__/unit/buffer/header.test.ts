import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEADER_BYTES, packPrefix, readFormatId, readHeader, STATES } from '../../../src/buffer/header.ts';

/** As lua/header.lua completes a prefix. */
function complete(prefix: Buffer, version: number, ageSeconds: number, writes: number, rawBytes: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  prefix.copy(header);
  header.writeUIntBE(Math.floor(version / 2 ** 48), 4, 1);
  header.writeUIntBE(version % 2 ** 48, 5, 6);
  header.writeUIntBE(ageSeconds, 11, 3);
  header.writeUInt16BE(writes, 14);
  header.writeUIntBE(rawBytes, 16, 3);
  return header;
}

describe('header', () => {
  it('reads back what it was made of', () => {
    fc.assert(
      fc.property(
        fc.record({
          isTombstone: fc.boolean(),
          state: fc.integer({ min: 0, max: 2 }),
          codecId: fc.integer({ min: 0, max: 15 }),
          formatId: fc.integer({ min: 0, max: 2 ** 24 - 1 }),
          version: fc.maxSafeInteger().map(Math.abs),
          ageSeconds: fc.integer({ min: 0, max: 2 ** 24 - 1 }),
          writes: fc.integer({ min: 0, max: 65_535 }),
          rawBytes: fc.integer({ min: 0, max: 2 ** 24 - 1 }),
        }),
        ({ isTombstone, state, codecId, formatId, version, ageSeconds, writes, rawBytes }) => {
          const prefix = packPrefix({ isTombstone, codecId }, formatId);
          prefix[0] = prefix[0]! | (state << 1);
          const header = complete(prefix, version, ageSeconds, writes, rawBytes);
          const lastWriteMs = Math.floor(version / 1000);
          expect(readHeader(header)).toMatchObject({
            isTombstone,
            state: STATES[state],
            codecId,
            formatId,
            version,
            writes,
            rawBytes,
            lastWriteMs,
            firstWriteMs: lastWriteMs - ageSeconds * 1000,
          });
          expect(readFormatId(header)).toBe(formatId);
        },
      ),
    );
  });

  it('refuses what is too short or in no known state', () => {
    expect(readFormatId(Buffer.alloc(HEADER_BYTES - 1))).toBeUndefined();
    expect(() => readHeader(Buffer.alloc(HEADER_BYTES - 1))).toThrow('shorter');
    expect(() => readHeader(Buffer.concat([Buffer.from([0b110]), Buffer.alloc(HEADER_BYTES)]))).toThrow(
      'unknown state',
    );
  });
});
