import type Joi from 'joi';
import type { RowError } from '../../../queues/imports.queue.ts';
import { AppError, type FieldError } from '../../errors/app-error.ts';
import type { Caller, Rehearsal } from '../write-through.ts';
import type { TableColumn, TableRow } from './csv-table.ts';

/** A row that is fit by itself, under the id that its line gets in this import. */
export interface ReadRow<Input> {
  id: string;
  line: number;
  input: Input;
}

/** How rows of one kind become rows of the school: by the service that makes one of them for a request, too. */
export interface ImportRows<Input = unknown, Context = unknown> {
  columns: readonly TableColumn[];
  /** Columns by the JSON pointer that the same field has in a request. */
  columnOf: ColumnOf;
  /** What `read` needs to know of the school. */
  prepare(table: readonly TableRow[]): Promise<Context>;
  /** @returns what the row says, or what is wrong with it */
  read(row: TableRow, context: Context): { input: Input } | { errors: RowError[] };
  /** Values that no two rows of a file may share, by their column. */
  uniques: Readonly<Record<string, (input: Input) => string | null | undefined>>;
  /** Rows with the same answer take from each other, such as the seats of a class: they are rehearsed together. */
  shares(input: Input): string | undefined;
  /**
   * Stores a row; one that is there already by its id, from an earlier attempt, is left alone.
   *
   * @throws AppError for what the school refuses
   */
  store(caller: Caller, row: ReadRow<Input>): Promise<void>;
  /** Throws what `store` would. */
  rehearse(rehearsal: Rehearsal, caller: Caller, row: ReadRow<Input>): Promise<void>;
}

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
      // A rule over several fields names the one that it is about.
      column: columnOf(`/${[...path, ...(context?.main ? [context.main] : [])].join('/')}`),
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

/** Values that stand on an earlier line already. */
export function repeated<Input>(rows: readonly ReadRow<Input>[], uniques: ImportRows<Input>['uniques']): RowError[] {
  return Object.entries(uniques).flatMap(([column, pick]) => {
    const first = new Map<string, number>();
    return rows.flatMap(({ line, input }) => {
      const value = pick(input);
      if (value === undefined || value === null) return [];
      const earlier = first.get(value);
      if (earlier === undefined) first.set(value, line);
      return earlier === undefined
        ? []
        : [{ line, column, code: 'TAKEN', detail: `stands on line ${earlier} already` }];
    });
  });
}
