import { isUtf8 } from 'node:buffer';

/** What people upload; reports and receipts are made by the school itself. */
export const UPLOAD_PURPOSES = ['homework', 'submission', 'avatar', 'import'] as const;
export type UploadPurpose = (typeof UPLOAD_PURPOSES)[number];
export type FilePurpose = UploadPurpose | 'report' | 'receipt';

const PDF = 'application/pdf';
const OFFICE = [
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
];
const IMAGES = ['image/jpeg', 'image/png', 'image/webp'];
const DOCUMENTS = [PDF, 'text/plain', ...OFFICE, ...IMAGES];

/** What each purpose takes (H5). */
export const TYPES: Readonly<Record<UploadPurpose, ReadonlySet<string>>> = {
  homework: new Set(DOCUMENTS),
  submission: new Set(DOCUMENTS),
  avatar: new Set(IMAGES),
  import: new Set(['text/csv']),
};

const MIB = 1024 * 1024;
/** H5, and the table; a CSV of 5,000 rows is far smaller. */
export const MOST_BYTES: Readonly<Record<UploadPurpose, number>> = {
  homework: 25 * MIB,
  submission: 25 * MIB,
  avatar: 25 * MIB,
  import: 5 * MIB,
};

/** Bytes that tell a type. */
export const HEAD_BYTES = 4096;

const startsWith = (head: Buffer, bytes: string, at = 0): boolean =>
  head.subarray(at, at + bytes.length).equals(Buffer.from(bytes, 'latin1'));

/**
 * Whether a file can be what it says it is, by its first bytes: a program under a picture's name is not.
 *
 * @param head at most the first `HEAD_BYTES`
 */
export function looksLike(mime: string, head: Buffer): boolean {
  if (mime === PDF) return startsWith(head, '%PDF-');
  if (mime === 'image/png') return startsWith(head, '\x89PNG\r\n\x1a\n');
  if (mime === 'image/jpeg') return startsWith(head, '\xff\xd8\xff');
  if (mime === 'image/webp') return startsWith(head, 'RIFF') && startsWith(head, 'WEBP', 8);
  if (OFFICE.includes(mime)) return startsWith(head, 'PK\x03\x04');
  // A table in another encoding is refused where it is read, which can say so.
  if (mime === 'text/csv') return !head.includes(0) || hasUtf16Mark(head);
  return mime === 'text/plain' && !head.includes(0) && isUtf8Beginning(head);
}

export const hasUtf16Mark = (head: Buffer): boolean => startsWith(head, '\xff\xfe') || startsWith(head, '\xfe\xff');

/** A head that is not the whole file may end inside a character. */
function isUtf8Beginning(head: Buffer): boolean {
  const longest = head.length < HEAD_BYTES ? 0 : 3;
  for (let cut = 0; cut <= longest; cut++) if (isUtf8(head.subarray(0, head.length - cut))) return true;
  return false;
}
