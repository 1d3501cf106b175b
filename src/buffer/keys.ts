import type { EntityDefinition } from '../lib/entity.ts';
import { UUID_BYTES, writeUuid } from '../lib/uuid-bytes.ts';

/** Buckets of one entity and shard: few enough to index, enough that each stays a compact listpack hash. */
export const BUCKETS = 512;

const HASH_SEED = 0x811c9dc5;
const HASH_PRIME = 0x01000193;

/** FNV-1a, 32 bits: places keys on shards and buckets the same way in every process. */
function hash(text: string): number {
  let value = HASH_SEED;
  for (let index = 0; index < text.length; index++) {
    value ^= text.charCodeAt(index);
    value = Math.imul(value, HASH_PRIME);
  }
  return value >>> 0;
}

/** Where a key's entry lies: a hash (bucket) in one shard and the entry's field in it. */
export interface Place {
  shard: number;
  bucket: string;
  /** Absent for sheets, whose bucket holds nothing but their own fields. */
  field?: Buffer;
}

/** Keys of one entity in one shard. */
interface EntityNames {
  /** Before the bucket. */
  buckets: string;
  dirty: string;
  failed: string;
}

const isUuidKey = (entity: EntityDefinition, column: string): boolean => entity.columns[column]?.type === 'uuid';

/** A key part as a hash field: 16 bytes for a uuid, its text otherwise. */
export function toField(part: string, isUuid: boolean): Buffer {
  if (!isUuid) return Buffer.from(part, 'utf8');
  const field = Buffer.allocUnsafe(UUID_BYTES);
  // What is no uuid is no key of the entity: nothing lies under its bytes.
  return writeUuid(part, field, 0) ? field : EMPTY;
}
const EMPTY = Buffer.alloc(0);

