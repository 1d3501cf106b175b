import type { EventConsumer } from '../../lib/events.ts';
import type { School } from '../school/school.ts';
import type { EventChanged, HolidayChanged } from './calendar.events.ts';
import type { MonthCache } from './month-cache.ts';
import { monthsAround } from './occurrences.ts';

/**
 * Drops what a change of the calendar has made stale once more. Who makes the change does so after the commit, for those who
 * look at once; but its process may die in between, or Redis be away just then.
 */
export const createCalendarConsumers = ({
  months,
  school,
}: {
  months: Pick<MonthCache, 'forget'>;
  school: Pick<School, 'forgetSchoolDays'>;
}): EventConsumer[] => [
  {
    name: 'calendar-caches',
    service: 'calendar',
    on: ['calendar.event.changed', 'calendar.holiday.changed'],
    async handle({ name, payload }) {
      if (name === 'calendar.event.changed') {
        await months.forget((payload as unknown as EventChanged).months);
        return;
      }
      const { dates } = payload as unknown as HolidayChanged;
      await school.forgetSchoolDays(dates);
      await months.forget(monthsAround(dates));
    },
  },
];
