import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE class_subjects (
      id uuid PRIMARY KEY,
      class_id uuid NOT NULL REFERENCES classes ON DELETE RESTRICT,
      subject_id uuid NOT NULL REFERENCES subjects ON DELETE RESTRICT,
      staff_id uuid NOT NULL REFERENCES staff ON DELETE RESTRICT,
      weights jsonb NOT NULL,
      version bigint NOT NULL DEFAULT 0,
      CONSTRAINT class_subjects_class_id_subject_id_uq UNIQUE (class_id, subject_id)
    );
    CREATE INDEX class_subjects_staff_id_idx ON class_subjects (staff_id);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE class_subjects');
}
