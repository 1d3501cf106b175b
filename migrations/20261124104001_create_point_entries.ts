import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE point_entries (
      id uuid PRIMARY KEY,
      student_id uuid NOT NULL REFERENCES students ON DELETE RESTRICT,
      source text NOT NULL CHECK (source IN ('quiz', 'homework', 'attendance', 'bonus', 'manual')),
      source_id uuid NOT NULL,
      points int NOT NULL CHECK (points >= -50 AND points <= 150),
      reason text CHECK (char_length(reason) <= 500),
      effective_on date NOT NULL,
      created_by uuid,
      created_at timestamptz(3) NOT NULL,
      CONSTRAINT point_entries_student_id_source_source_id_uq UNIQUE (student_id, source, source_id)
    );
    CREATE INDEX point_entries_student_id_effective_on_idx ON point_entries (student_id, effective_on);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE point_entries');
}
