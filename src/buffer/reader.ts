import { createHash } from 'node:crypto';
import type { Cache } from '../cache/cache.ts';
import { NotFoundError } from '../errors/catalogue.ts';
import type { ScopeRule } from '../lib/condition.ts';
import { type Document, type EntityDefinition, keyOf } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import type { Reach } from '../lib/reach.ts';
import {
  type Condition,
  compareDocuments,
  isAfter,
  matches,
  type Position,
  type Sort,
} from '../stores/postgres/conditions.ts';
import { reachCondition, relationInReach } from '../stores/postgres/reach-condition.ts';
import type { Row, Rows } from '../stores/postgres/rows.ts';
import type { PendingDocument, WriteBuffer } from './write-buffer.ts';

export type ReadSource = 'buffer' | 'cache' | 'db';

/** A document as every acknowledged write left it. */
export interface Found {
  document: Document;
  version: number;
  source: ReadSource;
  /** Not in its database yet. */
  isPending: boolean;
}

export interface FoundSheet {
  head: Document;
  /** By member key. */
  fields: Map<string, Document>;
  version: number;
  source: ReadSource;
  isPending: boolean;
}

export interface ListQuery {
  entity: string;
  /** Of whom the list is for: the rest is not in it. */
  reach: Reach;
  /** The list's relation; only its values' pending writes are looked at. */
  relation: { column: string; values: readonly string[] };
  /** Further conditions; all must hold. */
  where?: readonly Condition[];
  sort: Sort;
  after?: Position;
  limit: number;
}

export interface ListPage {
  items: Found[];
  /** Where the next page starts, when there is one. */
  next?: Position;
  /** Stores that could not be asked; a cached page stood in. */
  degraded: string[];
}

/** Rows beyond the page that a list reads in any case. */
const MIN_SPARE_ROWS = 16;
/** An answer may stand in this long while its database is down: three hourly runs and some. */
const STALE_SECONDS = 14_400;

/**
 * Reads as if every acknowledged write were in the database already (I4), and nothing that lies outside the reader's reach: that is
 * said with every call, and EVERYTHING is said where the system itself reads.
 *
 * Order makes a list race-free: pending writes first, then the entity's epoch, then the page of that epoch. A row that
 * is flushed in between is among the pending ones read first, or raised the epoch and is in the page.
 */
export class Reader {
  readonly #buffer: WriteBuffer;
  readonly #rows: Rows;
  readonly #cache: Cache;
  readonly #registry: EntityRegistry;

  constructor(deps: { buffer: WriteBuffer; rows: Rows; cache: Cache; registry: EntityRegistry }) {
    this.#buffer = deps.buffer;
    this.#rows = deps.rows;
    this.#cache = deps.cache;
    this.#registry = deps.registry;
  }

  /** @throws NotFoundError for a document outside the reach */
  async get(entityName: string, key: string, reach: Reach): Promise<Found | undefined> {
    const entity = this.#registry.get(entityName);
    const found = await this.#find(entity, key);
    if (found) requireDocument(entity, found.document, reach);
    return found;
  }

