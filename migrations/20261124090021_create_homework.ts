import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE homework (
      id uuid PRIMARY KEY,
      class_subject_id uuid NOT NULL REFERENCES class_subjects ON DELETE RESTRICT,
      staff_id uuid NOT NULL REFERENCES staff ON DELETE RESTRICT,
      group_id uuid,
      title text NOT NULL CHECK (char_length(title) <= 300),
      description text NOT NULL CHECK (char_length(description) <= 20000),
      assigned_on date NOT NULL,
      publish_at timestamptz(3) NOT NULL,
      due_at timestamptz(3) NOT NULL,
      late_until_at timestamptz(3),
      late_deduct_bp int NOT NULL DEFAULT 0,
      late_floor_bp int NOT NULL DEFAULT 0,
      max_x100 int,
      submission_kind text NOT NULL CHECK (submission_kind IN ('none', 'text', 'file', 'any')),
      max_files smallint NOT NULL DEFAULT 5,
      max_revisions smallint NOT NULL DEFAULT 3,
      is_autosubmit boolean NOT NULL,
      is_missing_zero boolean NOT NULL,
      status text NOT NULL CHECK (status IN ('draft', 'published', 'closed', 'archived')),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0,
      deleted_at timestamptz(3),
      CHECK (late_until_at >= due_at)
    );
    CREATE INDEX homework_class_subject_id_due_at_idx ON homework (class_subject_id, due_at);
    CREATE INDEX homework_staff_id_due_at_idx ON homework (staff_id, due_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE homework');
}