export function fromField(field: Buffer, isUuid: boolean): string {
  if (!isUuid) return field.toString('utf8');
  const hex = field.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** First character of the keys and buckets of bundles: no uuid, number or date has it. */
const BUNDLE = '+';

/**
 * The key of a bundle, as batches name it: an id of its own, and how many documents it holds, so that batches can be cut to
 * size without reading it. 255 at most.
 */
export const bundleKey = (id: string, count: number): string => `${BUNDLE}${id}.${count}`;

const countOf = (key: string): number => Number(key.slice(key.indexOf('.') + 1));

export const isBundleKey = (entity: EntityDefinition, key: string): boolean =>
  entity.bundled === true && key.startsWith(BUNDLE);

/** Cuts keys into batches of at most so many documents; a bundle is never cut. */
export function* batchesOf(entity: EntityDefinition, keys: readonly string[], most: number): Generator<string[]> {
  let batch: string[] = [];
  let documents = 0;
  for (const key of keys) {
    const count = isBundleKey(entity, key) ? countOf(key) : 1;
    if (batch.length > 0 && documents + count > most) {
      yield batch;
      batch = [];
      documents = 0;
    }
    batch.push(key);
    documents += count;
  }
  if (batch.length > 0) yield batch;
}

/** The only place that spells Redis keys of the write buffer and its caches. */
export class BufferKeys {
  readonly prefix: string;
  readonly shards: number;
  readonly #names: Map<string, EntityNames>[] = [];

  /** @param prefix namespace of this deployment; shards spread by the hash tag that follows it */
  constructor(prefix: string, shards: number) {
    this.prefix = prefix;
    this.shards = shards;
  }

  shardOf(firstKeyPart: string): number {
    return this.shards === 1 ? 0 : hash(firstKeyPart) % this.shards;
  }

  place(entity: EntityDefinition, key: string): Place {
    if (isBundleKey(entity, key)) {
      const id = key.slice(BUNDLE.length, key.indexOf('.'));
      const field = Buffer.concat([toField(id, true), Buffer.of(countOf(key))]);
      return { shard: this.shardOf(id), bucket: `${BUNDLE}${hash(id) % BUCKETS}`, field };
    }
    const split = key.indexOf(':');
    if (entity.key.length === 1) {
      const shard = this.shardOf(key);
      if (entity.kind === 'sheet') return { shard, bucket: key };
      const column = entity.key[0]!;
      return { shard, bucket: String(hash(key) % BUCKETS), field: toField(key, isUuidKey(entity, column)) };
    }
    const first = key.slice(0, split);
    const shard = this.shardOf(first);
    if (entity.kind === 'sheet') return { shard, bucket: key };
    const rest = key.slice(split + 1);
    return { shard, bucket: first, field: toField(rest, this.#restIsUuid(entity)) };
  }

  /** The key of an entry found in a bucket. */
  keyAt(entity: EntityDefinition, bucket: string, field: Buffer): string {
    if (entity.kind === 'sheet') return bucket;
    if (entity.bundled && bucket.startsWith(BUNDLE))
      return bundleKey(fromField(field.subarray(0, -1), true), field.at(-1)!);
    if (entity.key.length === 1) return fromField(field, isUuidKey(entity, entity.key[0]!));
    return `${bucket}:${fromField(field, this.#restIsUuid(entity))}`;
  }

  #restIsUuid(entity: EntityDefinition): boolean {
    return entity.key.length === 2 && isUuidKey(entity, entity.key[1]!);
  }

  shard(shard: number): string {
    return `${this.prefix}{${shard}}`;
  }

  bucket(shard: number, entity: string, bucket: string): string {
    return this.#namesOf(shard, entity).buckets + bucket;
  }

  /** Sorted set of buckets with dirty entries, scored by their oldest first write in ms. */
  dirty(shard: number, entity: string): string {
    return this.#namesOf(shard, entity).dirty;
  }

  /** Hash: key to record of its failed write. */
  failed(shard: number, entity: string): string {
    return this.#namesOf(shard, entity).failed;
  }

  /** What every write needs is put together once. */
  #namesOf(shard: number, entity: string): EntityNames {
    const names = this.#names[shard]?.get(entity);
    if (names) return names;
    const own = `${this.shard(shard)}:${entity}`;
    const made = { buckets: `${own}:b:`, dirty: `${own}:dirty`, failed: `${own}:failed` };
    this.#names[shard] ??= new Map();
    this.#names[shard].set(entity, made);
    return made;
  }

  /** Hashes whose fields are the pending keys of one relation value: this prefix, then `column:value`. */
  relationPrefix(shard: number, entity: string): string {
    return `${this.shard(shard)}:${entity}:r:`;
  }

  /** List of resolved failed writes, newest first. */
  resolved(shard: number): string {
    return `${this.shard(shard)}:resolved`;
  }

  /** Hash: dirty entries, raw and stored bytes, and list epoch of each entity. */
  counters(shard: number): string {
    return `${this.shard(shard)}:counters`;
  }

  /** Highest version handed out by this shard. */
  clock(shard: number): string {
    return `${this.shard(shard)}:clock`;
  }

  /** Stream of events that some consumer still has to handle. */
  events(shard: number): string {
    return `${this.shard(shard)}:events`;
  }

  /** Hash: format id to its columns and dictionary; needed to read any payload, so never deleted. */
  formats(shard: number): string {
    return `${this.shard(shard)}:formats`;
  }

  /** Set of `entity key` of children that wait for one parent. */
  waiters(shard: number, parentEntity: string, parentKey: string): string {
    return `${this.shard(shard)}:waiters:${parentEntity}:${parentKey}`;
  }

  /** Stored copies of documents kept for reads, the only buffer keys with a TTL: this prefix, then bucket and field. */
  warmPrefix(shard: number, entity: string): string {
    return `${this.shard(shard)}:${entity}:w:`;
  }

  warm(entity: EntityDefinition, key: string): Buffer {
    const { shard, bucket, field } = this.place(entity, key);
    return Buffer.concat([Buffer.from(`${this.warmPrefix(shard, entity.name)}${bucket}:`), field ?? Buffer.alloc(0)]);
  }

  /** Who holds a unique value until its row is stored. */
  reservation(entity: string, column: string, value: string): string {
    const shard = this.shardOf(value);
    return `${this.shard(shard)}:${entity}:u:${column}:${value}`;
  }

  /** Set of the reservations of one document. */
  held(entity: EntityDefinition, key: string): string {
    return `${this.shard(this.place(entity, key).shard)}:${entity.name}:h:${key}`;
  }

  /** Short-lived things of other kinds: idempotency records, failed logins. */
  cache(name: string): string {
    return `{${this.prefix}:cache:${name}}`;
  }

  /** The last messages to a user (DOMAIN §7 `stream:user:{id}`). */
  userStream(userId: string): string {
    return this.cache(`stream:user:${userId}`);
  }

  /** A channel of pub/sub. */
  channel(name: string): string {
    return `${this.prefix}:live:${name}`;
  }

  /** A cached answer; see `isCopy`. */
  copy(name: string): string {
    return `{${this.prefix}:copy:${name}}`;
  }

  /** Copies of what a database has, which may go at any time: warm copies and cached answers. */
  isCopy(key: string): boolean {
    if (key.startsWith(`{${this.prefix}:copy:`)) return !/:(generation|fence)$/.test(key);
    return key.startsWith(this.prefix) && /^\{\d+\}:[a-z0-9_]+:w:/.test(key.slice(this.prefix.length));
  }

  /** Hash: how often something has changed what a person, a class or the school sees; bounded by those. */
  touches(): string {
    return `{${this.prefix}:touches}`;
  }

  /** A class's sorted set of a period, student to points; `state` is a hash: generation, and the one and the date each set was made for. */
  leaderboard(classId: string, period: string): string {
    return `{${this.prefix}:leaderboard:class:${classId}}:${period}`;
  }

  run(runId: string): string {
    return `${this.prefix}:run:${runId}`;
  }

  runs(): string {
    return `${this.prefix}:runs`;
  }

  /** Prefix of a BullMQ queue: a hash tag of its own, so that queues spread over a cluster. */
  queue(name: string): string {
    return `{${this.prefix}:${name}}`;
  }
}
