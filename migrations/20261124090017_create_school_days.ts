import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE school_days (
      on_date date PRIMARY KEY,
      academic_year_id uuid NOT NULL REFERENCES academic_years ON DELETE RESTRICT,
      is_open boolean NOT NULL,
      reason text CHECK (char_length(reason) <= 200),
      event_id uuid
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE school_days');
}
