import Joi from 'joi';
import { IMPORT_KINDS } from '../../../queues/imports.queue.ts';
import { idParams, isoInstant, uuid, view } from '../../lib/joi.ts';
import { defineRoute, ok, type Route } from '../../lib/route.ts';
import type { ImportService, JobView } from './import-service.ts';

const count = Joi.number().integer().min(0);
export const jobView = view({
  id: uuid,
  kind: Joi.string().valid(...IMPORT_KINDS),
  dry_run: Joi.boolean(),
  state: Joi.string().valid('waiting', 'active', 'completed', 'failed'),
  progress_bp: count.max(10_000),
  created_at: isoInstant,
  finished_at: isoInstant.allow(null),
  result: view({
    rows: count,
    stored: count,
    failed: count,
    errors: Joi.array().items(
      view({ line: count, column: Joi.string().allow(null), code: Joi.string(), detail: Joi.string() }),
    ),
    errors_left_off: count,
  }).allow(null),
});

const toJob = ({ id, data, state, progressBp, createdAt, finishedAt, result }: JobView) => ({
  id,
  kind: data.kind,
  dry_run: data.isDryRun,
  state,
  progress_bp: progressBp,
  created_at: createdAt,
  finished_at: finishedAt,
  result: result && {
    rows: result.rows,
    stored: result.stored,
    failed: result.failed,
    errors: result.errors.map(({ line, column, code, detail }) => ({ line, column, code, detail })),
    errors_left_off: result.errorsLeftOff,
  },
});

export const createImportRoutes = ({ imports }: { imports: ImportService }): Route[] => [
  ...IMPORT_KINDS.map((kind) =>
    defineRoute<Record<string, never>, Record<string, never>, { file_id: string; dry_run: boolean }>({
      method: 'POST',
      path: `/imports/${kind}`,
      service: 'auth',
      summary: `Import ${kind} from an uploaded CSV; the job tells what became of each row`,
      mode: 'J',
      access: { capability: 'users', verb: 'w' },
      rateLimit: 'imports',
      body: Joi.object({ file_id: uuid.required(), dry_run: Joi.boolean().default(false) }),
      response: jobView,
      errors: ['BAD_HEADER', 'BAD_CSV', 'FILE_NOT_READY', 'STORAGE_UNAVAILABLE'],
      async handle(context) {
        const job = await imports.request(context, kind, context.body.file_id, context.body.dry_run);
        return { status: 202, data: toJob(job), location: `/api/v1/jobs/${job.id}` };
      },
    }),
  ),
  defineRoute<{ id: string }>({
    method: 'GET',
    path: '/jobs/:id',
    service: 'auth',
    summary: 'What became of a job that one asked for',
    mode: 'R',
    access: 'authenticated',
    params: idParams,
    response: jobView,
    handle: async (context) => ok(toJob(await imports.job(context, context.params.id))),
  }),
];
