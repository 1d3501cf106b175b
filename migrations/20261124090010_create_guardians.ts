import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE guardians (
      id uuid PRIMARY KEY,
      user_id uuid CONSTRAINT guardians_user_id_uq UNIQUE REFERENCES users ON DELETE RESTRICT,
      full_name text NOT NULL CHECK (char_length(full_name) <= 200),
      phone text NOT NULL CHECK (char_length(phone) <= 32),
      email text CHECK (char_length(email) <= 254),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0
    );
    CREATE INDEX guardians_phone_idx ON guardians (phone);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE guardians');
}
