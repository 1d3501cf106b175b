import type { RefusalReason } from '../../errors/driver-errors.ts';
import type { Columns, Document } from '../../lib/entity.ts';
import { arrayType, BinaryColumn } from './binary-column.ts';
import { unreadable } from './sink.ts';

/** A statement's rows by column: parallel arrays, one parameter each. */
export class Rows {
  readonly columns: Columns;
  readonly writers: ReadonlyMap<string, BinaryColumn>;
  readonly unreadable: { key: string; reason: RefusalReason }[] = [];

  constructor(columns: Columns, rows: number) {
    this.columns = columns;
    this.writers = new Map(Object.entries(columns).map(([name, column]) => [name, new BinaryColumn(column, rows)]));
  }

  /** Adds a row, here and in the tables that go with it, or, when its payload turns out broken, nothing of it. */
  try(key: string, add: () => void, others: readonly Rows[] = []): void {
    const writers = [this, ...others].flatMap((rows) => [...rows.writers.values()]);
    const marks = writers.map((writer) => writer.mark());
    try {
      add();
    } catch (error) {
      for (const [index, writer] of writers.entries()) writer.reset(marks[index]!);
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
