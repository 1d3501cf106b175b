import type { Document, EntityDefinition } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import { type CodecChoice, codecById } from './codec/codecs.ts';
import type { Format, Formats, Part } from './format.ts';
import { HEADER_BYTES, type Header, packPrefix, readFormatId, readHeader } from './header.ts';

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

  /** Loads the formats of these entries that this process has not met yet. */
  async load(shard: number, entries: readonly Buffer[]): Promise<void> {
    const unknown = new Set<number>();
    for (const entry of entries) {
      const id = readFormatId(entry);
      if (id !== undefined && !this.#formats.get(id)) unknown.add(id);
    }
    if (unknown.size > 0) await this.#formats.load(shard, unknown);
  }

  /**
   * @param known what the payload leaves out: the key's columns
   * @throws when the entry's format is not loaded (see `load`) or its bytes are broken
   */
  decode(entry: Buffer, known: Document): DecodedEntry {
    const header = readHeader(entry);
    const format = this.#formats.get(header.formatId);
    if (!format) throw new Error(`format ${header.formatId} is not loaded`);
    const body = entry.subarray(HEADER_BYTES);
    const document = format.packer.unpack(
      body,
      (offset) => codecById(header.codecId).decode(body.subarray(offset), format.dictionary),
      known,
    );
    const lifted = this.#lift(format, document);
    if (format.part === 'document') {
      const { derived } = this.#registry.get(format.entity);
      for (const name in derived) lifted[name] = derived[name]!(lifted);
    }
    return { header, document: lifted };
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
