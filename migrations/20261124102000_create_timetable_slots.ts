import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE timetable_slots (
      id uuid PRIMARY KEY,
      class_id uuid NOT NULL REFERENCES classes ON DELETE RESTRICT,
      weekday smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
      period_no smallint NOT NULL CHECK (period_no BETWEEN 1 AND 12),
      class_subject_id uuid NOT NULL REFERENCES class_subjects ON DELETE RESTRICT,
      starts_at time NOT NULL,
      ends_at time NOT NULL,
      CONSTRAINT timetable_slots_class_id_weekday_period_no_uq UNIQUE (class_id, weekday, period_no)
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE timetable_slots');
}
