import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE schools (
      id uuid PRIMARY KEY,
      code text NOT NULL CONSTRAINT schools_code_uq UNIQUE CHECK (char_length(code) <= 32),
      name text NOT NULL CHECK (char_length(name) <= 200),
      timezone text NOT NULL CHECK (char_length(timezone) <= 64),
      currency char(3) NOT NULL,
      school_weekdays smallint[] NOT NULL,
      locale text NOT NULL CHECK (char_length(locale) <= 35),
      settings jsonb NOT NULL DEFAULT '{}',
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE schools');
}
