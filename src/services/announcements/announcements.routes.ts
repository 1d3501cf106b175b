import Joi from 'joi';
import { decodeCursor, encodeCursor, notOfThisList } from '../../lib/cursor.ts';
import { cursor, idParams, isoInstant, pageLimit } from '../../lib/joi.ts';
import type { Within } from '../../lib/reach.ts';
import { created, defineRoute, noContent, ok, type Route, stored } from '../../lib/route.ts';
import { type AnnouncementInput, announcementFields, STATES, type State } from './announcement.ts';
import type { AnnouncementService, Changes } from './announcement-service.ts';
import type { ListPosition } from './announcement-store.ts';
import { announcementResponse, viewOf } from './announcements.responses.ts';

type NewAnnouncement = Omit<AnnouncementInput, 'publish_at'> & { publish_at?: string };

interface ListQuery {
  state: State;
  limit: number;
  cursor?: string;
}

const read = { capability: 'announcements', verb: 'r' } as const;
const write = { capability: 'announcements', verb: 'w' } as const;
const ledClass: Within<unknown, unknown, { class_id?: string | null }> = {
  rows: 'ledClasses',
  id: ({ body }) => body.class_id,
  pointer: '/class_id',
};

const newAnnouncement = Joi.object<NewAnnouncement>({
  ...announcementFields,
  title: announcementFields.title.required(),
  body: announcementFields.body.required(),
  audience: announcementFields.audience.required(),
  class_id: announcementFields.class_id.default(null),
  role: announcementFields.role.default(null),
  expires_at: announcementFields.expires_at.default(null),
  is_pinned: announcementFields.is_pinned.default(false),
});

/** In the order of the list: whether it is pinned, then its instant. */
const cursorOf = ({
  is_pinned,
  publish_at,
  id,
}: Pick<AnnouncementInput, 'is_pinned' | 'publish_at'> & { id: string }) =>
  encodeCursor({ value: `${is_pinned ? 1 : 0}${publish_at}`, id });

/** @throws ValidationError when it is none of this list's */
function positionOf(text: string | undefined): ListPosition | undefined {
  const position = decodeCursor(text);
  if (!position) return undefined;
  const value = String(position.value);
  const { value: publishAt, error } = isoInstant.validate(value.slice(1));
  if (error || !/^[01]/.test(value)) throw notOfThisList();
  return { isPinned: value.startsWith('1'), publishAt, id: position.id };
}

export const createAnnouncementRoutes = ({ announcements }: { announcements: AnnouncementService }): Route[] => [
  defineRoute<Record<string, never>, ListQuery>({
    method: 'GET',
    path: '/announcements',
    service: 'dashboard',
    summary: 'What the caller is told, pinned ones first, then the newest; scheduled and expired ones of its own',
    mode: 'R',
    access: read,
    query: Joi.object<ListQuery>({
      state: Joi.string()
        .valid(...STATES)
        .default('current'),
      limit: pageLimit,
      cursor,
    }),
    response: Joi.array().items(announcementResponse),
    async handle(context) {
      const { state, limit, cursor: after } = context.query;
      const found = await announcements.list(context, { state, after: positionOf(after), limit: limit + 1 });
      const page = found.slice(0, limit);
      return ok(page.map(viewOf), {
        next_cursor: found.length > limit ? cursorOf(page.at(-1)!.announcement) : null,
      });
    },
  }),
  defineRoute<Record<string, never>, Record<string, never>, NewAnnouncement>({
    method: 'POST',
    path: '/announcements',
    service: 'dashboard',
    summary: 'Announce something to the school, a class or a role, now or at an instant',
    mode: 'T',
    access: write,
    within: ledClass,
    body: newAnnouncement,
    response: announcementResponse,
    errors: ['RULE_BROKEN'],
    async handle(context) {
      const { publish_at = context.now.toISOString(), ...fields } = context.body;
      const view = await announcements.create(context, { ...fields, publish_at });
      const { id, version } = view.announcement;
      return created(viewOf(view), { version, location: `/api/v1/announcements/${id}` });
    },
  }),
  defineRoute<{ id: string }>({
    method: 'GET',
    path: '/announcements/:id',
    service: 'dashboard',
    summary: 'An announcement',
    mode: 'R',
    access: read,
    params: idParams,
    response: announcementResponse,
    async handle(context) {
      const view = await announcements.get(context, context.params.id);
      return ok(viewOf(view), {}, { etag: view.announcement.version });
    },
  }),
  defineRoute<{ id: string }, Record<string, never>, Changes>({
    method: 'PATCH',
    path: '/announcements/:id',
    service: 'dashboard',
    summary: 'Change an announcement; its audience and time only until it is published',
    mode: 'T',
    access: write,
    within: ledClass,
    params: idParams,
    body: Joi.object<Changes>(announcementFields).min(1),
    response: announcementResponse,
    errors: ['RULE_BROKEN', 'BAD_STATE', 'VERSION_CONFLICT'],
    async handle(context) {
      const view = await announcements.update(context, context.params.id, context.body, context.ifMatch);
      return stored(viewOf(view), { version: view.announcement.version });
    },
  }),
  defineRoute<{ id: string }>({
    method: 'DELETE',
    path: '/announcements/:id',
    service: 'dashboard',
    summary: 'Take an announcement back',
    mode: 'T',
    access: { capability: 'announcements', verb: 'd' },
    params: idParams,
    response: null,
    errors: ['VERSION_CONFLICT'],
    async handle(context) {
      await announcements.remove(context, context.params.id, context.ifMatch);
      return noContent();
    },
  }),
];
