import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Columns, Document, EntityDefinition } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import type { BufferKeys } from './keys.ts';
import { Packer } from './packer.ts';

/** `document` is a whole document or a sheet's head, `field` one field of a sheet, `bundle` a document among others in one payload. */
export type Part = 'document' | 'field' | 'bundle';

/** Everything that is needed to read a payload again: its columns, shape and dictionary. */
export interface Format {
  /** First 3 bytes of the content hash. */
  id: number;
  entity: string;
  part: Part;
  shape: number;
  packer: Packer;
  dictionary: Buffer;
  /** The record as it is kept in Redis. */
  content: string;
}

/** A format that this process writes with. */
export interface OwnFormat extends Format {
  /** Fields of the document that its payload leaves out. */
  leftOut: readonly string[];
}

/** Deflate looks back 32 KiB at most, and every payload pays for loading the dictionary: 4 KiB pays best. */
const DICTIONARY_BYTES = 4096;

export class MissingFormatError extends Error {
  override name = 'MissingFormatError';
}

/** What a payload leaves out: keys that stand in Redis' own names and fields already, and derived columns. */
function leftOut(entity: EntityDefinition, part: Part): string[] {
  if (part === 'field') return [entity.fields!.key];
  const derived = Object.keys(entity.derived ?? {});
  return part === 'bundle' ? derived : [...entity.key, ...derived];
}

function columnsOf(entity: EntityDefinition, part: Part): Columns {
  const columns = part === 'field' ? entity.fields!.columns : entity.columns;
  const known = leftOut(entity, part);
  return Object.fromEntries(Object.entries(columns).filter(([name]) => !known.includes(name)));
}

/** The texts of the examples, once each; zlib finds the end of a dictionary cheapest, so the newest come last. */
function buildDictionary(entity: EntityDefinition, part: Part): Buffer {
  const columns = columnsOf(entity, part);
  const texts = new Set<string>();
  for (const example of entity.examples) {
    const documents = part === 'field' ? ((example.fields as Document[] | undefined) ?? []) : [example];
    for (const document of documents) {
      for (const [name, column] of Object.entries(columns)) {
        const value = document[name];
        if (column.type === 'text' && typeof value === 'string') texts.add(value);
        if (column.type === 'jsonb' && value != null) texts.add(JSON.stringify(value));
      }
    }
  }
  return Buffer.from([...texts].join(' ')).subarray(-DICTIONARY_BYTES);
}

function parseFormat(content: string): Format {
  const { entity, part, shape, columns, dictionary } = JSON.parse(content);
  return {
    id: createHash('sha256').update(content).digest().readUIntBE(0, 3),
    entity,
    part,
    shape,
    packer: new Packer(columns),
    dictionary: Buffer.from(dictionary, 'base64'),
    content,
  };
}

export function buildFormat(entity: EntityDefinition, part: Part): OwnFormat {
  const content = JSON.stringify({
    entity: entity.name,
    part,
    shape: entity.shape,
    columns: columnsOf(entity, part),
    dictionary: buildDictionary(entity, part).toString('base64'),
  });
  return { ...parseFormat(content), leftOut: leftOut(entity, part) };
}

/**
 * The formats that payloads name. This process writes with its own; they are stored in every shard before first use
 * and never deleted, so that any process, today's or next year's, can read what it finds.
 */
export class Formats {
  readonly #redis: Redis;
  readonly #keys: BufferKeys;
  readonly #known = new Map<number, Format>();
  readonly #writing = new Map<string, Partial<Record<Part, OwnFormat>>>();

  constructor(redis: Redis, keys: BufferKeys, registry: EntityRegistry) {
    this.#redis = redis;
    this.#keys = keys;
    for (const entity of registry.all()) {
      const document = buildFormat(entity, 'document');
      const field = entity.fields && buildFormat(entity, 'field');
      const bundle = entity.bundled && buildFormat(entity, 'bundle');
      this.#writing.set(entity.name, { document, ...(field ? { field } : {}), ...(bundle ? { bundle } : {}) });
      for (const format of [document, field, bundle]) if (format) this.#known.set(format.id, format);
    }
  }

  /** Stores this process's formats; called once, before the first write. */
  async publish(): Promise<void> {
    for (let shard = 0; shard < this.#keys.shards; shard++) {
      const key = this.#keys.formats(shard);
      for (const format of [...this.#writing.values()].flatMap((parts) => Object.values(parts))) {
        await this.#redis.hsetnx(key, String(format.id), format.content);
        const stored = await this.#redis.hget(key, String(format.id));
        if (stored !== format.content) {
          throw new Error(`format ${format.id} of ${format.entity} meets another one; change an example of the entity`);
        }
      }
    }
  }

  /** All formats ever used on this Redis, to check at start that every old shape can be lifted. */
  async stored(): Promise<Format[]> {
    const contents = new Set<string>();
    for (let shard = 0; shard < this.#keys.shards; shard++) {
      for (const content of await this.#redis.hvals(this.#keys.formats(shard))) contents.add(content);
    }
    return [...contents].map(parseFormat);
  }

  for(entity: string, part: Part): OwnFormat {
    return this.#writing.get(entity)![part]!;
  }

  get(id: number): Format | undefined {
    return this.#known.get(id);
  }

  /** Makes `get` answer for these ids. @throws MissingFormatError when a shard lost its formats */
  async load(shard: number, ids: Iterable<number>): Promise<void> {
    for (const id of new Set(ids)) {
      if (this.#known.has(id)) continue;
      const content = await this.#redis.hget(this.#keys.formats(shard), String(id));
      if (!content) throw new MissingFormatError(`format ${id} is not in Redis; its payloads cannot be read`);
      this.#known.set(id, parseFormat(content));
    }
  }
}
