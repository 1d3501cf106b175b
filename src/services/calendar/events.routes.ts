import Joi from 'joi';
import { idParams, withRule } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Within } from '../../lib/reach.ts';
import { created, defineRoute, ok, type Route, stored, written } from '../../lib/route.ts';
import type { School } from '../school/school.ts';
import { type Audience, audienceList, type EventInput, eventFields, localMinute } from './calendar-event.ts';
import { changeResponse, eventResponse, rsvpListResponse, rsvpResponse } from './calendar-responses.ts';
import { ANSWERS, type Answer } from './event-rsvp.entity.ts';
import type { EventResult, EventService, EventView, Target } from './event-service.ts';
import type { RsvpService } from './rsvp-service.ts';
import type { EventChanges } from './series.ts';

const write = { capability: 'events', verb: 'w' } as const;
/** Classes that an event is for. */
const ledAudiences: Within<unknown, unknown, { audiences?: Audience[] }> = {
  rows: 'ledClasses',
  id: ({ body }) => body.audiences?.map(({ class_id }) => class_id),
  pointer: '/audiences/*/class_id',
};

type NewEvent = Omit<EventInput, 'tz' | 'is_school_closed'> & {
  tz?: string;
  is_school_closed?: boolean;
  audiences: Audience[];
};

interface TargetQuery {
  scope: Target['scope'];
  occurrence?: string;
}

const targetQuery = withRule(
  Joi.object<TargetQuery>({
    scope: Joi.string().valid('all', 'this', 'following').default('all'),
    occurrence: localMinute,
  }),
  ({ scope, occurrence }: TargetQuery) =>
    (scope === 'all') === (occurrence === undefined)
      ? undefined
      : 'occurrence goes with the scopes this and following, and only with them',
);

const newEvent = Joi.object<NewEvent>({
  ...eventFields,
  title: eventFields.title.required(),
  description: eventFields.description.default(null),
  kind: eventFields.kind.default('event'),
  is_all_day: eventFields.is_all_day.default(false),
  start_local: eventFields.start_local.required(),
  duration_min: eventFields.duration_min.required(),
  rrule: eventFields.rrule.default(null),
  is_skip_closed: eventFields.is_skip_closed.default(false),
  location: eventFields.location.default(null),
  status: Joi.string().valid('draft', 'published').default('published'),
  audiences: audienceList.required(),
});

const viewOf = ({ event, exceptions, audiences, isEditable }: EventView) => ({
  id: event.id,
  title: event.title,
  description: event.description,
  kind: event.kind,
  is_all_day: event.is_all_day,
  start_local: event.start_local,
  duration_min: event.duration_min,
  tz: event.tz,
  rrule: event.rrule,
  is_school_closed: event.is_school_closed,
  is_skip_closed: event.is_skip_closed,
  location: event.location,
  status: event.status,
  starts_at: event.starts_at,
  last_ends_at: event.last_ends_at,
  split_from_id: event.split_from_id,
  created_by: event.created_by,
  created_at: event.created_at,
  updated_at: event.updated_at,
  version: event.version,
  exceptions,
  audiences: isEditable
    ? audiences.map(({ kind, role, class_id, user_id }) => ({ kind, role, class_id, user_id }))
    : null,
  is_editable: isEditable,
});

const resultOf = ({ view, dropped, warnings }: EventResult) => ({
  event: view && viewOf(view),
  dropped_exceptions: dropped,
  warnings,
});

const targetOf = (id: string, { scope, occurrence }: TargetQuery, ifMatch?: number): Target => ({
  id,
  scope,
  occurrence: occurrence ?? null,
  ifMatch,
});

