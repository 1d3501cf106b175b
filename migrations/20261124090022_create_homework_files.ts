import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE homework_files (
      homework_id uuid NOT NULL REFERENCES homework ON DELETE CASCADE,
      file_id uuid NOT NULL REFERENCES files ON DELETE RESTRICT,
      position smallint NOT NULL,
      PRIMARY KEY (homework_id, file_id)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE homework_files');
}
