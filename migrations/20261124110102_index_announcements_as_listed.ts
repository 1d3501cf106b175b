import type { Knex } from 'knex';

/** The order of the list: pinned ones first, then the newest. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(
    'CREATE INDEX announcements_is_pinned_publish_at_id_idx ON announcements (is_pinned, publish_at, id) WHERE deleted_at IS NULL',
  );
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP INDEX announcements_is_pinned_publish_at_id_idx');
}
