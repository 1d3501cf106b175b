import { isKeyOf } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import type { Receipt } from '../lib/write-receipt.ts';
import type { StoreDirectory } from './batch-writer.ts';
import type { WriteBuffer } from './write-buffer.ts';

/**
 * What became of an acknowledged write:
 *
 *   buffered -> stored, or superseded by a newer write of its key (which is stored in its stead)
 *   buffered -> failed | waiting (behind a failed parent) -> buffered by a replay, or discarded by an admin
 */
export type WriteState = 'buffered' | 'stored' | 'superseded' | 'failed' | 'waiting' | 'discarded';

/** Follows acknowledged writes by what the buffer and the databases hold; nothing is kept for it. */
export class WriteStates {
  readonly #buffer: WriteBuffer;
  readonly #registry: EntityRegistry;
  readonly #stores: StoreDirectory;

  constructor(deps: { buffer: WriteBuffer; registry: EntityRegistry; stores: StoreDirectory }) {
    this.#buffer = deps.buffer;
    this.#registry = deps.registry;
    this.#stores = deps.stores;
  }

  /** The kind of database a write is or will be in; undefined for what cannot be a write. */
  databaseOf({ entity: name, key }: Receipt): 'postgres' | 'mongo' | undefined {
    const entity = this.#registry.find(name);
    return entity && isKeyOf(entity, key) ? entity.sink.kind : undefined;
  }

  /** @returns the state, and the kind of database it is or will be in; undefined for what cannot be a write */
  async of(receipt: Receipt) {
    const database = this.databaseOf(receipt);
    if (!database) return undefined;
    const { entity: name, key, version } = receipt;
    const entity = this.#registry.get(name);
    const [pending] = await this.#buffer.fetch(name, await this.#buffer.entryKeys(name, [key]));
    // What is bundled is written once: alone in its entry later, its version is another, and it is the same write.
    if (pending && (entity.bundled || pending.entries.some((entry) => entry.version === version))) {
      const state: WriteState = pending.state === 'dirty' ? 'buffered' : pending.state;
      return { state, database };
    }
    // A document is replaced whole; a sheet's fields may have been stored while others wait.
    if (pending && entity.kind === 'document' && pending.version > version)
      return { state: 'superseded' as WriteState, database };
    const stored = await this.#stores[database].sink.versionOf(entity, key);
    if (stored !== undefined && stored >= version) return { state: 'stored' as WriteState, database };
    // Of a sheet, too: all its fields may have been written again before any was stored.
    const isReplaced = pending !== undefined && pending.version > version;
    return { state: (isReplaced ? 'superseded' : 'discarded') as WriteState, database };
  }
}
