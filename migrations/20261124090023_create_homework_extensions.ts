import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE homework_extensions (
      homework_id uuid NOT NULL REFERENCES homework ON DELETE CASCADE,
      student_id uuid NOT NULL REFERENCES students ON DELETE RESTRICT,
      due_at timestamptz(3) NOT NULL,
      late_until_at timestamptz(3),
      reason text NOT NULL CHECK (char_length(reason) <= 500),
      granted_by uuid NOT NULL REFERENCES staff ON DELETE RESTRICT,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      PRIMARY KEY (homework_id, student_id)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE homework_extensions');
}
