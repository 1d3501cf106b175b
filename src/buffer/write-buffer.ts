import type { Redis } from 'ioredis';
import { type Document, type EntityDefinition, keyOf, keyParts } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import { type DomainEvent, firstPartOf } from '../lib/events.ts';
import type { Receipt } from '../lib/write-receipt.ts';
import { Bundler } from './bundler.ts';
import { ByteWriter, KeyList } from './byte-writer.ts';
import type { BufferEntry, Bundle, DocumentCodec, EncodedEntry } from './document-codec.ts';
import type { Part } from './format.ts';
import { type BufferWrite, type EntryWrite, GroupCommit, writeBytes } from './group-commit.ts';
import { type Header, readHeader, STATES } from './header.ts';
import { type BufferKeys, fromField, isBundleKey, type Place, toField } from './keys.ts';
import { BufferScripts } from './scripts.ts';

/** Field of a sheet's head; its members use their own keys. */
const HEAD = Buffer.from('#');

export interface PutOptions {
  /** Version of the row or copy that the caller has read; the new version is above it. */
  base?: number;
  /** Required current version (If-Match). */
  ifMatch?: number;
  isTombstone?: boolean;
  /** Keeps the entry set aside: a repair that waits for its replay. */
  isRepair?: boolean;
  /** True with this write and not without it: kept in the same step, for whoever consumes them. */
  events?: readonly DomainEvent[];
  /** An entry of its own, where the entity's documents are bundled: it can be told from others. */
  isAlone?: boolean;
}

export class StaleVersionError extends Error {
  override name = 'StaleVersionError';
  readonly currentVersion: number;

  constructor(currentVersion: number) {
    super(`current version is ${currentVersion}`);
    this.currentVersion = currentVersion;
  }
}

/** A sheet in the buffer: its head (absent when only fields changed) and its pending fields by member key. */
export interface PendingSheet {
  head?: BufferEntry;
  fields: Map<string, BufferEntry>;
  version: number;
}

/** A document and what the buffer knows of it. */
export interface PendingEntry {
  readonly header: Header;
  readonly document: Document;
}

export interface PendingDocument extends PendingEntry {
  key: string;
  /** The key of the entry it is in: its own, or that of its bundle. */
  entryKey: string;
}

/** A snapshot of one key's entries, as a batch takes it to the database and brings it back to `acknowledge`. */
export interface PendingWrite {
  key: string;
  shard: number;
  bucket: string;
  /** Absent for a sheet whose fields alone changed. */
  head?: BufferEntry;
  fields: Map<string, BufferEntry>;
  /** Documents that share this entry: there is no head then. */
  bundle?: Bundle;
  /** Highest version among the entries. */
  version: number;
  /** Acknowledged writes that this snapshot stands for. */
  writes: number;
  state: Header['state'];
  entries: { field: Buffer; version: number; writes: number }[];
  /** Why the payload cannot be read, if so; it is set aside with this reason. */
  broken?: string;
}

export interface EntityStats {
  entity: string;
  /** Entries (documents, or fields of sheets) that no database has yet, failed ones included. */
  entries: number;
  rawBytes: number;
  storedBytes: number;
  failed: number;
  /** Instant of the oldest dirty first write, ms; see `nowMs` for its age. */
  oldestMs?: number;
}

/** @param bytes of the payloads */
type CommitListener = (entity: string, keys: readonly string[], shard: number, bytes: number) => void;

/**
 * The write buffer: acknowledged writes live here, compressed, until a database has them.
 *
 * An entry (a document, or one field of a sheet) goes
 *
 *   absent -> dirty -> (stored, version unchanged) absent, perhaps with a warm copy
 *               |  \-> (written again meanwhile) dirty, only the newer version left
 *               |-> failed    the database refuses it for good: visible, repairable, out of the runs
 *               \-> waiting   its parent failed: dirty again once the parent is stored
 *   failed | waiting -> dirty by a newer write, -> absent by replay or discard
 *
 * Reads see an entry in every state. Nothing here has a TTL but warm copies, which a database already has.
 */
export class WriteBuffer {
  readonly scripts: BufferScripts;
  readonly keys: BufferKeys;
  readonly #redis: Redis;
  readonly #registry: EntityRegistry;
  readonly #codec: DocumentCodec;
  readonly #groups: GroupCommit[] = [];
  readonly #bundler: Bundler;
  readonly #warmSeconds: number;
  readonly #mayKeep: () => boolean;
  #listener: CommitListener = () => {};

