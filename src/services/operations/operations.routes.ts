import Joi from 'joi';
import { failedWriteId, parseFailedWriteId } from '../../buffer/failed-writes.ts';
import { pageLimit } from '../../lib/joi.ts';
import { defineRoute, ok, type Reply, type Route } from '../../lib/route.ts';
import {
  bufferView,
  discardedWrite,
  entryView,
  failedList,
  failedView,
  replayedWrite,
  replayedWrites,
  requestedRun,
  runList,
  runView,
  writeView,
} from './operations.responses.ts';
import type { OperationsService } from './operations-service.ts';

const SERVICE = 'operations';
const read = { capability: 'buffers', verb: 'r' } as const;
const write = { capability: 'buffers', verb: 'w' } as const;

const FAILED_ID = Joi.string()
  .max(300)
  .custom((value: string, helpers) =>
    parseFailedWriteId(value) ? value : helpers.message({ custom: 'must be an id of a failed write, entity~key' }),
  )
  .meta({ jsonSchema: { pattern: '^[^~]+~.' } });
const failedParams = Joi.object<{ id: string }>({ id: FAILED_ID.required() });

const queued = (data: object, location: string): Reply => ({ status: 202, data, meta: {}, location });

interface Repair {
  document: Record<string, unknown>;
  fields?: Record<string, unknown>[];
}

/** @param entities names of all */
export const createOperationsRoutes = ({
  operations,
  entities,
}: {
  operations: OperationsService;
  entities: readonly string[];
}): Route[] => routesOf(operations, Joi.string().valid(...entities));

const routesOf = (operations: OperationsService, entityName: Joi.StringSchema): Route[] => [
  defineRoute({
    method: 'GET',
    path: '/admin/buffer',
    service: SERVICE,
    summary: 'What is buffered, by entity',
    mode: 'R',
    access: read,
    response: bufferView,
    handle: async () => ok(await operations.buffer()),
  }),
  defineRoute<{ entity: string; id: string }>({
    method: 'GET',
    path: '/admin/buffer/:entity/:id',
    service: SERVICE,
    summary: 'One buffered key, decoded, with its metadata',
    mode: 'R',
    access: read,
    params: Joi.object<{ entity: string; id: string }>({
      entity: Joi.string()
        .pattern(/^[a-z][a-z0-9_]{0,62}$/, 'entity name')
        .required(),
      id: Joi.string().max(200).required(),
    }),
    response: entryView,
    handle: async ({ params }) => ok(await operations.entry(params.entity, params.id)),
  }),
  defineRoute<{ id: string }>({
    method: 'GET',
    path: '/writes/:id',
    service: SERVICE,
    summary: 'Whether an acknowledged write is stored yet; its id is in `meta.writes` of its answer',
    mode: 'R',
    access: 'authenticated',
    params: Joi.object<{ id: string }>({ id: Joi.string().max(300).required() }),
    response: writeView,
    handle: async ({ params }) => ok(await operations.write(params.id)),
  }),
  defineRoute({
    method: 'POST',
    path: '/admin/sync',
    service: SERVICE,
    summary: 'Start a sync run now',
    mode: 'J',
    access: write,
    response: requestedRun,
    async handle(context) {
      const runId = await operations.sync(context);
      return queued({ runId }, `/api/v1/admin/sync/runs/${runId}`);
    },
  }),
  defineRoute<Record<string, never>, { limit: number }>({
    method: 'GET',
    path: '/admin/sync/runs',
    service: SERVICE,
    summary: 'The last sync runs, newest first',
    mode: 'R',
    access: read,
    query: Joi.object<{ limit: number }>({ limit: pageLimit }),
    response: runList,
    handle: async ({ query }) => ok(await operations.runs(query.limit)),
  }),
  defineRoute<{ id: string }>({
    method: 'GET',
    path: '/admin/sync/runs/:id',
    service: SERVICE,
    summary: 'One sync run and its summary',
    mode: 'R',
    access: read,
    params: Joi.object<{ id: string }>({ id: Joi.string().max(100).required() }),
    response: runView,
    handle: async ({ params }) => ok(await operations.run(params.id)),
  }),
  defineRoute<Record<string, never>, { entity?: string; limit: number; after?: string; resolved: boolean }>({
    method: 'GET',
    path: '/admin/failed-writes',
    service: SERVICE,
    summary: 'Writes that a database refused, oldest first; or the resolved ones',
    mode: 'R',
    access: read,
    query: Joi.object<{ entity?: string; limit: number; after?: string; resolved: boolean }>({
      entity: entityName,
      limit: pageLimit,
      after: FAILED_ID,
      resolved: Joi.boolean().default(false),
    }),
    response: failedList,
    async handle({ query }) {
      const { items, next, total } = await operations.failedWrites(query);
      return ok(items, { next_cursor: next ?? null, total });
    },
  }),
  defineRoute<{ id: string }>({
    method: 'GET',
    path: '/admin/failed-writes/:id',
    service: SERVICE,
    summary: 'One failed write with its document',
    mode: 'R',
    access: read,
    params: failedParams,
    response: failedView,
    handle: async ({ params }) => ok(await operations.failedWrite(params.id)),
  }),
  defineRoute<{ id: string }, Record<string, never>, Repair>({
    method: 'PATCH',
    path: '/admin/failed-writes/:id',
    service: SERVICE,
    summary: 'Repair the document of a failed write',
    mode: 'T',
    access: write,
    params: failedParams,
    body: Joi.object<Repair>({
      document: Joi.object().unknown().default({}),
      fields: Joi.array().items(Joi.object().unknown()).max(1_000),
    }),
    response: failedView,
    errors: ['VERSION_CONFLICT'],
    handle: async (context) => ok(await operations.repair(context, context.params.id, context.body)),
  }),
  defineRoute<Record<string, never>, { entity?: string }>({
    method: 'POST',
    path: '/admin/failed-writes/replay',
    service: SERVICE,
    summary: 'Try all failed writes again, or those of one entity',
    mode: 'J',
    access: write,
    query: Joi.object<{ entity?: string }>({ entity: entityName }),
    response: replayedWrites,
    async handle(context) {
      const replayed = await operations.replayAll(context, context.query.entity);
      return queued({ replayed }, '/api/v1/admin/failed-writes');
    },
  }),
  defineRoute<{ id: string }>({
    method: 'POST',
    path: '/admin/failed-writes/:id/replay',
    service: SERVICE,
    summary: 'Try a failed write again',
    mode: 'J',
    access: write,
    params: failedParams,
    response: replayedWrite,
    async handle(context) {
      const { entity, key, jobId } = await operations.replay(context, context.params.id);
      return queued(
        { id: failedWriteId(entity, key), jobId },
        `/api/v1/admin/failed-writes/${failedWriteId(entity, key)}`,
      );
    },
  }),
  defineRoute<{ id: string }, { reason: string }>({
    method: 'DELETE',
    path: '/admin/failed-writes/:id',
    service: SERVICE,
    summary: 'Give a failed write up, with the reason',
    mode: 'T',
    access: { capability: 'buffers', verb: 'x' },
    params: failedParams,
    query: Joi.object<{ reason: string }>({ reason: Joi.string().trim().min(5).max(500).required() }),
    response: discardedWrite,
    handle: async (context) => ok(await operations.discard(context, context.params.id, context.query.reason)),
  }),
];
