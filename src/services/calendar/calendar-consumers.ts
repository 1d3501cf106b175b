import type { EventConsumer } from '../../lib/events.ts';
import type { EventChanged, HolidayChanged } from './calendar.events.ts';
import type { MonthCache } from './month-cache.ts';
import type { SchoolDayKeeper } from './school-day-keeper.ts';

/**
 * Does once more what follows the commit of a change: the dropping of caches, and the voiding of rolls that were accepted
 * meanwhile. Who makes the change does so at once, for those who look at once; but its process may die in between, or Redis be
 * away just then.
 */
export const createCalendarConsumers = ({
  months,
  days,
}: {
  months: Pick<MonthCache, 'forget'>;
  days: Pick<SchoolDayKeeper, 'settleAgain'>;
}): EventConsumer[] => [
  {
    name: 'calendar-settle',
    service: 'calendar',
    on: ['calendar.event.changed', 'calendar.holiday.changed'],
    async handle({ name, payload }) {
      if (name === 'calendar.event.changed') await months.forget((payload as unknown as EventChanged).months);
      else await days.settleAgain(payload as unknown as HolidayChanged);
    },
  },
];
