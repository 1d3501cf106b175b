import { describe, expect, it } from 'vitest';
import { HEAD_BYTES, looksLike } from '../../../src/services/school/file-types.ts';

const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
const bytes = (...values: number[]) => Buffer.from(values);

describe('what a file looks like', () => {
  it.each([
    ['application/pdf', Buffer.from('%PDF-1.4'), true],
    ['application/pdf', Buffer.from('MZ\x90\0'), false],
    ['image/png', bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), true],
    ['image/png', Buffer.from('<svg onload="alert(1)">'), false],
    ['image/jpeg', bytes(0xff, 0xd8, 0xff, 0xe0), true],
    ['image/jpeg', bytes(0xff, 0xd8), false],
    ['image/webp', Buffer.from('RIFF\0\0\0\0WEBPVP8 '), true],
    ['image/webp', Buffer.from('RIFF\0\0\0\0WAVEfmt '), false],
    [DOCX, Buffer.from('PK\x03\x04rest'), true],
    [DOCX, Buffer.from('{\\rtf1'), false],
    ['text/plain', Buffer.from('Grüße, नमस्ते'), true],
    ['text/plain', Buffer.from('a\0b'), false],
    ['text/plain', bytes(0x47, 0x72, 0xfc, 0xdf, 0x65), false],
    ['text/plain', Buffer.alloc(0), true],
    ['text/csv', Buffer.from('a,b\r\n'), true],
    ['text/csv', bytes(0x50, 0x4b, 0x00), false],
  ])('%s of %j: %s', (mime, head, expected) => {
    expect(looksLike(mime, head)).toBe(expected);
  });

  it('does not mind a character that the head cuts in two', () => {
    for (const before of ['', 'a', 'ab']) {
      const text = Buffer.from(before + 'न'.repeat(HEAD_BYTES));
      expect(looksLike('text/plain', text.subarray(0, HEAD_BYTES))).toBe(true);
    }
  });
});
