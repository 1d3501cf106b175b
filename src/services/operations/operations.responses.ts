import Joi from 'joi';
import { SYNC_REASONS } from '../../../queues/sync.queue.ts';
import { CODECS } from '../../buffer/codec/codecs.ts';
import { isoInstant, version, view } from '../../lib/joi.ts';

const count = Joi.number().integer().min(0);
/** A stored document as it is, whatever its entity. */
const document = Joi.object().unknown();

export const bufferView = view({
  entities: Joi.array().items(
    view({
      entity: Joi.string(),
      dirty: count,
      failed: count,
      original_bytes: count,
      compressed_bytes: count,
      ratio: Joi.number().min(0).allow(null),
      oldest_age_seconds: count.allow(null),
    }),
  ),
  memory: view({
    used_bytes: count,
    limit_bytes: count,
    pressure: Joi.string().valid('normal', 'soft', 'hard'),
  }),
});

export const entryView = view({
  entity: Joi.string(),
  key: Joi.string(),
  state: Joi.string().valid('dirty', 'failed', 'waiting'),
  version,
  broken: Joi.string().allow(null),
  /** Key of the entry that it shares with others of the same commit. */
  bundle: Joi.string().allow(null),
  parts: Joi.array().items(
    view({
      name: Joi.string(),
      document,
      metadata: view({
        compressed: Joi.boolean(),
        codec: Joi.string().valid(...CODECS.map(({ name }) => name), 'unknown'),
        original_size: count,
        compressed_size: count,
        timestamp: isoInstant,
        first_write: isoInstant,
        writes: count,
        tombstone: Joi.boolean(),
        synced_to_db: Joi.boolean(),
      }),
    }),
  ),
});

export const writeView = view({
  id: Joi.string(),
  entity: Joi.string(),
  version,
  state: Joi.string().valid('buffered', 'stored', 'superseded', 'failed', 'waiting', 'discarded'),
  database: Joi.string().valid('postgres', 'mongo'),
});

export const requestedRun = view({ runId: Joi.string() });

const sums = { taken: count, stored: count, superseded: count, failed: count, left: count, statements: count };

const startedRun = view({
  id: Joi.string(),
  state: Joi.string().valid('running', 'completed'),
  reason: Joi.string().valid(...SYNC_REASONS),
  lanes: Joi.array().items(Joi.string().valid('urgent', 'fast', 'bulk')),
  startedAt: isoInstant,
  finishedAt: isoInstant.optional(),
  durationMs: Joi.number().min(0).optional(),
  ...sums,
  memoryFreedBytes: Joi.number().integer().optional(),
  entities: Joi.array().items(
    view({
      entity: Joi.string(),
      ...sums,
      durationMs: Joi.number().min(0),
      batches: count,
      leftReasons: Joi.array().items(Joi.string()),
    }),
  ),
});

export const runList = Joi.array().items(startedRun);

/** One that waits for its turn has nothing to tell yet. */
export const runView = Joi.alternatives().try(
  startedRun,
  view({ id: Joi.string(), state: Joi.string().valid('waiting', 'completed') }),
);

const failed = {
  id: Joi.string(),
  entity: Joi.string(),
  key: Joi.string(),
  state: Joi.string().valid('failed', 'waiting'),
  version,
  code: Joi.string(),
  message: Joi.string().allow(''),
  constraint: Joi.string().optional(),
  column: Joi.string().optional(),
  waiting_for: view({ entity: Joi.string(), key: Joi.string() }).allow(null),
  attempts: count,
  job_id: Joi.string().allow(null),
  first_at: isoInstant,
  last_at: isoInstant,
  resolution: Joi.string().valid('stored', 'superseded', 'discarded').optional(),
  resolved_at: isoInstant.optional(),
  resolved_by: Joi.string().allow(null).optional(),
  superseded_by: version.optional(),
  reason: Joi.string().optional(),
};

export const failedList = Joi.array().items(view(failed));

export const failedView = view({
  ...failed,
  document: document.allow(null),
  fields: Joi.array().items(document).allow(null),
});

export const replayedWrites = view({ replayed: count });

export const replayedWrite = view({ id: Joi.string(), jobId: Joi.string() });

export const discardedWrite = view({
  id: Joi.string(),
  resolution: Joi.string().valid('discarded'),
  orphans: Joi.array().items(Joi.string()),
});
