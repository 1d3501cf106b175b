import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE event_audiences (
      id uuid PRIMARY KEY,
      event_id uuid NOT NULL REFERENCES events ON DELETE CASCADE,
      kind text NOT NULL CHECK (kind IN ('school', 'role', 'class', 'user')),
      role text CHECK (role IN ('admin', 'principal', 'teacher', 'student', 'parent', 'accountant', 'storekeeper', 'driver')),
      class_id uuid REFERENCES classes ON DELETE RESTRICT,
      user_id uuid REFERENCES users ON DELETE RESTRICT,
      CONSTRAINT event_audiences_event_id_kind_role_class_id_user_id_uq
        UNIQUE NULLS NOT DISTINCT (event_id, kind, role, class_id, user_id)
    );
    CREATE INDEX event_audiences_class_id_idx ON event_audiences (class_id);
    CREATE INDEX event_audiences_user_id_idx ON event_audiences (user_id);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE event_audiences');
}
