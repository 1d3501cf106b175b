import { createHash } from 'node:crypto';
import type { Document, EntityDefinition } from '../../src/lib/entity.ts';
import { keyOf } from '../../src/lib/entity.ts';
import { Rows } from '../../src/stores/postgres/rows.ts';
import type { EngineHarness } from './engine-harness.ts';

/** What a client knows of an acknowledged write. */
export interface Acknowledged {
  entity: string;
  key: string;
  version: number;
  hash: string;
  isDeleted: boolean;
}

/** Same for documents that say the same, whatever the order of their columns; absent and null are one. */
export function hashOf(document: Document): string {
  return createHash('sha256')
    .update(JSON.stringify(canonical(document)))
    .digest('hex')
    .slice(0, 16);
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .filter(([, item]) => item !== null && item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, item]) => [name, canonical(item)]);
}

/**
 * The one oracle of all chaos tests: it notes each acknowledged write, and at the end every acknowledged version, or a
 * newer one, must be in the database or in a failed write that an admin sees.
 */
export class Oracle {
  readonly #newest = new Map<string, Acknowledged>();
  /** Hashes of versions that were sent but not acknowledged: they may be stored instead, if they are newer. */
  count = 0;

  note(write: Acknowledged): void {
    this.count++;
    const name = `${write.entity} ${write.key}`;
    const before = this.#newest.get(name);
    if (!before || before.version < write.version) this.#newest.set(name, write);
  }

  /** Notes a document's write as its receipt says. */
  noteReceipt(entity: EntityDefinition, document: Document, version: number, isDeleted = false): void {
    this.note({ entity: entity.name, key: keyOf(entity, document), version, hash: hashOf(document), isDeleted });
  }

  /** @returns one line an acknowledged write that is nowhere, or not as it was acknowledged */
  async losses(h: EngineHarness): Promise<string[]> {
    const lost: string[] = [];
    const rows = new Rows(h.knex);
    const events = new Map<string, Record<string, unknown>>();
    if ([...this.#newest.values()].some(({ entity }) => entity === 'event_log')) {
      for (const document of await h.mongoDocuments('event_logs')) events.set(String(document._id), document);
    }
    for (const { entity: name, key, version, hash, isDeleted } of this.#newest.values()) {
      const entity = h.engine.registry.get(name);
      const what = `${name} ${key} version ${version}`;
      const record = await h.engine.failedWrites.get(`${name}~${key}`);
      if (record && record.version >= version) continue;
      if (entity.sink.kind === 'mongo') {
        const stored = events.get(key);
        if (!stored) lost.push(`${what}: not in MongoDB`);
        else if (Number(stored.version) < version) lost.push(`${what}: MongoDB has ${stored.version}`);
        continue;
      }
      const { table, version: column, softDelete } = entity.sink;
      const parts = key.split(':');
      const where = entity.key.map((part) => `"${part}" = ?`).join(' AND ');
      const [row] = await h.rows(
        `SELECT "${column}" AS version${softDelete ? `, "${softDelete}" IS NOT NULL AS is_deleted` : ''} FROM "${table}" WHERE ${where}`,
        parts,
      );
      if (!row) lost.push(`${what}: no row`);
      else if (Number(row.version) < version) lost.push(`${what}: the row has version ${row.version}`);
      else if (Number(row.version) === version && softDelete && row.is_deleted !== isDeleted)
        lost.push(`${what}: deleted is ${row.is_deleted}`);
      else if (Number(row.version) === version && !isDeleted && entity.kind === 'document') {
        const found = await rows.get(entity, key);
        if (hashOf(found!.document) !== hash) lost.push(`${what}: the row differs: ${JSON.stringify(found!.document)}`);
      }
    }
    return lost;
  }
}
