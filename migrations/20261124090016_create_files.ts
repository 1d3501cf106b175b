import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE files (
      id uuid PRIMARY KEY,
      owner_user_id uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
      purpose text NOT NULL CHECK (purpose IN ('homework', 'submission', 'avatar', 'report', 'receipt', 'import')),
      bucket text NOT NULL CHECK (char_length(bucket) <= 100),
      object_key text NOT NULL CONSTRAINT files_object_key_uq UNIQUE CHECK (char_length(object_key) <= 1024),
      file_name text NOT NULL CHECK (char_length(file_name) <= 255),
      mime text NOT NULL CHECK (char_length(mime) <= 127),
      size_bytes bigint NOT NULL CHECK (size_bytes BETWEEN 1 AND 26214400),
      sha256 text CHECK (char_length(sha256) <= 64),
      status text NOT NULL CHECK (status IN ('pending', 'ready', 'rejected', 'deleted')),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now()
    );
    CREATE INDEX files_created_at_idx ON files (created_at) WHERE status = 'pending';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE files');
}
