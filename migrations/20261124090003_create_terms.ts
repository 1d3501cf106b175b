import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE terms (
      id uuid PRIMARY KEY,
      academic_year_id uuid NOT NULL REFERENCES academic_years ON DELETE RESTRICT,
      seq smallint NOT NULL,
      name text NOT NULL CHECK (char_length(name) <= 50),
      starts_on date NOT NULL,
      ends_on date NOT NULL,
      locked_at timestamptz(3),
      CONSTRAINT terms_academic_year_id_seq_uq UNIQUE (academic_year_id, seq),
      CONSTRAINT terms_academic_year_id_name_uq UNIQUE (academic_year_id, name),
      CHECK (ends_on >= starts_on)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE terms');
}
