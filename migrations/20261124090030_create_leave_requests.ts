import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE leave_requests (
      id uuid PRIMARY KEY,
      student_id uuid NOT NULL REFERENCES students ON DELETE RESTRICT,
      from_on date NOT NULL,
      to_on date NOT NULL,
      part text NOT NULL CHECK (part IN ('full', 'am', 'pm')),
      kind text NOT NULL CHECK (kind IN ('sick', 'family', 'event', 'other')),
      reason text NOT NULL CHECK (char_length(reason) <= 1000),
      status text NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'cancelled')),
      requested_by uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      decided_by uuid REFERENCES users ON DELETE RESTRICT,
      decided_at timestamptz(3),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0,
      CHECK (to_on >= from_on)
    );
    CREATE INDEX leave_requests_student_id_from_on_idx ON leave_requests (student_id, from_on);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE leave_requests');
}
