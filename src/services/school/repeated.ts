import type { Knex } from 'knex';

type Table = 'academic_years' | 'terms' | 'subjects' | 'classes' | 'teacher_substitutions';

/**
 * Whether a new row is there already: a request that runs again because its answer was lost makes the ids of its first run, and
 * so finds what that one has stored.
 */
export async function isStored(knex: Knex, table: Table, id: string): Promise<boolean> {
  const result = await knex.raw('SELECT 1 FROM ?? WHERE id = ?', [table, id]);
  return result.rows.length > 0;
}