  constructor(deps: {
    redis: Redis;
    /** Connections of the shards' commits in turn; a shard keeps to one, for its commits have an order. Unless given: `redis`. */
    pool?: readonly Redis[];
    keys: BufferKeys;
    registry: EntityRegistry;
    codec: DocumentCodec;
    /** TTL of warm copies, unless an entity says otherwise. */
    warmSeconds: number;
    /** Asked when writes have been stored: warm copies are kept only while there is room for them. */
    mayKeep?: () => boolean;
  }) {
    this.#redis = deps.redis;
    this.keys = deps.keys;
    this.#registry = deps.registry;
    this.#codec = deps.codec;
    this.#warmSeconds = deps.warmSeconds;
    this.#mayKeep = deps.mayKeep ?? (() => true);
    this.scripts = new BufferScripts(deps.redis);
    const pool = (deps.pool ?? [deps.redis]).map((redis) =>
      redis === deps.redis ? this.scripts : new BufferScripts(redis),
    );
    this.#bundler = new Bundler({
      codec: deps.codec,
      commit: (id, make) => this.#groups[this.keys.shardOf(id)]!.put(make),
      writeOf: (entity, key, encoded) => {
        const place = this.keys.place(entity, key);
        return this.#writeOf(entity, key, place, {}, [entryOf(place.field!, encoded, {})]);
      },
    });
    for (let shard = 0; shard < this.keys.shards; shard++) {
      const { keys } = this;
      const fixed = [keys.clock(shard), keys.counters(shard), keys.resolved(shard), keys.events(shard)];
      const announce = (writes: readonly BufferWrite[]) => this.#announce(writes, shard);
      this.#groups.push(new GroupCommit(pool[shard % pool.length]!, fixed, keys.channel('events'), announce));
    }
  }

  /** Called after each commit with its keys; the pointer queue listens. */
  onCommit(listener: CommitListener): void {
    this.#listener = listener;
  }

  /**
   * Stores a whole document.
   *
   * @throws StaleVersionError when `ifMatch` is not the current version
   * @throws PackError naming a column whose value has no place in the entity's format
   */
  async put(entityName: string, document: Document, options: PutOptions = {}): Promise<Receipt> {
    const entity = this.#registry.get(entityName);
    const needsOwnEntry = options.isAlone || options.isRepair || options.events?.length;
    if (entity.bundled && !needsOwnEntry) return this.#append(entity, document, options);
    const key = keyOf(entity, document);
    const encoded = this.#codec.encode(entity, 'document', document, options.isTombstone ?? false);
    const ready = encoded instanceof Promise ? await encoded : encoded;
    const field = this.keys.place(entity, key).field!;
    return this.#commit(entity, key, document, [entryOf(field, ready, options)], options);
  }

  /** Stores some fields of a sheet, and its head when given; each field keeps its own version. */
  async putSheet(
    entityName: string,
    key: string,
    head: Document | undefined,
    fields: readonly Document[],
    options: PutOptions = {},
  ): Promise<Receipt> {
    const entity = this.#registry.get(entityName);
    const member = entity.fields!;
    const isUuid = member.columns[member.key]?.type === 'uuid';
    const entries: EntryWrite[] = [];
    const add = async (field: Buffer, part: Part, document: Document) =>
      entries.push(entryOf(field, await this.#codec.encode(entity, part, document, false), options));
    if (head) await add(HEAD, 'document', head);
    for (const document of fields) await add(toField(String(document[member.key]), isUuid), 'field', document);
    return this.#commit(entity, key, head ?? {}, entries, options);
  }

  /** Adds a document to the bundle that the next commit takes. */
  async #append(entity: EntityDefinition, document: Document, options: PutOptions): Promise<Receipt> {
    if (options.isTombstone || options.base !== undefined || options.ifMatch !== undefined)
      throw new Error(`documents of ${entity.name} are appended and never changed`);
    const version = await this.#bundler.add(entity, document);
    return { entity: entity.name, key: keyOf(entity, document), version };
  }

  /**
   * The keys under which documents lie in the buffer: their own, or those of the bundles they are in. Looking through
   * bundles takes time; it is for repairs, barriers and questions about single documents.
   */
  async entryKeys(entityName: string, keys: readonly string[]): Promise<string[]> {
    const entity = this.#registry.get(entityName);
    if (!entity.bundled) return [...keys];
    const wanted = new Set(keys);
    const found = (await this.pendingAll(entityName)).filter(({ key }) => wanted.has(key));
    // A document that was written twice is in two entries; one that is in none, or is broken, keeps its own key.
    for (const { key } of found) wanted.delete(key);
    return [...new Set(found.map(({ entryKey }) => entryKey)), ...wanted];
  }

  /** The pending document of a key, whatever its state; a tombstone is found too. */
  async get(entityName: string, key: string): Promise<PendingEntry | undefined> {
    const entity = this.#registry.get(entityName);
    const { shard, entry } = await this.#entryAt(entity, key);
    if (entry) return this.#openEntry(entity, key, shard, entry);
    return entity.bundled ? (await this.pendingAll(entityName)).findLast((pending) => pending.key === key) : undefined;
  }

  /** The bytes of a pending document, when there is one. */
  async #entryAt(entity: EntityDefinition, key: string): Promise<{ shard: number; entry: Buffer | null }> {
    const { shard, bucket, field } = this.keys.place(entity, key);
    return { shard, entry: await this.#redis.hgetBuffer(this.keys.bucket(shard, entity.name, bucket), field!) };
  }

  /** The pending part of a sheet, or undefined when nothing of it is pending. */
  async getSheet(entityName: string, key: string): Promise<PendingSheet | undefined> {
    const entity = this.#registry.get(entityName);
    const [write] = await this.fetch(entity.name, [key]);
    if (!write) return undefined;
    if (write.broken) throw new Error(write.broken);
    return { ...(write.head ? { head: write.head } : {}), fields: write.fields, version: write.version };
  }

  /**
   * Pending documents whose relation column has one of these values. A document that has moved away since it was
   * indexed is found as well; the caller's filter decides.
   */
  async pendingOf(entityName: string, column: string, values: readonly string[]): Promise<PendingDocument[]> {
    const entity = this.#registry.get(entityName);
    if (entity.key.length > 1 && entity.key[0] === column && entity.kind === 'document') {
      const perBucket = await Promise.all(values.map((value) => this.#pendingInBucket(entity, value)));
      return perBucket.flat();
    }
    const isUuid = entity.columns[entity.key[0]!]?.type === 'uuid';
    const members = await this.#relationMembers(entity, column, values);
    const keys = members.map((member) => fromField(member, isUuid));
    const entries = await Promise.all(
      keys.map(async (key) => {
        const { shard, entry } = await this.#entryAt(entity, key);
        return entry ? this.#readable(entity, key, shard, entry) : [];
      }),
    );
    return entries.flat();
  }

  /** Keys of pending sheets whose relation column has one of these values. */
  async pendingSheetKeys(entityName: string, column: string, values: readonly string[]): Promise<string[]> {
    const members = await this.#relationMembers(this.#registry.get(entityName), column, values);
    return members.map((member) => member.toString());
  }

  async #relationMembers({ name }: EntityDefinition, column: string, values: readonly string[]): Promise<Buffer[]> {
    const shards = Array.from({ length: this.keys.shards }, (_, shard) => shard);
    const members = await Promise.all(
      shards.flatMap((shard) =>
        values.map((value) => this.#redis.hkeysBuffer(`${this.keys.relationPrefix(shard, name)}${column}:${value}`)),
      ),
    );
    return members.flat();
  }

  /** Every pending document of an entity; for small entities and repairs, not for lists of a large one. */
  async pendingAll(entityName: string): Promise<PendingDocument[]> {
    const entity = this.#registry.get(entityName);
    const perShard = await Promise.all(
      Array.from({ length: this.keys.shards }, async (_, shard) => {
        const buckets = await this.#redis.zrange(this.keys.dirty(shard, entity.name), '0', '-1');
        return Promise.all(buckets.map((bucket) => this.#pendingInBucket(entity, bucket, shard)));
      }),
    );
    return perShard.flat(2);
  }

  /** Dirty keys of one entity and shard, some buckets at a time, oldest first. */
  async *dirtyKeys(entityName: string, shard: number): AsyncGenerator<string[]> {
    const entity = this.#registry.get(entityName);
    const buckets = await this.#redis.zrange(this.keys.dirty(shard, entity.name), '0', '-1');
    for (let start = 0; start < buckets.length; start += COLLECT_BUCKETS) {
      const slice = buckets.slice(start, start + COLLECT_BUCKETS);
      const found = await this.scripts.collect([
        this.keys.failed(shard, entity.name),
        ...slice.map((bucket) => this.keys.bucket(shard, entity.name, bucket)),
      ]);
      yield found.flatMap((fields, index) => {
        const bucket = slice[index]!;
        if (entity.kind === 'sheet') return fields.length > 0 ? [bucket] : [];
        return fields.map((field) => this.keys.keyAt(entity, bucket, field));
      });
    }
  }

  /** Snapshots of these keys for a batch; keys that are no longer pending are left out. */
  async fetch(entityName: string, keys: readonly string[]): Promise<PendingWrite[]> {
    const entity = this.#registry.get(entityName);
    const places = keys.map((key) => ({ key, place: this.keys.place(entity, key) }));
    // Keys of a batch come bucket by bucket: one read a bucket.
    const groups = Map.groupBy(places, ({ place }) => this.keys.bucket(place.shard, entity.name, place.bucket));
    const read = async ([bucketKey, group]: [string, typeof places]): Promise<(PendingWrite | undefined)[]> => {
      const { shard } = group[0]!.place;
      if (entity.kind === 'sheet') {
        const found = await this.#entriesIn(bucketKey);
        await this.#loadFormats(
          shard,
          found.map(({ entry }) => entry),
        );
        return [this.#snapshot(entity, group[0]!.key, group[0]!.place, found)];
      }
      const entries = await this.#redis.hmgetBuffer(bucketKey, ...group.map(({ place }) => place.field!));
      await this.#loadFormats(
        shard,
        entries.filter((entry) => entry !== null),
      );
      return group.map(({ key, place }, index) => {
        const entry = entries[index];
        return entry ? this.#snapshot(entity, key, place, [{ field: place.field!, entry }]) : undefined;
      });
    };
    const writes = (await Promise.all([...groups].map(read))).flat();
    return writes.filter((write) => write !== undefined);
  }

  /**
   * Clears what a database has now. Entries written meanwhile stay dirty.
   *
   * @param resolution what a failure record of a cleared key says: `stored`, `discarded`, `withdrawn`
   * @returns entries cleared, and whether children wait for some parent in these shards
   */
  async acknowledge(
    entityName: string,
    writes: readonly PendingWrite[],
    resolution = 'stored',
  ): Promise<{ cleared: number; hasWaiting: boolean }> {
    const entity = this.#registry.get(entityName);
    const byShard = Map.groupBy(writes, (write) => write.shard);
    let cleared = 0;
    let hasWaiting = false;
    for (const [shard, group] of byShard) {
      const [count, waiting] = await this.#acknowledgeShard(entity, shard, group, resolution);
      cleared += count;
      hasWaiting ||= waiting > 0;
    }
    return { cleared, hasWaiting };
  }

  async #acknowledgeShard(entity: EntityDefinition, shard: number, writes: PendingWrite[], resolution: string) {
    const list = new KeyList([
      this.keys.counters(shard),
      this.keys.dirty(shard, entity.name),
      this.keys.failed(shard, entity.name),
      this.keys.resolved(shard),
    ]);
    const out = new ByteWriter();
    for (const [bucket, group] of Map.groupBy(writes, (write) => write.bucket)) {
      out.u16(list.position(this.keys.bucket(shard, entity.name, bucket)));
      out.text(bucket);
      out.u16(group.reduce((sum, write) => sum + write.entries.length, 0));
      for (const write of group) {
        const relations = relationsOfEntry(entity, write.head);
        for (const { field, version, writes: count } of write.entries) {
          out.field(field);
          out.double(version);
          out.u16(count);
          out.text(write.key);
          out.u8(relations.length);
          for (const name of relations) out.text(name);
        }
      }
    }
    const warmSeconds =
      resolution === 'stored' && this.#mayKeep() ? jitter(entity.warmSeconds ?? this.#warmSeconds) : 0;
    const isSheet = entity.kind === 'sheet' ? 1 : 0;
    const prefixes = [this.keys.warmPrefix(shard, entity.name), this.keys.relationPrefix(shard, entity.name)];
    return this.scripts.acknowledge(list.keys, [
      entity.name,
      resolution,
      ...prefixes,
      warmSeconds,
      isSheet,
      out.take(),
    ]);
  }

  /**
   * Sets a snapshot aside as failed or waiting with its record, or (state dirty) makes it part of the runs again.
   *
   * @returns false when a newer write has taken its place meanwhile: then there is nothing to set aside
   */
  async park(
    entityName: string,
    write: PendingWrite,
    state: Header['state'],
    record?: object,
    parent?: { entity: string; key: string },
  ): Promise<boolean> {
    const entity = this.#registry.get(entityName);
    const { shard, bucket } = write;
    const bucketKey = this.keys.bucket(shard, entity.name, bucket);
    const changed = await this.scripts.park(
      [
        bucketKey,
        this.keys.dirty(shard, entity.name),
        this.keys.failed(shard, entity.name),
        this.keys.counters(shard),
        parent ? this.keys.waiters(shard, parent.entity, parent.key) : bucketKey,
      ],
      [
        bucket,
        write.key,
        STATES.indexOf(state),
        record ? JSON.stringify(record) : '',
        parent ? `${entity.name} ${write.key}` : '',
        ...write.entries.flatMap((entry) => [entry.field, entry.version]),
      ],
    );
    return changed > 0;
  }

  /** Children of one entity that wait for this parent. They share its shard, since they share its key's first part. */
  async waitersOf(parentEntity: string, parentKey: string): Promise<{ entity: string; key: string }[]> {
    const { shard } = this.keys.place(this.#registry.get(parentEntity), parentKey);
    const members = await this.#redis.smembers(this.keys.waiters(shard, parentEntity, parentKey));
    return members.map((member) => {
      const split = member.indexOf(' ');
      return { entity: member.slice(0, split), key: member.slice(split + 1) };
    });
  }

  /** A child that no longer waits: written anew, stored or discarded meanwhile. */
  async forgetWaiter(parent: { entity: string; key: string }, child: { entity: string; key: string }): Promise<void> {
    const { shard } = this.keys.place(this.#registry.get(parent.entity), parent.key);
    await this.#redis.srem(this.keys.waiters(shard, parent.entity, parent.key), `${child.entity} ${child.key}`);
  }

  /** Redis' time, ms. Ages of writes are told by it, since they were written at it; processes' clocks may be hours apart. */
  async nowMs(): Promise<number> {
    const [seconds, microseconds] = await this.#redis.time();
    return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
  }

  async stats(): Promise<EntityStats[]> {
    const totals = new Map<string, EntityStats>();
    for (let shard = 0; shard < this.keys.shards; shard++) {
      const counters = await this.#redis.hgetall(this.keys.counters(shard));
      for (const { name } of this.#registry.all()) {
        const total = totals.get(name) ?? { entity: name, entries: 0, rawBytes: 0, storedBytes: 0, failed: 0 };
        total.entries += Number(counters[`${name}:entries`] ?? 0);
        total.rawBytes += Number(counters[`${name}:raw`] ?? 0);
        total.storedBytes += Number(counters[`${name}:stored`] ?? 0);
        const [failed, oldest] = await Promise.all([
          this.#redis.hlen(this.keys.failed(shard, name)),
          this.#redis.zrange(this.keys.dirty(shard, name), '0', '0', 'WITHSCORES'),
        ]);
        total.failed += failed;
        const oldestMs = oldest[1] === undefined ? undefined : Number(oldest[1]);
        if (oldestMs !== undefined && (total.oldestMs === undefined || oldestMs < total.oldestMs))
          total.oldestMs = oldestMs;
        totals.set(name, total);
      }
    }
    return [...totals.values()];
  }

  /** The epoch, and whether anything of the entity is pending, both of one moment: what is not needs no overlay. */
  async state(entityName: string): Promise<{ epoch: number; hasPending: boolean }> {
    const counters = await Promise.all(
      Array.from({ length: this.keys.shards }, (_, shard) =>
        this.#redis.hmget(this.keys.counters(shard), `${entityName}:epoch`, `${entityName}:entries`),
      ),
    );
    return {
      epoch: counters.reduce((sum, [epoch]) => sum + Number(epoch ?? 0), 0),
      hasPending: counters.some(([, entries]) => Number(entries ?? 0) > 0),
    };
  }

  /** Rises with every sync of the entity: answers cached under an older epoch are no longer used. */
  async epoch(entityName: string): Promise<number> {
    const epochs = await Promise.all(
      Array.from({ length: this.keys.shards }, (_, shard) =>
        this.#redis.hget(this.keys.counters(shard), `${entityName}:epoch`),
      ),
    );
    return epochs.reduce((sum, epoch) => sum + Number(epoch ?? 0), 0);
  }

  /** The stored copy that a sync or a read left in Redis. */
  async warm(entityName: string, key: string): Promise<BufferEntry | undefined> {
    const entity = this.#registry.get(entityName);
    const { shard } = this.keys.place(entity, key);
    const entry = await this.#redis.getBuffer(this.keys.warm(entity, key));
    return entry ? this.#openEntry(entity, key, shard, entry) : undefined;
  }

  /** Forgets warm copies after a write-through change of their rows. */
  async dropWarm(entityName: string, keys: readonly string[]): Promise<void> {
    const entity = this.#registry.get(entityName);
    await Promise.all(
      keys.map((key) => {
        const { shard } = this.keys.place(entity, key);
        return this.#redis
          .multi()
          .del(this.keys.warm(entity, key))
          .hincrby(this.keys.counters(shard), `${entityName}:epoch`, 1)
          .exec();
      }),
    );
  }

  /** Resolves when no commit waits or is in flight; for an orderly stop. */
  async drain(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.drain()));
  }

  async #commit(
    entity: EntityDefinition,
    key: string,
    document: Document,
    entries: EntryWrite[],
    options: PutOptions,
  ): Promise<Receipt> {
    const place = this.keys.place(entity, key);
    const write = this.#writeOf(entity, key, place, document, entries, options);
    const result = await this.#groups[place.shard]!.put(write);
    if (result <= 0) throw new StaleVersionError(-result);
    return { entity: entity.name, key, version: result };
  }

  #writeOf(
    entity: EntityDefinition,
    key: string,
    { shard, bucket, field }: Place,
    document: Document,
    entries: EntryWrite[],
    options: PutOptions = {},
  ): BufferWrite {
    return {
      entity: entity.name,
      key,
      bucketKey: this.keys.bucket(shard, entity.name, bucket),
      dirtyKey: this.keys.dirty(shard, entity.name),
      failedKey: this.keys.failed(shard, entity.name),
      bucket,
      base: options.base ?? 0,
      ...(options.ifMatch === undefined ? {} : { ifMatch: options.ifMatch }),
      relationKeys: relationsOf(entity, (column) => document[column]).map(
        (name) => this.keys.relationPrefix(shard, entity.name) + name,
      ),
      relationMember: field ?? EMPTY,
      entries,
      ...(options.events?.length ? { events: options.events.map((event) => this.#eventOf(event, shard)) } : {}),
    };
  }

  /** Events of one aggregate lie in one shard, whoever makes them; otherwise they would have no order. */
  #eventOf(event: DomainEvent, shard: number): Buffer {
    if (this.keys.shardOf(firstPartOf(event.aggregateId)) !== shard)
      throw new Error(`${event.name}: its aggregate must begin with the first part of the key that is written`);
    return Buffer.from(JSON.stringify(event));
  }

  async #pendingInBucket(entity: EntityDefinition, bucket: string, shard?: number): Promise<PendingDocument[]> {
    const at = shard ?? this.keys.shardOf(bucket);
    const found = await this.#entriesIn(this.keys.bucket(at, entity.name, bucket));
    const entries = await Promise.all(
      found.map(({ field, entry }) => this.#readable(entity, this.keys.keyAt(entity, bucket, field), at, entry)),
    );
    return entries.flat();
  }

  /** The pending documents of an entry for a list; none when its bytes are broken, which must not take its neighbours away. */
  async #readable(entity: EntityDefinition, key: string, shard: number, bytes: Buffer): Promise<PendingDocument[]> {
    try {
      if (isBundleKey(entity, key)) {
        await this.#codec.load(shard, [bytes]);
        const { header, documents } = this.#codec.openBundle(bytes);
        return documents.map((document) => ({ key: keyOf(entity, document), entryKey: key, header, document }));
      }
      const entry = await this.#openEntry(entity, key, shard, bytes);
      return [{ key, entryKey: key, header: entry.header, document: entry.document }];
    } catch (error) {
      if (this.#redis.status !== 'ready') throw error;
      return []; // its batch sets it aside with the reason
    }
  }

  async #openEntry(entity: EntityDefinition, key: string, shard: number, entry: Buffer): Promise<BufferEntry> {
    await this.#codec.load(shard, [entry]);
    return this.#codec.open(entry, keyParts(entity, key));
  }

  async #entriesIn(bucketKey: string): Promise<{ field: Buffer; entry: Buffer }[]> {
    const flat = await this.scripts.entries(bucketKey);
    return Array.from({ length: flat.length / 2 }, (_, index) => ({
      field: flat[index * 2]!,
      entry: flat[index * 2 + 1]!,
    }));
  }

  /** An unknown format is that entry's own trouble: its snapshot says so. */
  async #loadFormats(shard: number, entries: readonly Buffer[]): Promise<void> {
    await this.#codec.load(shard, entries).catch(() => {});
  }

  /** One key's entries as a batch takes them; their formats are loaded. */
  #snapshot(
    entity: EntityDefinition,
    key: string,
    { shard, bucket }: Place,
    found: { field: Buffer; entry: Buffer }[],
  ): PendingWrite | undefined {
    if (found.length === 0) return undefined;
    const member = entity.fields;
    const write: PendingWrite = {
      key,
      shard,
      bucket,
      fields: member ? new Map() : NO_FIELDS,
      version: 0,
      writes: 0,
      state: 'failed',
      entries: [],
    };
    for (const { field, entry } of found) {
      let header: Header | undefined;
      try {
        header = readHeader(entry);
        if (isBundleKey(entity, key)) write.bundle = this.#codec.openBundle(entry);
        else if (!member || field.equals(HEAD)) write.head = this.#codec.open(entry, keyParts(entity, key));
        else {
          const name = fromField(field, member.columns[member.key]!.type === 'uuid');
          write.fields.set(name, this.#codec.open(entry, { [member.key]: name }));
        }
      } catch (error) {
        write.broken = (error as Error).message;
      }
      const { version, writes, state } = header ?? { version: 0, writes: 1, state: 'dirty' as const };
      write.entries.push({ field, version, writes });
      write.version = Math.max(write.version, version);
      write.writes = Math.max(write.writes, writes);
      if (state !== 'failed') write.state = state;
    }
    return write;
  }

  #announce(writes: readonly BufferWrite[], shard: number): void {
    for (const [entity, group] of Map.groupBy(writes, (write) => write.entity)) {
      this.#listener(
        entity,
        group.map((write) => write.key),
        shard,
        group.reduce((sum, write) => sum + writeBytes(write), 0),
      );
    }
  }
}

