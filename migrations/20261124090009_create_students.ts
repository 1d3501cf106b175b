import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE students (
      id uuid PRIMARY KEY,
      user_id uuid CONSTRAINT students_user_id_uq UNIQUE REFERENCES users ON DELETE RESTRICT,
      admission_no text NOT NULL CONSTRAINT students_admission_no_uq UNIQUE CHECK (char_length(admission_no) <= 32),
      full_name text NOT NULL CHECK (char_length(full_name) <= 200),
      birth_on date NOT NULL,
      gender text CHECK (char_length(gender) <= 30),
      house text CHECK (char_length(house) <= 50),
      admitted_on date NOT NULL,
      left_on date,
      leave_reason text CHECK (char_length(leave_reason) <= 500),
      photo_file_id uuid,
      status text NOT NULL CHECK (status IN ('active', 'left', 'alumni')),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0
    );
    CREATE INDEX students_status_idx ON students (status);
    CREATE INDEX students_lower_full_name_idx ON students (lower(full_name) text_pattern_ops);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE students');
}
