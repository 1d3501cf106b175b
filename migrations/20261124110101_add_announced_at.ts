import type { Knex } from 'knex';

/** When an announcement's audience was told of it: each is told once, whatever becomes of `publish_at`. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE announcements ADD COLUMN announced_at timestamptz(3);
    UPDATE announcements SET announced_at = publish_at WHERE publish_at <= now();
    CREATE INDEX announcements_due_idx ON announcements (publish_at) WHERE announced_at IS NULL AND deleted_at IS NULL;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP INDEX announcements_due_idx;
    ALTER TABLE announcements DROP COLUMN announced_at;
  `);
}
