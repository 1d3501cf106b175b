import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE attendance_entries (
      sheet_id uuid NOT NULL REFERENCES attendance_sheets ON DELETE CASCADE,
      student_id uuid NOT NULL REFERENCES students ON DELETE RESTRICT,
      on_date date NOT NULL,
      status text NOT NULL CHECK (status IN ('present', 'late', 'half_day', 'absent', 'excused', 'on_duty')),
      minutes_late smallint CHECK (minutes_late BETWEEN 1 AND 240),
      remark text CHECK (char_length(remark) <= 500),
      marked_by uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      marked_at timestamptz(3) NOT NULL,
      entry_version bigint NOT NULL,
      PRIMARY KEY (sheet_id, student_id)
    );
    CREATE INDEX attendance_entries_student_id_on_date_idx ON attendance_entries (student_id, on_date);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE attendance_entries');
}
