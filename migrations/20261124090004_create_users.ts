import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE users (
      id uuid PRIMARY KEY,
      login text NOT NULL CHECK (char_length(login) <= 64),
      email text CHECK (char_length(email) <= 254),
      phone text CHECK (char_length(phone) <= 32),
      password_hash text CHECK (char_length(password_hash) <= 255),
      status text NOT NULL CHECK (status IN ('invited', 'active', 'suspended', 'archived')),
      is_password_temporary boolean NOT NULL DEFAULT false,
      failed_logins smallint NOT NULL DEFAULT 0,
      locked_until_at timestamptz(3),
      password_changed_at timestamptz(3),
      token_epoch int NOT NULL DEFAULT 0,
      last_login_at timestamptz(3),
      prefs jsonb NOT NULL DEFAULT '{}',
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0
    );
    CREATE UNIQUE INDEX users_lower_login_uq ON users (lower(login));
    CREATE UNIQUE INDEX users_lower_email_uq ON users (lower(email));
    CREATE INDEX users_status_idx ON users (status);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE users');
}