  async #find(entity: EntityDefinition, key: string): Promise<Found | undefined> {
    const { name: entityName } = entity;
    const pending = await this.#buffer.get(entityName, key);
    if (pending) {
      if (pending.header.isTombstone) return undefined;
      return { document: pending.document, version: pending.header.version, source: 'buffer', isPending: true };
    }
    const warm = await this.#buffer.warm(entityName, key);
    if (warm) return { document: warm.document, version: warm.header.version, source: 'cache', isPending: false };
    const epoch = await this.#buffer.epoch(entityName);
    const { value, source } = await this.#cache.get({
      name: `row:${entityName}:${key}`,
      stamp: epoch,
      staleSeconds: STALE_SECONDS,
      load: async () => (await this.#rows.get(entity, key)) ?? null,
    });
    return value ? { ...value, source: source === 'cache' ? 'cache' : 'db', isPending: false } : undefined;
  }

  /**
   * A sheet with its stored and pending fields merged; undefined when neither exists.
   *
   * @throws NotFoundError for a sheet whose head is outside the reach
   */
  async getSheet(entityName: string, key: string, reach: Reach): Promise<FoundSheet | undefined> {
    const entity = this.#registry.get(entityName);
    const pending = await this.#buffer.getSheet(entityName, key);
    const epoch = await this.#buffer.epoch(entityName);
    const { value: stored, source } = await this.#cache.get({
      name: `sheet:${entityName}:${key}`,
      stamp: epoch,
      staleSeconds: STALE_SECONDS,
      load: async () => {
        const head = await this.#rows.get(entity, key);
        return head ? { head, fields: await this.#rows.fields(entity, String(head.document.id)) } : null;
      },
    });
    if (!pending && !stored) return undefined;
    const head = pending?.head?.document ?? stored!.head.document;
    requireDocument(entity, head, reach);
    const member = entity.fields!.key;
    const fields = new Map((stored?.fields ?? []).map(({ document }) => [String(document[member]), document]));
    for (const [name, { document }] of pending?.fields ?? []) fields.set(name, document);
    return {
      head,
      fields,
      version: Math.max(pending?.version ?? 0, stored?.head.version ?? 0),
      source: pending ? 'buffer' : source === 'cache' ? 'cache' : 'db',
      isPending: pending !== undefined,
    };
  }

  async list(query: ListQuery): Promise<ListPage> {
    const entity = this.#registry.get(query.entity);
    const relation = inRelation(entity, query);
    if (relation.values.length === 0) return { items: [], degraded: [] };
    const { where, pending } = await this.#overlay(entity, relation, query.where);
    const { sort, after, limit } = query;
    // Enough rows that the page is full even if each pending write replaces one of them; in steps, so that a page cached
    // before the database went down still serves when writes join it.
    const spare = 2 ** Math.ceil(Math.log2(Math.max(pending.length, MIN_SPARE_ROWS)));
    const pageQuery = { where, sort, ...(after ? { after } : {}), limit: limit + 1 + spare };
    const epoch = await this.#buffer.epoch(entity.name);
    const {
      value: rows,
      source,
      staleBecause,
    } = await this.#cache.get<Row[]>({
      name: `list:${entity.name}:${fingerprint(pageQuery)}`,
      stamp: epoch,
      staleSeconds: STALE_SECONDS,
      load: () => this.#rows.page(entity, pageQuery),
    });
    const replaced = new Set(pending.map(({ key }) => key));
    const stored = rows
      .filter(({ document }) => !replaced.has(keyOf(entity, document)))
      .map((row): Found => ({ ...row, source: source === 'cache' ? 'cache' : 'db', isPending: false }));
    const fresh = live(entity, pending, where)
      .filter(({ document }) => !after || isAfter(entity, sort, document, after))
      .map(({ document, header }): Found => ({ document, version: header.version, source: 'buffer', isPending: true }));
    const items = [...stored, ...fresh]
      .sort((a, b) => compareDocuments(entity, sort, a.document, b.document))
      .slice(0, limit + 1);
    const hasMore = items.length > limit;
    const page = items.slice(0, limit);
    const last = page.at(-1)?.document;
    return {
      items: page,
      ...(hasMore && last ? { next: { value: last[sort.column], id: String(last.id) } } : {}),
      degraded: staleBecause ? ['postgres'] : [],
    };
  }

  async count(query: Pick<ListQuery, 'entity' | 'reach' | 'relation' | 'where'>): Promise<number> {
    const entity = this.#registry.get(query.entity);
    const relation = inRelation(entity, query);
    if (relation.values.length === 0) return 0;
    const { where, pending } = await this.#overlay(entity, relation, query.where);
    const stored = await this.#rows.count(
      entity,
      where,
      pending.map(({ document }) => String(document.id)),
    );
    return stored + live(entity, pending, where).length;
  }

  async #overlay(
    entity: EntityDefinition,
    { column, values, condition }: ListQuery['relation'] & { condition?: Condition },
    further: readonly Condition[] = [],
  ) {
    const pending = await this.#buffer.pendingOf(entity.name, column, values);
    const own: Condition = { column, op: 'in', value: values };
    return { pending, where: [own, ...(condition ? [condition] : []), ...further] };
  }
}

function rulesOf({ name, scope }: EntityDefinition): readonly ScopeRule[] {
  if (!scope) throw new Error(`entity ${name} does not say who reaches it`);
  return scope;
}

/** What of a list's relation is in reach. */
function inRelation(entity: EntityDefinition, { relation, reach }: Pick<ListQuery, 'relation' | 'reach'>) {
  if (reach.all) return relation;
  return { column: relation.column, ...relationInReach(rulesOf(entity), relation, reach) };
}

function requireDocument(entity: EntityDefinition, document: Document, reach: Reach): void {
  if (reach.all) return;
  const condition = reachCondition(rulesOf(entity), reach);
  if (condition && !matches(entity, document, [condition])) throw new NotFoundError();
}

const live = (
  entity: EntityDefinition,
  pending: readonly PendingDocument[],
  where: readonly Condition[],
): PendingDocument[] =>
  pending.filter(({ document, header }) => !header.isTombstone && matches(entity, document, where));

const fingerprint = (query: object): string =>
  createHash('sha256').update(JSON.stringify(query)).digest('base64url').slice(0, 22);
