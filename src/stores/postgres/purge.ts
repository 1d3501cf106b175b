import type { Knex } from 'knex';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';

export interface OldRows {
  table: string;
  /** Columns of its primary key. */
  key: readonly string[];
  /** SQL: which rows go. */
  where: string;
  values?: readonly Knex.RawBinding[];
  /** SQL: in which order, so that an index finds the next ones; that of the key unless given. */
  order?: string;
}

const BATCH_ROWS = 1_000;

/**
 * Deletes rows in statements of a bounded size, each committed by itself, so that none holds locks for long. Rows that
 * somebody else has locked stay for the next time.
 */
export async function purgeRows(
  knex: Knex,
  { table, key, where, values = [], order = key.join() }: OldRows,
  { progress }: Pick<TaskRun, 'progress'>,
): Promise<TaskResult> {
  // Locked before it is judged: a row that is renewed meanwhile stays. Materialized: the planner must not ask twice.
  const statement = `
    WITH old AS MATERIALIZED (SELECT ${key.join()} FROM ${table} WHERE ${where} ORDER BY ${order} LIMIT ${BATCH_ROWS} FOR UPDATE SKIP LOCKED)
    DELETE FROM ${table} WHERE (${key.join()}) IN (SELECT ${key.join()} FROM old)`;
  for (let deleted = 0; ; ) {
    const { rowCount } = await knex.raw(statement, [...values]);
    deleted += rowCount;
    await progress({ deleted });
    if (rowCount < BATCH_ROWS) return { deleted };
  }
}
