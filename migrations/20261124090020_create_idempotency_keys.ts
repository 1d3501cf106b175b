import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE idempotency_keys (
      user_id uuid NOT NULL,
      key text NOT NULL CHECK (char_length(key) <= 200),
      method text NOT NULL CHECK (char_length(method) <= 10),
      path text NOT NULL CHECK (char_length(path) <= 500),
      body_hash bytea NOT NULL,
      status_code smallint,
      response jsonb,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      expires_at timestamptz(3) NOT NULL,
      PRIMARY KEY (user_id, key)
    );
    CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE idempotency_keys');
}
