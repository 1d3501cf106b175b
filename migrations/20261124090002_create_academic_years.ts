import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE academic_years (
      id uuid PRIMARY KEY,
      name text NOT NULL CONSTRAINT academic_years_name_uq UNIQUE CHECK (char_length(name) <= 50),
      starts_on date NOT NULL,
      ends_on date NOT NULL,
      is_current boolean NOT NULL,
      CHECK (ends_on > starts_on)
    );
    CREATE UNIQUE INDEX academic_years_is_current_uq ON academic_years (is_current) WHERE is_current;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE academic_years');
}
