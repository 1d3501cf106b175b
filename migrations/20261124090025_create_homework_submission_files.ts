import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE homework_submission_files (
      submission_id uuid NOT NULL REFERENCES homework_submissions ON DELETE CASCADE,
      file_id uuid NOT NULL REFERENCES files ON DELETE RESTRICT,
      revision smallint NOT NULL,
      PRIMARY KEY (submission_id, file_id)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE homework_submission_files');
}
