import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE homework_grades (
      homework_id uuid NOT NULL REFERENCES homework ON DELETE RESTRICT,
      student_id uuid NOT NULL REFERENCES students ON DELETE RESTRICT,
      submission_id uuid REFERENCES homework_submissions ON DELETE RESTRICT,
      status text NOT NULL CHECK (status IN ('graded', 'excused', 'missing', 'returned')),
      raw_x100 int,
      penalty_x100 int NOT NULL DEFAULT 0,
      final_x100 int,
      is_penalty_waived boolean NOT NULL,
      feedback text CHECK (char_length(feedback) <= 5000),
      graded_by uuid NOT NULL REFERENCES staff ON DELETE RESTRICT,
      graded_at timestamptz(3) NOT NULL,
      released_at timestamptz(3),
      version bigint NOT NULL DEFAULT 0,
      PRIMARY KEY (homework_id, student_id)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE homework_grades');
}
