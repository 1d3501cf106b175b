import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE calendar_feeds (
      user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
      epoch int NOT NULL DEFAULT 1 CHECK (epoch > 0),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now()
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE calendar_feeds');
}
