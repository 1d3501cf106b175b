import type { Knex } from 'knex';
import type { Engine } from '../../engine.ts';
import type { AnyCard } from '../../lib/cards.ts';
import type { EventConsumer } from '../../lib/events.ts';
import type { Route } from '../../lib/route.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import { SheetVoiding } from '../attendance/sheet-voiding.ts';
import type { AuthStore } from '../auth/auth-store.ts';
import type { School } from '../school/school.ts';
import type { WriteThrough } from '../write-through.ts';
import { createCalendarRoutes } from './calendar.routes.ts';
import { createCalendarCard } from './calendar-card.ts';
import { CalendarChanges } from './calendar-changes.ts';
import { createCalendarConsumers } from './calendar-consumers.ts';
import { CalendarReader } from './calendar-reader.ts';
import { CalendarStore } from './calendar-store.ts';
import { EventService } from './event-service.ts';
import { createEventRoutes } from './events.routes.ts';
import { FeedService } from './feed-service.ts';
import { FeedTokens } from './feed-tokens.ts';
import { MonthCache } from './month-cache.ts';
import { RsvpService } from './rsvp-service.ts';
import { SchoolDayKeeper } from './school-day-keeper.ts';
import { SchoolDays } from './school-days.ts';

export interface CalendarDeps {
  engine: Engine;
  knex: Knex;
  school: School;
  authStore: AuthStore;
  activity: ActivityLog;
  writeThrough: WriteThrough;
  /** Secrets that sign tokens, the newest first. */
  secrets: readonly Uint8Array[];
}

/** Puts the calendar service together. */
export function createCalendar(deps: CalendarDeps): {
  routes: Route[];
  consumers: EventConsumer[];
  cards: AnyCard[];
  days: SchoolDayKeeper;
} {
  const { engine, knex, school, authStore, activity, writeThrough, secrets } = deps;
  const { buffer, writer, reader, barrier, cache } = engine;
  const store = new CalendarStore(knex);
  const months = new MonthCache({ cache, store, school });
  const sheets = new SheetVoiding({ buffer, barrier, knex });
  const days = new SchoolDayKeeper({ knex, days: new SchoolDays(store), sheets, months, school });
  const changes = new CalendarChanges({ writeThrough, store, days, months, school });
  const rsvps = new RsvpService({ buffer, writer, reader, barrier, store, school, activity });
  const events = new EventService({ store, changes, school, rsvps });
  const feeds = new FeedService({
    knex,
    store,
    school,
    writeThrough,
    tokens: new FeedTokens(secrets),
    findScopes: (userId, on) => authStore.findScopes(userId, on),
  });
  const calendar = new CalendarReader({ months, school });
  return {
    cards: [createCalendarCard({ reader: calendar })],
    days,
    consumers: createCalendarConsumers({ months, days }),
    routes: [
      ...createCalendarRoutes({ reader: calendar, feeds, school }),
      ...createEventRoutes({ events, rsvps, school }),
    ],
  };
}
