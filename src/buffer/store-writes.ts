import { type Document, type EntityDefinition, keyOf } from '../lib/entity.ts';
import { type StoreWrite, sourceOf } from '../stores/sinks/sink.ts';
import type { PendingWrite } from './write-buffer.ts';

/** One a row: of documents that were written twice the newer. */
export function toStoreWrites(entity: EntityDefinition, writes: readonly PendingWrite[]): StoreWrite[] {
  if (!entity.bundled) return writes.map(toStoreWrite);
  const rows = new Map<string, StoreWrite>();
  for (const write of writes) {
    const own = write.bundle ? write.bundle.documents.map(bundledWrite(entity, write.version)) : [toStoreWrite(write)];
    for (const row of own) if ((rows.get(row.key)?.version ?? 0) < row.version) rows.set(row.key, row);
  }
  return [...rows.values()];
}

const bundledWrite =
  (entity: EntityDefinition, version: number) =>
  (document: Document): StoreWrite => ({
    key: keyOf(entity, document),
    version,
    isDeleted: false,
    source: sourceOf(document),
    fields: NO_FIELDS,
  });

const NO_FIELDS: StoreWrite['fields'] = [];

const toStoreWrite = (write: PendingWrite): StoreWrite => ({
  key: write.key,
  version: write.head?.header.version ?? write.version,
  isDeleted: write.head?.header.isTombstone ?? false,
  ...(write.head ? { source: write.head } : {}),
  fields:
    write.fields.size === 0
      ? NO_FIELDS
      : [...write.fields.values()].map(({ document, header }) => ({ document, version: header.version })),
});
