import type { Knex } from 'knex';

/** Counts statements for operators and benchmarks; a server that lacks it or forbids it works without. */
const guarded = (statement: string): string => `
  DO $$ BEGIN
    ${statement};
  EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE NOTICE 'pg_stat_statements is left as it is: %', SQLERRM;
  END $$`;

export async function up(knex: Knex): Promise<void> {
  await knex.raw(guarded('CREATE EXTENSION IF NOT EXISTS pg_stat_statements'));
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(guarded('DROP EXTENSION IF EXISTS pg_stat_statements'));
}
