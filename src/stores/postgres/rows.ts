import type { Knex } from 'knex';
import { type Document, type EntityDefinition, keyParts, type PostgresSink } from '../../lib/entity.ts';
import {
  afterSql,
  type Condition,
  conditionSql,
  orderSql,
  type Position,
  type Sort,
  type SqlPart,
} from './conditions.ts';

/** A stored row as a document. */
export interface Row {
  document: Document;
  version: number;
}

export interface PageQuery {
  where: readonly Condition[];
  sort: Sort;
  after?: Position;
  /** Rows wanted at most. */
  limit: number;
}

const target = (entity: EntityDefinition): PostgresSink => {
  if (entity.sink.kind !== 'postgres') throw new Error(`${entity.name} is not stored in PostgreSQL`);
  return entity.sink;
};

const names = (columns: readonly string[]): string => columns.map((name) => `"${name}"`).join(', ');

/** As documents have a wall clock's minute. */
const WALL_MINUTE = 'YYYYMMDD"T"HH24MI';

/** Below the time after which clients and load balancers give up. */
const TIMEOUT_MS = 20_000;

/** Reads an entity's rows in the shape of its documents; deleted rows are not there. */
export class Rows {
  readonly #knex: Knex;
  readonly #timeoutMs: number;

  /** @param timeoutMs after this long without an answer the connection counts as dead and is given up */
  constructor(knex: Knex, { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {}) {
    this.#knex = knex;
    this.#timeoutMs = timeoutMs;
  }

  async get(entity: EntityDefinition, key: string): Promise<Row | undefined> {
    const sink = target(entity);
    const parts = keyParts(entity, key);
    const rows = await this.#select(entity, {
      sql: `${Object.keys(parts)
        .map((name) => `"${name}" = ?`)
        .join(' AND ')}${sink.softDelete ? ` AND "${sink.softDelete}" IS NULL` : ''}`,
      bindings: Object.values(parts),
    });
    return rows[0];
  }

  /** Fields of a sheet by its head's id. */
  async fields(entity: EntityDefinition, headId: string): Promise<Row[]> {
    const { fields } = target(entity);
    const columns = Object.keys(entity.fields!.columns);
    const result = await this.#knex
      .raw(
        `SELECT ${names([...columns, fields!.version])} FROM "${fields!.table}" WHERE "${fields!.headId}" = ? ORDER BY "${entity.fields!.key}"`,
        [headId],
      )
      .timeout(this.#timeoutMs);
    return (result.rows as Document[]).map((row) => split(row, columns, fields!.version));
  }

  async page(entity: EntityDefinition, { where, sort, after, limit }: PageQuery): Promise<Row[]> {
    const parts = this.#parts(entity, where);
    if (after) parts.push(afterSql(entity, sort, after));
    return this.#select(entity, join(parts), `ORDER BY ${orderSql(entity, sort)} LIMIT ${limit}`);
  }

  /** @param except ids that are not counted */
  async count(entity: EntityDefinition, where: readonly Condition[], except: readonly string[]): Promise<number> {
    const parts = this.#parts(entity, where);
    if (except.length > 0) parts.push({ sql: '"id" <> ALL(?::uuid[])', bindings: [except] });
    const { sql, bindings } = join(parts);
    const result = await this.#knex
      .raw(`SELECT count(*)::int AS count FROM "${target(entity).table}" WHERE ${sql}`, bindings as Knex.Value[])
      .timeout(this.#timeoutMs);
    return result.rows[0].count;
  }

  #parts(entity: EntityDefinition, where: readonly Condition[]): SqlPart[] {
    const { softDelete } = target(entity);
    const parts = where.map((condition) => conditionSql(entity, condition));
    if (softDelete) parts.push({ sql: `"${softDelete}" IS NULL`, bindings: [] });
    return parts;
  }

  async #select(entity: EntityDefinition, { sql, bindings }: SqlPart, tail = ''): Promise<Row[]> {
    const { table, version, links } = target(entity);
    const columns = Object.keys(entity.columns);
    const selected = columns.map((name) => {
      if (name === links?.column) return linksSql(table, links);
      return entity.columns[name]!.type === 'timestamp'
        ? `to_char("${name}", '${WALL_MINUTE}') AS "${name}"`
        : `"${name}"`;
    });
    const result = await this.#knex
      .raw(`SELECT ${selected.join(', ')}, "${version}" FROM "${table}" WHERE ${sql} ${tail}`, bindings as Knex.Value[])
      .timeout(this.#timeoutMs);
    return (result.rows as Document[]).map((row) => split(row, columns, version));
  }
}

/** The ids of a row's links as one value; null when it has none. */
function linksSql(
  table: string,
  { column, table: linkTable, ownerId, memberId, position, since }: NonNullable<PostgresSink['links']>,
): string {
  const isCurrent = since ? ` AND link."${since}" = "${table}"."${since}"` : '';
  return `(SELECT jsonb_agg(link."${memberId}" ORDER BY link."${position ?? memberId}") FROM "${linkTable}" link
    WHERE link."${ownerId}" = "${table}"."id"${isCurrent}) AS "${column}"`;
}

const join = (parts: readonly SqlPart[]): SqlPart => ({
  sql: parts.length > 0 ? parts.map(({ sql }) => sql).join(' AND ') : 'true',
  bindings: parts.flatMap(({ bindings }) => bindings),
});

const split = (row: Document, columns: readonly string[], version: string): Row => ({
  document: Object.fromEntries(columns.map((name) => [name, row[name] ?? null])),
  version: Number(row[version]),
});
