import Joi from 'joi';
import { ValidationError } from '../../errors/catalogue.ts';
import type { Actor, ScopeCode } from '../../lib/actor.ts';
import { defineRoute, type Route } from '../../lib/route.ts';
import { parseWriteId, type Receipt } from '../../lib/write-receipt.ts';
import type { LiveAudience } from '../../live/audience-news.ts';
import { MESSAGE_ID } from '../../live/user-streams.ts';
import type { School } from '../school/school.ts';
import { reachOf } from '../scope.ts';
import type { OpenStreams } from './open-streams.ts';

interface StreamQuery {
  writes: Receipt[];
}

/** A page that waits for more has another way: a list that it reads again. */
const MOST_WRITES = 20;
const MOST_CHARACTERS = MOST_WRITES * 300;

/** Classes that one teaches or leads, sits in, or has children in; who runs the school is no part of all of them. */
const AUDIENCE_SCOPES: readonly ScopeCode[] = ['T', 'H', 'C', 'O'];

const writes = Joi.string()
  .max(MOST_CHARACTERS)
  .description('Ids of writes to follow, separated by commas; `meta.writes` of an answer names them')
  .custom((value: string, helpers) => {
    const ids = [...new Set(value.split(','))];
    if (ids.length > MOST_WRITES) return helpers.message({ custom: `must name at most ${MOST_WRITES} writes` });
    const receipts = ids.map(parseWriteId);
    return receipts.includes(undefined)
      ? helpers.message({ custom: 'must be ids of writes, separated by commas' })
      : receipts;
  })
  .meta({ jsonSchema: { pattern: '^[^~,]+~[^~,]+~[1-9]\\d{0,15}(,[^~,]+~[^~,]+~[1-9]\\d{0,15})*$' } })
  .default([]);

/** @throws ValidationError for what no event of ours has as its id */
function lastEventIdOf(header: string | undefined): string | undefined {
  if (header === undefined || header === '') return undefined;
  if (MESSAGE_ID.test(header)) return header;
  throw new ValidationError({ errors: [{ pointer: '/headers/last-event-id', detail: 'must be the id of an event' }] });
}

/**
 * Whom the caller is among while its stream is open. Where its classes cannot be read just now it hears of the rest: what goes to
 * an audience is a hint.
 */
async function audiencesOf(actor: Actor, school: School): Promise<LiveAudience[]> {
  const roles = actor.roles.map((role) => `role:${role}` as const);
  const { classes } = await reachOf(actor, AUDIENCE_SCOPES, school).catch(() => ({ classes: [] }));
  return ['school', ...roles, ...[...classes].map((id) => `class:${id}` as const)];
}

export const createStreamRoutes = ({ streams, school }: { streams: OpenStreams; school: School }): Route[] => [
  defineRoute<Record<string, never>, StreamQuery>({
    method: 'GET',
    path: '/stream',
    service: 'dashboard',
    summary: 'What happens, as server-sent events: messages to the caller, and what becomes of the writes it names',
    mode: 'R',
    access: 'authenticated',
    query: Joi.object<StreamQuery>({ writes }),
    response: Joi.string(),
    produces: 'text/event-stream',
    errors: ['TOO_MANY_STREAMS', 'OVERLOADED', 'SHUTTING_DOWN'],
    async handle(context) {
      const stream = await streams.open({
        userId: context.actor.userId,
        audiences: await audiencesOf(context.actor, school),
        lastEventId: lastEventIdOf(context.header('last-event-id')),
        writes: context.query.writes,
        confirm: () => context.confirm(),
      });
      return { status: 200, stream };
    },
  }),
];
