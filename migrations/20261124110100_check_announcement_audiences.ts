import type { Knex } from 'knex';

/** An announcement names what its audience needs and nothing else, and is not over before it is out. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE announcements
      ADD CONSTRAINT announcements_class_id_check CHECK ((audience = 'class') = (class_id IS NOT NULL)),
      ADD CONSTRAINT announcements_role_audience_check CHECK ((audience = 'role') = (role IS NOT NULL)),
      ADD CONSTRAINT announcements_expires_at_check CHECK (expires_at > publish_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE announcements
      DROP CONSTRAINT announcements_class_id_check,
      DROP CONSTRAINT announcements_role_audience_check,
      DROP CONSTRAINT announcements_expires_at_check;
  `);
}
