/**
 * The 19 bytes before each buffered payload. Redis scripts read and rewrite them, so this layout and
 * `lua/header.lua` change together:
 *
 *   0      flags: bit 0 tombstone, bits 1-2 state, bits 3-6 codec, bit 7 bundle
 *   1-3    format: first 3 bytes of the content hash of columns and dictionary
 *   4-10   version: microseconds of the hybrid clock
 *   11-13  seconds between the first write since the last sync and this version
 *   14-15  writes folded into this entry since the last sync; of a bundle, its documents
 *   16-18  bytes of the document, or documents, as JSON
 */
export const HEADER_BYTES = 19;

const BUNDLE_FLAG = 0x80;

export const STATES = ['dirty', 'failed', 'waiting'] as const;
export type EntryState = (typeof STATES)[number];

export interface Header {
  isTombstone: boolean;
  /** The payload holds several documents, see `bundle.ts`. */
  isBundle: boolean;
  state: EntryState;
  codecId: number;
  formatId: number;
  version: number;
  /** Instant of the first write since the last sync, ms. */
  firstWriteMs: number;
  /** Instant of the last write, ms. */
  lastWriteMs: number;
  /** Acknowledged writes that this entry stands for. */
  writes: number;
  /** Bytes of the document as JSON. */
  rawBytes: number;
  /** Bytes of the whole entry, this header included. */
  storedBytes: number;
}

/** What the writer knows; the script adds version, age and count. */
export function packPrefix(
  flags: { isTombstone?: boolean; isBundle?: boolean; codecId: number },
  formatId: number,
): Buffer {
  const prefix = Buffer.allocUnsafe(4);
  prefix[0] = (flags.isTombstone ? 1 : 0) | (flags.codecId << 3) | (flags.isBundle ? BUNDLE_FLAG : 0);
  prefix.writeUIntBE(formatId, 1, 3);
  return prefix;
}

const readVersion = (bytes: Buffer): number => bytes.readUIntBE(4, 1) * 2 ** 48 + bytes.readUIntBE(5, 6);

/** Undefined when the entry is too short for a header. */
export const readFormatId = (bytes: Buffer): number | undefined =>
  bytes.length < HEADER_BYTES ? undefined : bytes.readUIntBE(1, 3);

export function readHeader(bytes: Buffer): Header {
  if (bytes.length < HEADER_BYTES) throw new Error('entry is shorter than its header');
  const flags = bytes[0]!;
  const version = readVersion(bytes);
  const lastWriteMs = Math.floor(version / 1000);
  const state = STATES[(flags >> 1) & 3];
  if (!state) throw new Error(`entry has unknown state ${(flags >> 1) & 3}`);
  return {
    isTombstone: (flags & 1) === 1,
    isBundle: (flags & BUNDLE_FLAG) !== 0,
    state,
    codecId: (flags >> 3) & 15,
    formatId: bytes.readUIntBE(1, 3),
    version,
    firstWriteMs: lastWriteMs - bytes.readUIntBE(11, 3) * 1000,
    lastWriteMs,
    writes: bytes.readUInt16BE(14),
    rawBytes: bytes.readUIntBE(16, 3),
    storedBytes: bytes.length,
  };
}
