import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE staff (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL CONSTRAINT staff_user_id_uq UNIQUE REFERENCES users ON DELETE RESTRICT,
      employee_no text NOT NULL CONSTRAINT staff_employee_no_uq UNIQUE CHECK (char_length(employee_no) <= 32),
      full_name text NOT NULL CHECK (char_length(full_name) <= 200),
      designation text NOT NULL CHECK (char_length(designation) <= 100),
      department text CHECK (char_length(department) <= 100),
      joined_on date NOT NULL,
      left_on date,
      licence_no text CHECK (char_length(licence_no) <= 50),
      licence_expires_on date,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE staff');
}
