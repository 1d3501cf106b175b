import type { RefusalReason } from '../../errors/driver-errors.ts';
import type { Columns, Document, PostgresSink } from '../../lib/entity.ts';
import { arrayType, BinaryColumn } from './binary-column.ts';
import { unreadable } from './sink.ts';

/** A statement for knex.raw; its result row is `{ written, refused }`. */
export interface BatchStatement {
  sql: string;
  bindings: Buffer[];
  /** Writes whose payload cannot be read; when there are any, the statement has to be made anew without them. */
  unreadable: { key: string; reason: RefusalReason }[];
}

/** A statement's rows by column: parallel arrays, one parameter each. */
export class Rows {
  readonly columns: Columns;
  readonly writers: ReadonlyMap<string, BinaryColumn>;
  readonly unreadable: BatchStatement['unreadable'] = [];

  constructor(columns: Columns, rows: number) {
    this.columns = columns;
    this.writers = new Map(Object.entries(columns).map(([name, column]) => [name, new BinaryColumn(column, rows)]));
  }

  /** Adds a row. Of one whose payload turns out broken some columns have a value: the statement is then not to be sent. */
  try(key: string, add: () => void): void {
    try {
      add();
    } catch (error) {
      this.unreadable.push({ key, reason: unreadable(error) });
    }
  }

  set(name: string, value: unknown): void {
    this.writers.get(name)!.value(value);
  }

  add(row: Document): void {
    for (const [name, writer] of this.writers) writer.value(row[name]);
  }

  get bindings(): Buffer[] {
    return [...this.writers.values()].map((writer) => writer.take());
  }

  /** `unnest(…) AS alias(columns)` */
  from(alias: string): string {
    const casts = Object.values(this.columns).map((column) => `?::${arrayType(column)}`);
    return `unnest(${casts.join(', ')}) AS ${alias}(${list(Object.keys(this.columns))})`;
  }
}

export const quoteName = (name: string): string => `"${name}"`;
export const list = (names: readonly string[], prefix = ''): string =>
  names.map((name) => prefix + quoteName(name)).join(', ');

/** Condition that two tables of a statement are at the same row. */
export const sameKey = (conflict: readonly string[], left: string, right: string): string =>
  conflict.map((name) => `${left}.${quoteName(name)} = ${right}.${quoteName(name)}`).join(' AND ');

/** A table with what decides whether a row is replaced. */
export type Target = Pick<PostgresSink, 'table' | 'conflict' | 'version'>;

/**
 * The row of a table at the key of `other`, as `stored`, to be joined ON true. The limit keeps it a look by the key for each row:
 * joined as a table, all of it may be read to find the rows of a batch.
 */
export const rowAt = ({ table, conflict }: Pick<Target, 'table' | 'conflict'>, other: string): string =>
  `LATERAL (SELECT stored.* FROM ${quoteName(table)} stored WHERE ${sameKey(conflict, 'stored', other)} LIMIT 1) stored`;

/** The guarded upsert of rows that stand in `source`. */
export function upsert(target: Target, columns: readonly string[], source: string): string {
  const changes = columns.filter((name) => !target.conflict.includes(name) && name !== 'id' && name !== 'created_at');
  return `INSERT INTO ${quoteName(target.table)} AS stored (${list(columns)}) ${source}
    ON CONFLICT (${list(target.conflict)}) DO UPDATE SET ${changes.map((name) => `${quoteName(name)} = excluded.${quoteName(name)}`).join(', ')}
    WHERE stored.${quoteName(target.version)} < excluded.${quoteName(target.version)}`;
}
