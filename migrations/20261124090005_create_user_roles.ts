import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE user_roles (
      user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
      role text NOT NULL CHECK (role IN ('admin', 'principal', 'teacher', 'student', 'parent', 'accountant', 'storekeeper', 'driver')),
      granted_by uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      granted_at timestamptz(3) NOT NULL,
      PRIMARY KEY (user_id, role)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE user_roles');
}
