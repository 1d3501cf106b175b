import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE enrollments (
      id uuid PRIMARY KEY,
      student_id uuid NOT NULL REFERENCES students ON DELETE RESTRICT,
      class_id uuid NOT NULL REFERENCES classes ON DELETE RESTRICT,
      roll_no smallint NOT NULL,
      starts_on date NOT NULL,
      ends_on date,
      CHECK (ends_on >= starts_on)
    );
    CREATE UNIQUE INDEX enrollments_student_id_uq ON enrollments (student_id) WHERE ends_on IS NULL;
    CREATE UNIQUE INDEX enrollments_class_id_roll_no_uq ON enrollments (class_id, roll_no) WHERE ends_on IS NULL;
    CREATE INDEX enrollments_class_id_starts_on_idx ON enrollments (class_id, starts_on);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE enrollments');
}
