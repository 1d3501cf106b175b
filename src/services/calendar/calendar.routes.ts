import Joi from 'joi';
import { RangeTooWideError, UnprocessableError } from '../../errors/catalogue.ts';
import { daysBetween } from '../../lib/clock.ts';
import { cursor, isoInstant, pageLimit, schoolDate, view } from '../../lib/joi.ts';
import { defineRoute, noContent, ok, type Route } from '../../lib/route.ts';
import type { School } from '../school/school.ts';
import { EVENT_KINDS, type EventKind } from './calendar-event.ts';
import type { CalendarReader, ShownOccurrence } from './calendar-reader.ts';
import { occurrenceResponse, schoolDayResponse } from './calendar-responses.ts';
import type { FeedService } from './feed-service.ts';

const read = { capability: 'events', verb: 'r' } as const;
/** A school year and some days. */
const MOST_SCHOOL_DAYS = 400;
const MONTH = /^(19|2[01])\d{2}-(0[1-9]|1[0-2])$/;

const edge = Joi.alternatives(schoolDate, isoInstant).required();

interface RangeQuery {
  from: string;
  to: string;
  kind?: EventKind;
  limit: number;
  cursor?: string;
}

const viewOf = ({ event, isEditable, ...occurrence }: ShownOccurrence) => ({
  event_id: event.id,
  occurrence_local: occurrence.occurrence_local,
  start_local: occurrence.start_local,
  starts_at: occurrence.starts_at,
  ends_at: occurrence.ends_at,
  title: occurrence.title,
  kind: event.kind,
  is_all_day: event.is_all_day,
  is_school_closed: event.is_school_closed,
  is_recurring: event.rrule !== null,
  is_changed: occurrence.is_changed,
  is_editable: isEditable,
  tz: event.tz,
  location: event.location,
  status: event.status,
});

/** The calendar as it is read: ranges, months, school days and the feed. */
export const createCalendarRoutes = ({
  reader,
  feeds,
  school,
}: {
  reader: CalendarReader;
  feeds: FeedService;
  school: School;
}): Route[] => [
  defineRoute<Record<string, never>, RangeQuery>({
    method: 'GET',
    path: '/events',
    service: 'calendar',
    summary: 'Occurrences of events in a range of 100 days at most',
    mode: 'R',
    access: read,
    query: Joi.object<RangeQuery>({
      from: edge,
      to: edge,
      kind: Joi.string().valid(...EVENT_KINDS),
      limit: pageLimit,
      cursor,
    }),
    response: Joi.array().items(occurrenceResponse),
    errors: ['RULE_BROKEN', 'RANGE_TOO_WIDE'],
    async handle(context) {
      const { from, to, kind, limit, cursor: position } = context.query;
      const { items, next } = await reader.range(context, { from, to }, { kind, limit, cursor: position });
      return ok(items.map(viewOf), { next_cursor: next });
    },
  }),
  defineRoute<{ month: string }>({
    method: 'GET',
    path: '/events/month/:month',
    service: 'calendar',
    summary: "Occurrences of a month of the school's zone",
    mode: 'R',
    access: read,
    params: Joi.object<{ month: string }>({ month: Joi.string().pattern(MONTH, 'month YYYY-MM').required() }),
    response: Joi.array().items(occurrenceResponse),
    handle: async (context) => ok((await reader.month(context, context.params.month)).map(viewOf)),
  }),
  defineRoute<Record<string, never>, { from: string; to: string }>({
    method: 'GET',
    path: '/school-days',
    service: 'calendar',
    summary: 'Which days of a range the school is open, both ends included',
    mode: 'R',
    access: read,
    within: 'shared',
    query: Joi.object<{ from: string; to: string }>({ from: schoolDate.required(), to: schoolDate.required() }),
    response: Joi.array().items(schoolDayResponse),
    errors: ['RULE_BROKEN', 'RANGE_TOO_WIDE'],
    async handle({ query: { from, to } }) {
      if (from > to)
        throw new UnprocessableError({ errors: [{ pointer: '/query/to', detail: 'must not lie before from' }] });
      if (daysBetween(from, to) > MOST_SCHOOL_DAYS)
        throw new RangeTooWideError({
          errors: [{ pointer: '/query/to', detail: `must be ${MOST_SCHOOL_DAYS} days after from at most` }],
        });
      const days = await school.schoolDays(from, to);
      return ok(
        days.map(({ date, isOpen, reason, eventId }) => ({ date, is_open: isOpen, reason, event_id: eventId })),
      );
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/calendar/feed',
    service: 'calendar',
    summary: "The caller's own address of the calendar, for programs that subscribe to it; relative to this API",
    mode: 'T',
    access: read,
    within: 'self',
    // The address is a secret: it is not kept for repetitions, which get the same one anyway.
    idempotency: 'none',
    success: [200],
    response: view({ url: Joi.string() }),
    handle: async (context) => ok({ url: await feeds.open(context) }),
  }),
  defineRoute({
    method: 'DELETE',
    path: '/calendar/feed',
    service: 'calendar',
    summary: "End all addresses of the caller's calendar",
    mode: 'T',
    access: read,
    within: 'self',
    response: null,
    async handle(context) {
      await feeds.revoke(context);
      return noContent();
    },
  }),
  defineRoute<Record<string, never>, { token: string }>({
    method: 'GET',
    path: '/calendar.ics',
    service: 'calendar',
    summary: 'The calendar of the owner of an address, as iCalendar (RFC 5545)',
    mode: 'R',
    access: 'public',
    query: Joi.object<{ token: string }>({ token: Joi.string().max(200).required() }),
    response: Joi.string(),
    produces: 'text/calendar',
    errors: ['BAD_FEED_TOKEN'],
    handle: async ({ query, now }) => ({
      status: 200,
      text: { type: 'text/calendar; charset=utf-8', body: await feeds.read(query.token, now) },
    }),
  }),
];
