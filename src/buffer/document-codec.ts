import type { Document, EntityDefinition } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import { type CodecChoice, codecById } from './codec/codecs.ts';
import type { Format, Formats, Part } from './format.ts';
import { HEADER_BYTES, type Header, packPrefix, readHeader } from './header.ts';

/** One entry ready for the put script, which completes the header. */
export interface EncodedEntry {
  prefix: Buffer;
  payload: Buffer;
  rawBytes: number;
}

export interface DecodedEntry {
  header: Header;
  document: Document;
}

/** Turns documents into entries and back, whatever codec, format or shape an entry was written with. */
export class DocumentCodec {
  readonly #formats: Formats;
  readonly #registry: EntityRegistry;
  readonly #choose: CodecChoice;

  constructor(formats: Formats, registry: EntityRegistry, choose: CodecChoice) {
    this.#formats = formats;
    this.#registry = registry;
    this.#choose = choose;
  }

  /** Synchronous for all codecs but zstd, whose work is done on the thread pool. */
  encode(
    entity: EntityDefinition,
    part: Part,
    document: Document,
    isTombstone: boolean,
  ): EncodedEntry | Promise<EncodedEntry> {
    const format = this.#formats.for(entity.name, part);
    const { fixed, texts } = format.packer.pack(document);
    const rawBytes = Buffer.byteLength(JSON.stringify(document));
    const codec = this.#choose(texts.length);
    const finish = (body: Buffer): EncodedEntry => {
      const isSmaller = body.length < texts.length;
      return {
        prefix: packPrefix({ isTombstone, codecId: isSmaller ? codec.id : 0 }, format.id),
        payload: Buffer.concat([fixed, isSmaller ? body : texts]),
        rawBytes,
      };
    };
    if (codec.id === 0) return finish(texts);
    const body = codec.encode(texts, format.dictionary);
    return body instanceof Promise ? body.then(finish) : finish(body);
  }

  /** Entries of one shard; loads formats that this process has not met yet. */
  async decodeAll(shard: number, entries: readonly Buffer[]): Promise<DecodedEntry[]> {
    const unknown = entries.map((entry) => readHeader(entry).formatId).filter((id) => !this.#formats.get(id));
    if (unknown.length > 0) await this.#formats.load(shard, unknown);
    return entries.map((entry) => this.decode(entry));
  }

  /** @throws when the entry's format is not known (see decodeAll) or its bytes are broken */
  decode(entry: Buffer): DecodedEntry {
    const header = readHeader(entry);
    const format = this.#formats.get(header.formatId);
    if (!format) throw new Error(`format ${header.formatId} is not loaded`);
    const body = entry.subarray(HEADER_BYTES);
    const document = format.packer.unpack(body, (offset) =>
      codecById(header.codecId).decode(body.subarray(offset), format.dictionary),
    );
    return { header, document: this.#lift(format, document) };
  }

  #lift(format: Format, document: Document): Document {
    const entity = this.#registry.get(format.entity);
    let lifted = document;
    for (let shape = format.shape; shape < entity.shape; shape++) {
      const upcast = entity.upcast?.[shape];
      if (!upcast) throw new Error(`${entity.name} has no upcast from shape ${shape}`);
      lifted = upcast(lifted);
    }
    return lifted;
  }
}
