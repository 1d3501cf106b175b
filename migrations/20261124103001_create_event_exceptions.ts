import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE event_exceptions (
      event_id uuid NOT NULL REFERENCES events ON DELETE CASCADE,
      occurrence_local timestamp NOT NULL,
      action text NOT NULL CHECK (action IN ('cancelled', 'changed')),
      new_start_local timestamp,
      new_duration_min int CHECK (new_duration_min > 0),
      new_title text CHECK (char_length(new_title) <= 200),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      PRIMARY KEY (event_id, occurrence_local)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE event_exceptions');
}
