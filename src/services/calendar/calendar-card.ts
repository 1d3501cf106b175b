import Joi from 'joi';
import { type CardDefinition, KEPT_WHILE_TOLD_SECONDS, type Touch } from '../../lib/cards.ts';
import { isoInstant, uuid } from '../../lib/joi.ts';
import { studentViewer } from './audience.ts';
import { eventFields, localMinute } from './calendar-event.ts';
import type { CalendarReader } from './calendar-reader.ts';

const NEXT_EVENTS = 5;

/** The next events of a student (DB1), those under way among them. */
export function createCalendarCard({ reader }: { reader: CalendarReader }): CardDefinition<'student'> {
  // An event may leave an audience with its change, and nobody knows any more whom it was for.
  const everybody = (): readonly Touch[] => ['everybody'];
  return {
    name: 'events',
    dashboard: 'student',
    schema: Joi.object({
      next: Joi.array()
        .items(
          Joi.object({
            event_id: uuid.required(),
            occurrence_local: localMinute.required(),
            title: eventFields.title.required(),
            kind: eventFields.kind.required(),
            starts_at: isoInstant.required(),
            ends_at: isoInstant.required(),
            is_all_day: Joi.boolean().required(),
          }),
        )
        .max(NEXT_EVENTS)
        .required(),
    }),
    touches: { 'calendar.event.changed': everybody, 'calendar.holiday.changed': everybody },
    keptSeconds: KEPT_WHILE_TOLD_SECONDS,
    async load({ studentId, classId, now }) {
      const shown = await reader.next(studentViewer(studentId, classId), now, NEXT_EVENTS);
      return {
        until: shown.map(({ ends_at }) => ends_at).sort()[0],
        next: shown.map(({ event, occurrence_local, title, starts_at, ends_at }) => ({
          event_id: event.id,
          occurrence_local,
          title,
          kind: event.kind,
          starts_at,
          ends_at,
          is_all_day: event.is_all_day,
        })),
      };
    },
  };
}
