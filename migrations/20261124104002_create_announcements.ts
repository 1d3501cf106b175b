import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE announcements (
      id uuid PRIMARY KEY,
      author_id uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      title text NOT NULL CHECK (char_length(title) <= 200),
      body text NOT NULL CHECK (char_length(body) <= 10000),
      audience text NOT NULL CHECK (audience IN ('school', 'class', 'role')),
      class_id uuid REFERENCES classes ON DELETE RESTRICT,
      role text CHECK (role IN ('admin', 'principal', 'teacher', 'student', 'parent', 'accountant', 'storekeeper', 'driver')),
      publish_at timestamptz(3) NOT NULL,
      expires_at timestamptz(3),
      is_pinned boolean NOT NULL,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0,
      deleted_at timestamptz(3)
    );
    CREATE INDEX announcements_publish_at_idx ON announcements (publish_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE announcements');
}
