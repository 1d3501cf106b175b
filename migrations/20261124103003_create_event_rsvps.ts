import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE event_rsvps (
      event_id uuid NOT NULL REFERENCES events ON DELETE CASCADE,
      occurrence_local timestamp NOT NULL,
      user_id uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      answer text NOT NULL CHECK (answer IN ('yes', 'no', 'maybe')),
      note text CHECK (char_length(note) <= 500),
      answered_at timestamptz(3) NOT NULL,
      version bigint NOT NULL DEFAULT 0,
      deleted_at timestamptz(3),
      PRIMARY KEY (event_id, occurrence_local, user_id)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE event_rsvps');
}
