import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE teacher_substitutions (
      id uuid PRIMARY KEY,
      class_id uuid NOT NULL REFERENCES classes ON DELETE RESTRICT,
      on_date date NOT NULL,
      absent_staff_id uuid NOT NULL REFERENCES staff ON DELETE RESTRICT,
      staff_id uuid NOT NULL REFERENCES staff ON DELETE RESTRICT,
      granted_by uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      CONSTRAINT teacher_substitutions_class_id_on_date_absent_staff_id_uq UNIQUE (class_id, on_date, absent_staff_id)
    );
    CREATE INDEX teacher_substitutions_staff_id_on_date_idx ON teacher_substitutions (staff_id, on_date);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE teacher_substitutions');
}
