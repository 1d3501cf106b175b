import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE outbox_events (
      id uuid PRIMARY KEY,
      seq bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_events_seq_uq UNIQUE,
      name text NOT NULL CHECK (char_length(name) <= 100),
      aggregate_id text NOT NULL CHECK (char_length(aggregate_id) <= 200),
      payload jsonb NOT NULL,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      published_at timestamptz(3)
    );
    CREATE INDEX outbox_events_seq_idx ON outbox_events (seq) WHERE published_at IS NULL;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE outbox_events');
}
