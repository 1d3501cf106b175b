import type { Knex } from 'knex';

/** The payload is `json`, not `jsonb`: what lands here is what jsonb may refuse, for example a NUL in a text. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE flush_failures (
      id uuid PRIMARY KEY,
      entity text NOT NULL,
      buffer_key text NOT NULL,
      version bigint NOT NULL,
      payload json NOT NULL,
      error_code text NOT NULL,
      error text NOT NULL,
      attempts smallint NOT NULL,
      first_at timestamptz(3) NOT NULL,
      last_at timestamptz(3) NOT NULL,
      resolution text CHECK (resolution IN ('retried', 'edited', 'discarded')),
      resolved_by uuid,
      resolved_at timestamptz(3)
    );
    CREATE UNIQUE INDEX flush_failures_entity_buffer_key_uq ON flush_failures (entity, buffer_key) WHERE resolved_at IS NULL;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE flush_failures');
}
