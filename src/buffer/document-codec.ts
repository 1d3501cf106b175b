import type { RowWriters } from '../lib/column-writer.ts';
import type { Document, EntityDefinition } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import { BundleWriter, readBundle } from './bundle.ts';
import { type CodecChoice, codecById } from './codec/codecs.ts';
import type { Format, Formats, Part } from './format.ts';
import { HEADER_BYTES, type Header, packPrefix, readFormatId, readHeader } from './header.ts';
import { jsonBytes } from './pack-columns.ts';

/** One entry ready for the put script, which completes the header. */
export interface EncodedEntry {
  prefix: Buffer;
  payload: Buffer;
  rawBytes: number;
}

/** An entry of the buffer. Its document is made when it is first asked for: most batches never need it. */
export class BufferEntry {
  readonly header: Header;
  readonly #format: Format;
  readonly #body: Buffer;
  readonly #entity: EntityDefinition;
  /** What the payload leaves out: the key's columns. */
  readonly #known: Document;
  #document: Document | undefined;

  /** @throws when the header is broken */
  constructor(entity: EntityDefinition, header: Header, format: Format, body: Buffer, known: Document) {
    this.#entity = entity;
    this.header = header;
    this.#format = format;
    this.#body = body;
    this.#known = known;
  }

  /** @throws when the payload is broken */
  get document(): Document {
    this.#document ??= this.#decode();
    return this.#document;
  }

  /** One column's value, without making the whole document where that is possible. */
  value(column: string): unknown {
    if (this.#document || this.#isLifted) return this.document[column];
    if (column in this.#known) return this.#known[column];
    return this.#format.packer.pick(this.#body, column) ?? this.document[column];
  }

  /**
   * Appends this document's values to the columns of a statement.
   *
   * @throws when the payload is broken; some columns may have got a value already
   */
  pour(writers: RowWriters): void {
    const { packer } = this.#format;
    if (this.#isLifted || this.#document) {
      for (const [name, writer] of writers) writer.value(this.document[name]);
      return;
    }
    packer.pour(this.#body, this.#texts, writers);
    for (const name in this.#known) writers.get(name)?.value(this.#known[name]);
    for (const name in this.#entity.derived) writers.get(name)?.value(this.document[name]);
  }

  /** Written in an older shape, so its values are not those of today's columns. */
  get #isLifted(): boolean {
    return this.#format.shape !== this.#entity.shape;
  }

  #texts = (offset: number): Buffer =>
    codecById(this.header.codecId).decode(this.#body.subarray(offset), this.#format.dictionary);

  #decode(): Document {
    const document = this.#format.packer.unpack(this.#body, this.#texts, { ...this.#known });
    return lift(this.#entity, this.#format, document);
  }
}

/** An unpacked document as it would be written today: in the present shape, with the columns that follow from others. */
function lift(entity: EntityDefinition, format: Format, unpacked: Document): Document {
  let document = unpacked;
  for (let shape = format.shape; shape < entity.shape; shape++) {
    const upcast = entity.upcast?.[shape];
    if (!upcast) throw new Error(`${entity.name} has no upcast from shape ${shape}`);
    document = upcast(document);
  }
  const { derived } = entity;
  if (derived && format.part !== 'field') {
    for (const name of Object.keys(derived)) document[name] = derived[name]!(document);
  }
  return document;
}

/** Documents of one commit that share a payload; each has the header's version. */
export interface Bundle {
  header: Header;
  documents: Document[];
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
    const packed = format.packer.pack(document);
    let rawBytes = packed.jsonBytes;
    for (const name of format.leftOut) {
      if (document[name] !== undefined) rawBytes += jsonBytes(name) + 2 + jsonBytes(document[name]);
    }
    return this.#finish(format, { ...packed, rawBytes }, { isTombstone });
  }

  /** Starts a bundle of documents of this entity. */
  bundle(entity: EntityDefinition): BundleWriter {
    return new BundleWriter(this.#formats.for(entity.name, 'bundle').packer);
  }

  /** @throws as codecs do; the writer may be used again at once */
  encodeBundle(entity: EntityDefinition, bundle: BundleWriter): EncodedEntry | Promise<EncodedEntry> {
    return this.#finish(this.#formats.for(entity.name, 'bundle'), bundle.take(), { isBundle: true });
  }

  #finish(
    format: Format,
    { fixed, texts, rawBytes }: { fixed: Buffer; texts: Buffer; rawBytes: number },
    flags: { isTombstone?: boolean; isBundle?: boolean },
  ): EncodedEntry | Promise<EncodedEntry> {
    const codec = this.#choose(texts.length, flags.isBundle);
    const entry = (head: Buffer, plain: Buffer, body: Buffer): EncodedEntry => {
      const isSmaller = body.length < plain.length;
      return {
        prefix: packPrefix({ ...flags, codecId: isSmaller ? codec.id : 0 }, format.id),
        payload: Buffer.concat([head, isSmaller ? body : plain]),
        rawBytes,
      };
    };
    if (codec.id === 0) return entry(fixed, texts, texts);
    if (!codec.isAsync) return entry(fixed, texts, codec.encode(texts, format.dictionary) as Buffer);
    // What was packed is a view of bytes that the next document is written over.
    const [head, plain] = [Buffer.from(fixed), Buffer.from(texts)];
    return (codec.encode(plain, format.dictionary) as Promise<Buffer>).then((body) => entry(head, plain, body));
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
   * @throws when the entry's format is not loaded (see `load`) or its header is broken
   */
  open(entry: Buffer, known: Document): BufferEntry {
    const header = readHeader(entry);
    const format = this.#formats.get(header.formatId);
    if (!format) throw new Error(`format ${header.formatId} is not loaded`);
    return new BufferEntry(this.#registry.get(format.entity), header, format, entry.subarray(HEADER_BYTES), known);
  }

  /** The documents of a bundle. @throws as `open` does, and when the payload is broken */
  openBundle(entry: Buffer): Bundle {
    const header = readHeader(entry);
    const format = this.#formats.get(header.formatId);
    if (!format) throw new Error(`format ${header.formatId} is not loaded`);
    const entity = this.#registry.get(format.entity);
    const documents = readBundle(entry.subarray(HEADER_BYTES), format.packer, (texts) =>
      codecById(header.codecId).decode(texts, format.dictionary),
    );
    return { header, documents: documents.map((document) => lift(entity, format, document)) };
  }
}
