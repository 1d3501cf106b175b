import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE events (
      id uuid PRIMARY KEY,
      title text NOT NULL CHECK (char_length(title) <= 200),
      description text CHECK (char_length(description) <= 5000),
      kind text NOT NULL CHECK (kind IN ('event', 'holiday', 'exam', 'meeting', 'closure')),
      is_all_day boolean NOT NULL,
      start_local timestamp NOT NULL,
      duration_min int NOT NULL CHECK (duration_min > 0),
      tz text NOT NULL CHECK (char_length(tz) <= 64),
      rrule text CHECK (char_length(rrule) <= 500),
      starts_at timestamptz(3) NOT NULL,
      last_ends_at timestamptz(3),
      is_school_closed boolean NOT NULL,
      is_skip_closed boolean NOT NULL,
      location text CHECK (char_length(location) <= 200),
      split_from_id uuid,
      status text NOT NULL CHECK (status IN ('draft', 'published', 'cancelled')),
      created_by uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0,
      deleted_at timestamptz(3)
    );
    CREATE INDEX events_starts_at_last_ends_at_idx ON events (starts_at, last_ends_at);
    CREATE INDEX events_kind_idx ON events (kind);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE events');
}
