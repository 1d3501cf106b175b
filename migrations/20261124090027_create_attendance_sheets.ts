import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE attendance_sheets (
      id uuid PRIMARY KEY,
      class_id uuid NOT NULL REFERENCES classes ON DELETE RESTRICT,
      on_date date NOT NULL,
      period_no smallint NOT NULL DEFAULT 0,
      class_subject_id uuid REFERENCES class_subjects ON DELETE RESTRICT,
      status text NOT NULL CHECK (status IN ('open', 'closed', 'void')),
      taken_by uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      taken_at timestamptz(3) NOT NULL,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0,
      CONSTRAINT attendance_sheets_class_id_on_date_period_no_uq UNIQUE (class_id, on_date, period_no)
    );
    CREATE INDEX attendance_sheets_on_date_period_no_idx ON attendance_sheets (on_date, period_no);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE attendance_sheets');
}
