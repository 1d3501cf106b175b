import type { Document, EntityDefinition } from '../lib/entity.ts';
import { newId } from '../lib/ids.ts';
import type { BundleWriter } from './bundle.ts';
import type { DocumentCodec, EncodedEntry } from './document-codec.ts';
import type { BufferWrite, PutResult } from './group-commit.ts';
import { bundleKey } from './keys.ts';

type MakeWrite = () => BufferWrite | Promise<BufferWrite>;

export interface BundlerDeps {
  codec: DocumentCodec;
  /** Has the bundle with this id taken by a commit, which asks for the write when it is put together. */
  commit: (id: string, make: MakeWrite) => Promise<PutResult>;
  writeOf: (entity: EntityDefinition, key: string, encoded: EncodedEntry) => BufferWrite;
}

interface OpenBundle {
  writer: BundleWriter;
  /** Of the commit that takes it. */
  version: Promise<PutResult>;
}

/**
 * Puts documents of one entity that arrive between two commits into one bundle:
 *
 *   add -> open (its commit waits) -> the commit is put together: closed, encoded -> in flight -> acknowledged or not, all alike
 *
 * A document that cannot be packed is refused before it joins, so no document can spoil another's write.
 */
export class Bundler {
  readonly #deps: BundlerDeps;
  /** By entity. */
  readonly #open = new Map<string, OpenBundle>();
  /** Kept for the next bundle. */
  readonly #idle = new Map<string, BundleWriter>();

  constructor(deps: BundlerDeps) {
    this.#deps = deps;
  }

  /**
   * @returns the version of the commit that took it
   * @throws PackError naming a column whose value has no place in the entity's format
   */
  add(entity: EntityDefinition, document: Document): Promise<PutResult> {
    const open = this.#open.get(entity.name);
    if (open && !open.writer.isFull) {
      open.writer.add(document);
      return open.version;
    }
    const writer = this.#idle.get(entity.name) ?? this.#deps.codec.bundle(entity);
    writer.add(document);
    this.#idle.delete(entity.name);
    const id = newId();
    const bundle: OpenBundle = { writer, version: this.#deps.commit(id, () => this.#close(entity, id, bundle)) };
    this.#open.set(entity.name, bundle);
    return bundle.version;
  }

  #close(entity: EntityDefinition, id: string, bundle: OpenBundle): BufferWrite | Promise<BufferWrite> {
    const { codec, writeOf } = this.#deps;
    const { writer } = bundle;
    if (this.#open.get(entity.name) === bundle) this.#open.delete(entity.name);
    const key = bundleKey(id, writer.count);
    const encoded = codec.encodeBundle(entity, writer);
    this.#idle.set(entity.name, writer);
    return encoded instanceof Promise
      ? encoded.then((ready) => writeOf(entity, key, ready))
      : writeOf(entity, key, encoded);
  }
}
