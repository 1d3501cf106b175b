import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE user_sessions (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
      generation int NOT NULL,
      rotated_at timestamptz(3) NOT NULL,
      ip inet NOT NULL,
      user_agent text NOT NULL CHECK (char_length(user_agent) <= 500),
      expires_at timestamptz(3) NOT NULL,
      revoked_at timestamptz(3),
      revoke_reason text CHECK (char_length(revoke_reason) <= 100),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now()
    );
    CREATE INDEX user_sessions_user_id_idx ON user_sessions (user_id) WHERE revoked_at IS NULL;
    CREATE INDEX user_sessions_expires_at_idx ON user_sessions (expires_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE user_sessions');
}
