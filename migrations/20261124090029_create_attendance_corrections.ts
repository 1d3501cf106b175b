import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE attendance_corrections (
      id uuid PRIMARY KEY,
      sheet_id uuid NOT NULL REFERENCES attendance_sheets ON DELETE RESTRICT,
      student_id uuid NOT NULL REFERENCES students ON DELETE RESTRICT,
      old_status text CHECK (old_status IN ('present', 'late', 'half_day', 'absent', 'excused', 'on_duty')),
      new_status text NOT NULL CHECK (new_status IN ('present', 'late', 'half_day', 'absent', 'excused', 'on_duty')),
      reason text NOT NULL CHECK (char_length(reason) BETWEEN 5 AND 500),
      state text NOT NULL CHECK (state IN ('pending', 'approved', 'rejected')),
      requested_by uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      decided_by uuid REFERENCES users ON DELETE RESTRICT,
      decided_at timestamptz(3),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now()
    );
    CREATE UNIQUE INDEX attendance_corrections_sheet_id_student_id_uq ON attendance_corrections (sheet_id, student_id) WHERE state = 'pending';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE attendance_corrections');
}
