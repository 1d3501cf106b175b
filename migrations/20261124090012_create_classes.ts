import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE classes (
      id uuid PRIMARY KEY,
      academic_year_id uuid NOT NULL REFERENCES academic_years ON DELETE RESTRICT,
      grade smallint NOT NULL CHECK (grade BETWEEN 1 AND 12),
      section text NOT NULL CHECK (char_length(section) <= 10),
      name text NOT NULL CHECK (char_length(name) <= 50),
      capacity smallint NOT NULL CHECK (capacity > 0),
      homeroom_staff_id uuid REFERENCES staff ON DELETE RESTRICT,
      room text CHECK (char_length(room) <= 50),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0,
      CONSTRAINT classes_academic_year_id_grade_section_uq UNIQUE (academic_year_id, grade, section)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE classes');
}
