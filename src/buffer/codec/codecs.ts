import { constants, deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import * as mongoZstd from '@mongodb-js/zstd';
import snappy from 'snappy';
import { compress, decompress } from './lz4.ts';

/** Compresses the texts of one document; `dictionary` is the entity's, possibly empty. */
export interface Codec {
  /** Stored with each payload (4 bits), so it never changes its meaning. */
  id: number;
  name: string;
  /** Its `encode` gives a promise, and reads the texts after it has returned. */
  isAsync?: boolean;
  /** What it returns may be a view that the next call writes over. */
  encode(texts: Buffer, dictionary: Buffer): Buffer | Promise<Buffer>;
  decode(data: Buffer, dictionary: Buffer): Buffer;
}

/** Inflated size that no honest payload reaches; stops a crafted one from filling memory. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;

/** zlib allocates its output in chunks of 16 KiB by default, most of the cost for a text of 200 bytes. */
const chunkFor = (bytes: number): number => Math.min(Math.max(bytes, 256), 16_384);

const none: Codec = { id: 0, name: 'none', encode: (texts) => texts, decode: (data) => data };

const snappyCodec: Codec = {
  id: 1,
  name: 'snappy',
  encode: (texts) => snappy.compressSync(texts),
  decode: (data) => snappy.uncompressSync(data, { asBuffer: true }) as Buffer,
};

const lz4Codec: Codec = {
  id: 2,
  name: 'lz4',
  encode: compress,
  decode: (data, dictionary) => decompress(data, dictionary, MAX_TEXT_BYTES),
};

/** Asynchronous, on the thread pool: for large payloads that would hold up the event loop. */
const zstd: Codec = {
  id: 3,
  name: 'zstd',
  isAsync: true,
  encode: (texts) => mongoZstd.compress(texts, 3),
  decode: (data) => zstdDecompressSync(data, { maxOutputLength: MAX_TEXT_BYTES }),
};

const zstdDictionary: Codec = {
  id: 4,
  name: 'zstd-dict',
  encode: (texts, dictionary) =>
    zstdCompressSync(texts, {
      dictionary,
      params: { [constants.ZSTD_c_contentSizeFlag]: 0, [constants.ZSTD_c_dictIDFlag]: 0 },
    }),
  decode: (data, dictionary) => zstdDecompressSync(data, { dictionary, maxOutputLength: MAX_TEXT_BYTES }),
};

const deflateDictionary: Codec = {
  id: 5,
  name: 'deflate-dict',
  encode: (texts, dictionary) => deflateRawSync(texts, { dictionary, level: 6, chunkSize: chunkFor(texts.length) }),
  decode: (data, dictionary) =>
    inflateRawSync(data, { dictionary, chunkSize: chunkFor(data.length * 4), maxOutputLength: MAX_TEXT_BYTES }),
};

export const CODECS: readonly Codec[] = [none, snappyCodec, lz4Codec, zstd, zstdDictionary, deflateDictionary];
const byId = new Map(CODECS.map((codec) => [codec.id, codec]));
const byName = new Map(CODECS.map((codec) => [codec.name, codec]));

export function codecById(id: number): Codec {
  const codec = byId.get(id);
  if (!codec) throw new Error(`no codec has id ${id}; a newer version of this program may have written the payload`);
  return codec;
}

/** Below this, compression costs more bytes than it saves. */
const MIN_TEXT_BYTES = 12;
/** Up to here, `auto` takes lz4: a tenth of deflate's time each way, for some twenty bytes more. */
const SMALL_TEXT_BYTES = 256;
/** From here on, `auto` takes zstd: its window needs no dictionary and it runs off the main thread. */
export const LARGE_TEXT_BYTES = 8192;

/** Chooses the codec for one run of texts. @param isBundle texts of several documents, much alike */
export type CodecChoice = (textBytes: number, isBundle?: boolean) => Codec;

/** @param algorithm a value of REDIS_COMPRESSION_ALGORITHM */
export function chooseCodec(algorithm: string, isEnabled = true): CodecChoice {
  if (!isEnabled) return () => none;
  const fixed = byName.get(algorithm);
  if (fixed) return (textBytes) => (textBytes < MIN_TEXT_BYTES ? none : fixed);
  if (algorithm !== 'auto') throw new Error(`unknown compression algorithm ${algorithm}`);
  return (textBytes, isBundle = false) => {
    if (textBytes < MIN_TEXT_BYTES) return none;
    // Where texts repeat each other, lz4 finds most of it.
    if (textBytes <= SMALL_TEXT_BYTES || (isBundle && textBytes < LARGE_TEXT_BYTES)) return lz4Codec;
    return textBytes < LARGE_TEXT_BYTES ? deflateDictionary : zstd;
  };
}