/** Events themselves, and the answers to them. */
export const createEventRoutes = ({
  events,
  rsvps,
  school,
}: {
  events: EventService;
  rsvps: RsvpService;
  school: School;
}): Route[] => [
  defineRoute<Record<string, never>, Record<string, never>, NewEvent>({
    method: 'POST',
    path: '/events',
    service: 'calendar',
    summary: 'Add an event or a series',
    mode: 'T',
    access: write,
    within: ledAudiences,
    body: newEvent,
    response: changeResponse,
    errors: ['RULE_BROKEN', 'BAD_RRULE', 'TOO_MANY'],
    async handle(context) {
      const { audiences, ...fields } = context.body;
      const isClosing = fields.kind === 'holiday' || fields.kind === 'closure';
      const event = {
        ...fields,
        tz: fields.tz ?? (await school.timezone()),
        is_school_closed: fields.is_school_closed ?? isClosing,
      };
      const result = await events.create(context, event, audiences);
      const { id, version } = result.view!.event;
      return created(resultOf(result), { version, location: `/api/v1/events/${id}` });
    },
  }),
  defineRoute<{ id: string }>({
    method: 'GET',
    path: '/events/:id',
    service: 'calendar',
    summary: 'An event with its rule and exceptions',
    mode: 'R',
    access: { capability: 'events', verb: 'r' },
    params: idParams,
    response: eventResponse,
    async handle(context) {
      const view = await events.get(context, context.params.id);
      return ok(viewOf(view), {}, { etag: view.event.version });
    },
  }),
  defineRoute<{ id: string }, TargetQuery, EventChanges>({
    method: 'PATCH',
    path: '/events/:id',
    service: 'calendar',
    summary: 'Change a series, one occurrence, or those from one on',
    mode: 'T',
    access: write,
    within: ledAudiences,
    params: idParams,
    query: targetQuery,
    body: Joi.object<EventChanges>({ ...eventFields, audiences: audienceList }).min(1),
    response: changeResponse,
    errors: ['RULE_BROKEN', 'BAD_RRULE', 'TOO_MANY', 'NO_SUCH_OCCURRENCE', 'BAD_STATE', 'VERSION_CONFLICT'],
    async handle(context) {
      const target = targetOf(context.params.id, context.query, context.ifMatch);
      const result = await events.update(context, target, context.body);
      return stored(resultOf(result), result.view ? { version: result.view.event.version } : {});
    },
  }),
  defineRoute<{ id: string }, TargetQuery>({
    method: 'DELETE',
    path: '/events/:id',
    service: 'calendar',
    summary: 'Delete a series, one occurrence, or those from one on',
    mode: 'T',
    access: { capability: 'events', verb: 'd' },
    params: idParams,
    query: targetQuery,
    response: changeResponse,
    errors: ['NO_SUCH_OCCURRENCE', 'VERSION_CONFLICT'],
    async handle(context) {
      const result = await events.remove(context, targetOf(context.params.id, context.query, context.ifMatch));
      return stored(resultOf(result), result.view ? { version: result.view.event.version } : {});
    },
  }),
  defineRoute<
    { id: string },
    Record<string, never>,
    { occurrence?: string; answer: Answer | null; note: string | null }
  >({
    method: 'PUT',
    path: '/events/:id/rsvp',
    service: 'calendar',
    summary: "The caller's answer to an occurrence; null takes it back",
    mode: 'B',
    access: { capability: 'events', verb: 'rsvp' },
    params: idParams,
    body: Joi.object({
      occurrence: localMinute,
      answer: Joi.string()
        .valid(...ANSWERS)
        .allow(null)
        .required(),
      note: Joi.string().max(LIMITS.event_rsvps.note).allow(null).default(null),
    }),
    entity: 'event_rsvp',
    response: rsvpResponse,
    errors: ['RULE_BROKEN', 'RSVP_CLOSED', 'NO_SUCH_OCCURRENCE', 'VERSION_CONFLICT'],
    async handle(context) {
      const { occurrence, answer, note } = context.body;
      const input = { eventId: context.params.id, occurrence, answer, note };
      const { view, receipt } = await rsvps.answer(context, input, context.ifMatch);
      return written({ ...view, version: receipt.version }, [receipt]);
    },
  }),
  defineRoute<{ id: string }, { occurrence?: string }>({
    method: 'GET',
    path: '/events/:id/rsvps',
    service: 'calendar',
    summary: "Answers to an occurrence; only the caller's own unless the caller runs the event",
    mode: 'R',
    access: { capability: 'events', verb: 'r' },
    params: idParams,
    query: Joi.object<{ occurrence?: string }>({ occurrence: localMinute }),
    response: rsvpListResponse,
    errors: ['RULE_BROKEN', 'NO_SUCH_OCCURRENCE'],
    async handle(context) {
      const { occurrence_local, answers } = await rsvps.list(context, context.params.id, context.query.occurrence);
      const count = (answer: Answer): number => answers.filter((rsvp) => rsvp.answer === answer).length;
      return ok({
        occurrence_local,
        counts: { yes: count('yes'), no: count('no'), maybe: count('maybe') },
        answers: answers.map(({ event_id, user_id, answer, note, answered_at, name, pending }) => ({
          event_id,
          occurrence_local,
          user_id,
          name,
          answer,
          note,
          answered_at,
          pending,
        })),
      });
    },
  }),
];