/** `column:value` of each relation; one that is the bucket itself needs no index of its own. */
function relationsOf(entity: EntityDefinition, read: (column: string) => unknown): string[] {
  const names: string[] = [];
  for (const column of entity.relations ?? []) {
    const isBucket = entity.kind === 'document' && entity.key.length > 1 && entity.key[0] === column;
    const value = isBucket ? null : read(column);
    if (value !== undefined && value !== null) names.push(`${column}:${value}`);
  }
  return names;
}

/** None for broken bytes: their entry can still be discarded, and an index entry that leads nowhere is skipped. */
function relationsOfEntry(entity: EntityDefinition, entry: BufferEntry | undefined): string[] {
  try {
    return relationsOf(entity, (column) => entry?.value(column));
  } catch {
    return [];
  }
}

const EMPTY = Buffer.alloc(0);
const NO_FIELDS: Map<string, BufferEntry> = new Map();
/** Buckets of one collect call: about 500 entries at a hundred a bucket. */
const COLLECT_BUCKETS = 16;
const REPAIR_FLAG = 1 << 1;

function entryOf(field: Buffer, { prefix, payload, rawBytes }: EncodedEntry, options: PutOptions): EntryWrite {
  if (options.isRepair) prefix[0] = prefix[0]! | REPAIR_FLAG;
  return { field, prefix, payload, rawBytes };
}

/** Spreads expiry by ten percent, so that what was stored together does not expire together. */
const jitter = (seconds: number): number => (seconds === 0 ? 0 : Math.round(seconds * (0.9 + Math.random() * 0.2)));
