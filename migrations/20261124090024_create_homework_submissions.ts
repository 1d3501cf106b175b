import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE homework_submissions (
      id uuid PRIMARY KEY,
      homework_id uuid NOT NULL REFERENCES homework ON DELETE RESTRICT,
      student_id uuid NOT NULL REFERENCES students ON DELETE RESTRICT,
      revision smallint NOT NULL,
      body text CHECK (char_length(body) <= 50000),
      status text NOT NULL CHECK (status IN ('draft', 'submitted', 'returned')),
      saved_at timestamptz(3) NOT NULL,
      submitted_at timestamptz(3),
      is_late boolean NOT NULL,
      late_days smallint NOT NULL,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0,
      CONSTRAINT homework_submissions_homework_id_student_id_uq UNIQUE (homework_id, student_id)
    );
    CREATE INDEX homework_submissions_student_id_submitted_at_idx ON homework_submissions (student_id, submitted_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE homework_submissions');
}
