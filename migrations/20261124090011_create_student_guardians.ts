import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE student_guardians (
      student_id uuid NOT NULL REFERENCES students ON DELETE RESTRICT,
      guardian_id uuid NOT NULL REFERENCES guardians ON DELETE RESTRICT,
      relation text NOT NULL CHECK (char_length(relation) <= 50),
      is_primary boolean NOT NULL,
      is_blocked boolean NOT NULL,
      can_view boolean NOT NULL,
      can_pay boolean NOT NULL,
      can_pickup boolean NOT NULL,
      is_notified boolean NOT NULL,
      PRIMARY KEY (student_id, guardian_id)
    );
    CREATE UNIQUE INDEX student_guardians_student_id_uq ON student_guardians (student_id) WHERE is_primary;
    CREATE INDEX student_guardians_guardian_id_idx ON student_guardians (guardian_id);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE student_guardians');
}
