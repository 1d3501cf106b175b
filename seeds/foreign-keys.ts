import type pg from 'pg';

interface ForeignKey {
  table: string;
  name: string;
  definition: string;
}

/**
 * Does work with the tables' foreign keys taken away and puts them back as they were. Putting one back checks all rows in one
 * join, where an insert under it checks row by row: the full demo school takes half the time. Belongs inside a transaction, so
 * that nobody sees the tables without.
 *
 * @throws the database's error (SQLSTATE 23503) when a row points nowhere
 */
export async function withoutForeignKeys(
  client: pg.ClientBase,
  tables: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  const { rows: keys } = await client.query<ForeignKey>(
    `SELECT conrelid::regclass::text AS "table", quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
     FROM pg_constraint
     WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY($1::text[]::regclass[])
     ORDER BY conrelid, conname`,
    [tables],
  );
  for (const { table, name } of keys) await client.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
  await work();
  for (const { table, name, definition } of keys)
    await client.query(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`);
}
