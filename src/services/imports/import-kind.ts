import type Joi from 'joi';
import type { RowError } from '../../../queues/imports.queue.ts';
import { AppError, type FieldError } from '../../errors/app-error.ts';
import type { Caller } from '../write-through.ts';
import type { TableColumn, TableRow } from './csv-table.ts';

/** A row that is fit by itself, under the id that its line gets in this import. */
export interface ReadRow<Input> {
  id: string;
  line: number;
  input: Input;
}

/** How rows of one kind become rows of the school. */
export interface ImportRows<Input = unknown> {
  columns: readonly TableColumn[];
  /** @returns what the row says, or what is wrong with it */
  read(row: TableRow, context: unknown): { input: Input } | { errors: RowError[] };
  /** What `read` needs to know of the school. */
  prepare(): Promise<unknown>;
  /** Ids of those that an earlier attempt of the same import has stored. */
  stored(rows: readonly ReadRow<Input>[]): Promise<ReadonlySet<string>>;
  /** What the school would refuse, without storing anything. */
  check(rows: readonly ReadRow<Input>[]): Promise<RowError[]>;
  /** @throws AppError for what the school refuses */
  store(caller: Caller, row: ReadRow<Input>): Promise<void>;
}

/** Columns by the JSON pointer that the same field has in a request. */
export type ColumnOf = (pointer: string) => string | null;

/** Judges cells by the schema of the request that would say the same. */
export function judge<Input>(
  schema: Joi.ObjectSchema<Input>,
  line: number,
  value: unknown,
  columnOf: ColumnOf,
): { input: Input } | { errors: RowError[] } {
  const { error, value: input } = schema.validate(value, {
    abortEarly: false,
    errors: { wrap: { label: false }, label: false },
  });
  if (!error) return { input };
  return {
    errors: error.details.map(({ path, message, type, context }) => ({
      line,
      column: columnOf(`/${path.join('/')}`),
      code: 'VALIDATION_FAILED',
      // The usual words for a pattern repeat the value.
      detail: type.startsWith('string.pattern') ? `is not a valid ${context?.name ?? 'value'}` : message.trim(),
    })),
  };
}

/** What the school said about a row. */
export function refusalOf({ code, title, errors }: AppError, line: number, columnOf: ColumnOf): RowError[] {
  const fields: readonly FieldError[] = errors ?? [];
  if (fields.length === 0) return [{ line, column: null, code, detail: title }];
  return fields.map(({ pointer, detail }) => ({ line, column: columnOf(pointer), code, detail }));
}

export const isRefusal = (error: unknown): error is AppError => error instanceof AppError && error.status < 500;

/** Values that stand on an earlier line already. @param pick undefined for rows that have none */
export function repeated<Input>(
  rows: readonly ReadRow<Input>[],
  column: string,
  pick: (input: Input) => string | null | undefined,
): RowError[] {
  const first = new Map<string, number>();
  return rows.flatMap(({ line, input }) => {
    const value = pick(input)?.toLowerCase();
    if (value === undefined) return [];
    const earlier = first.get(value);
    if (earlier === undefined) first.set(value, line);
    return earlier === undefined ? [] : [{ line, column, code: 'TAKEN', detail: `stands on line ${earlier} already` }];
  });
}
