import Joi from 'joi';
import type { Knex } from 'knex';
import type { CardDefinition, Touch } from '../../lib/cards.ts';
import { weekdayOf } from '../../lib/clock.ts';
import type { DomainEvent } from '../../lib/events.ts';
import { uuid } from '../../lib/joi.ts';
import type { School } from './school.ts';

const wallClock = Joi.string()
  .pattern(/^\d\d:\d\d$/)
  .required();

/** A teacher's lessons of a date: the week's, without those that another takes over, with those taken over. */
const LESSONS = `
  SELECT t.period_no, to_char(t.starts_at, 'HH24:MI') AS starts_at, to_char(t.ends_at, 'HH24:MI') AS ends_at,
         c.id AS class_id, c.name AS class_name, s.name AS subject, cover.staff_id IS NOT NULL AS is_substitution
  FROM timetable_slots t
  JOIN class_subjects taught ON taught.id = t.class_subject_id
  JOIN subjects s ON s.id = taught.subject_id
  JOIN classes c ON c.id = t.class_id
  JOIN academic_years y ON y.id = c.academic_year_id AND y.is_current
  LEFT JOIN teacher_substitutions cover
    ON cover.class_id = t.class_id AND cover.on_date = :today AND cover.absent_staff_id = taught.staff_id
  WHERE t.weekday = :weekday AND coalesce(cover.staff_id, taught.staff_id) = :staffId
  ORDER BY t.starts_at, t.period_no, c.name`;

/** A teacher's classes of the day (DB1); none while the school is closed. */
export function createLessonsCard({ knex, school }: { knex: Knex; school: School }): CardDefinition<'teacher'> {
  const teachersOf = async ({ payload }: DomainEvent): Promise<readonly Touch[]> => {
    const taught = (await school.classSubjects()).filter(({ classId }) => classId === payload.class_id);
    return taught.map(({ staffId }) => `staff:${staffId}` as const);
  };
  return {
    name: 'lessons',
    dashboard: 'teacher',
    schema: Joi.object({
      today: Joi.array()
        .items(
          Joi.object({
            period_no: Joi.number().integer().required(),
            starts_at: wallClock,
            ends_at: wallClock,
            class_id: uuid.required(),
            class_name: Joi.string().required(),
            subject: Joi.string().required(),
            is_substitution: Joi.boolean().required(),
          }),
        )
        .required(),
    }),
    touches: {
      'school.assignment.changed': ({ payload }) => {
        const { from, staff_id, absent_staff_id } = payload as Record<string, string | null | undefined>;
        return [from, staff_id, absent_staff_id].flatMap((id): Touch[] => (id ? [`staff:${id}`] : []));
      },
      'school.class.changed': teachersOf,
      'school.timetable.changed': teachersOf,
      'school.subject.changed': () => ['everybody'],
    },
    async load({ staffId, today }) {
      const [day] = await school.schoolDays(today, today);
      if (!day?.isOpen) return { today: [] };
      const result = await knex.raw(LESSONS, { staffId, today, weekday: weekdayOf(today) });
      return { today: result.rows };
    },
  };
}
