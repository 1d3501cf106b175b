import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE subjects (
      id uuid PRIMARY KEY,
      code text NOT NULL CONSTRAINT subjects_code_uq UNIQUE CHECK (char_length(code) <= 16),
      name text NOT NULL CHECK (char_length(name) <= 100),
      is_elective boolean NOT NULL
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE subjects');
}
