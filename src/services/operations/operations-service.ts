import { replay } from '../../../queues/failed-jobs.ts';
import { requestSync } from '../../../queues/request-sync.ts';
import type { SyncRun } from '../../../queues/sync-runs.ts';
import { CODECS } from '../../buffer/codec/codecs.ts';
import { type FailedWrite, parseFailedWriteId } from '../../buffer/failed-writes.ts';
import { HEADER_BYTES } from '../../buffer/header.ts';
import { isBundleKey } from '../../buffer/keys.ts';
import type { Engine } from '../../engine.ts';
import { NotFoundError, ValidationError } from '../../errors/catalogue.ts';
import { type Document, type EntityDefinition, isKeyOf, keyOf } from '../../lib/entity.ts';
import { type EventName, stampEvent } from '../../lib/events.ts';
import type { RequestContext } from '../../lib/route.ts';
import { parseWriteId } from '../../lib/write-receipt.ts';
import type { FlushChanged } from '../../live/platform-alerts.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';

type Caller = Pick<RequestContext, 'actor' | 'requestId' | 'ip' | 'now' | 'newId'>;

const toView = ({
  firstAtMs,
  lastAtMs,
  resolvedAtMs,
  waitingFor,
  jobId,
  resolvedBy,
  supersededBy,
  ...rest
}: FailedWrite) => ({
  ...rest,
  waiting_for: waitingFor ?? null,
  job_id: jobId ?? null,
  first_at: new Date(firstAtMs).toISOString(),
  last_at: new Date(lastAtMs).toISOString(),
  ...(resolvedAtMs === undefined
    ? {}
    : { resolved_at: new Date(resolvedAtMs).toISOString(), resolved_by: resolvedBy ?? null }),
  ...(supersededBy === undefined ? {} : { superseded_by: supersededBy }),
});

/** What operators and admins see and do: the buffer, sync runs, failed writes. Everything they change is audited. */
export class OperationsService {
  readonly #engine: Engine;
  readonly #activity: ActivityLog;

  constructor({ engine, activity }: { engine: Engine; activity: ActivityLog }) {
    this.#engine = engine;
    this.#activity = activity;
  }

  async buffer() {
    const { buffer, guard } = this.#engine;
    const stats = await buffer.stats();
    const now = Date.now();
    return {
      entities: stats.map(({ entity, entries, rawBytes, storedBytes, failed, oldestMs }) => ({
        entity,
        dirty: entries,
        failed,
        original_bytes: rawBytes,
        compressed_bytes: storedBytes,
        ratio: rawBytes === 0 ? null : Math.round((storedBytes / rawBytes) * 1000) / 1000,
        oldest_age_seconds: oldestMs === undefined ? null : Math.max(0, Math.round((now - oldestMs) / 1000)),
      })),
      memory: { used_bytes: guard.memory.usedBytes, limit_bytes: guard.memory.limitBytes, pressure: guard.pressure },
    };
  }

  /** @throws NotFoundError when the entity is unknown or the key is not buffered */
  async entry(entityName: string, key: string) {
    const { buffer, registry } = this.#engine;
    const entity = registry.find(entityName);
    if (!entity)
      throw new NotFoundError(
        `no entity "${entityName}"; known are ${registry
          .all()
          .map(({ name }) => name)
          .join(', ')}`,
      );
    const [write] =
      isKeyOf(entity, key) || isBundleKey(entity, key)
        ? await buffer.fetch(entity.name, await buffer.entryKeys(entity.name, [key]))
        : [];
    if (!write) throw new NotFoundError(`${entity.name} ${key} is not in the buffer`);
    const { bundle } = write;
    const bundled = bundle?.documents
      .filter((document) => write.key === key || keyOf(entity, document) === key)
      .map((document) => ['document', { header: bundle.header, document }] as const);
    const parts = [...(bundled ?? []), ...(write.head ? [['document', write.head] as const] : []), ...write.fields];
    return {
      entity: entity.name,
      key,
      state: write.state,
      version: write.version,
      /** Key of the entry that it shares with others; sizes and writes are those of all of them. */
      bundle: bundle ? write.key : null,
      broken: write.broken ?? null,
      parts: parts.map(([name, { header, document }]) => ({
        name,
        document,
        metadata: {
          compressed: header.codecId !== 0,
          codec: CODECS.find(({ id }) => id === header.codecId)?.name ?? 'unknown',
          original_size: header.rawBytes,
          compressed_size: header.storedBytes - HEADER_BYTES,
          timestamp: new Date(header.lastWriteMs).toISOString(),
          first_write: new Date(header.firstWriteMs).toISOString(),
          writes: header.writes,
          tombstone: header.isTombstone,
          synced_to_db: false,
        },
      })),
    };
  }

  /** What became of an acknowledged write. @throws NotFoundError for an id that no write of this school can have */
  async write(id: string) {
    const receipt = parseWriteId(id);
    const found = receipt && (await this.#engine.writeStates.of(receipt));
    if (!found) throw new NotFoundError('no write has this id: it is one of `meta.writes` of an answer');
    return { id, entity: receipt.entity, version: receipt.version, ...found };
  }

  async sync(caller: Caller): Promise<string> {
    const runId = await requestSync(this.#engine.queues, 'admin');
    await this.#activity.record(caller, {
      service: 'operations',
      action: 'sync.request',
      entity: { type: 'sync_run', id: runId },
    });
    return runId;
  }

  runs(limit: number): Promise<SyncRun[]> {
    return this.#engine.runs.list(limit);
  }

  /** A run that waits for its turn is known to its queue. @throws NotFoundError */
  async run(id: string): Promise<SyncRun | { id: string; state: string }> {
    const run = await this.#engine.runs.get(id);
    if (run) return run;
    const state = await this.#engine.queues.sync.getJobState(id);
    if (state === 'unknown') throw new NotFoundError();
    return { id, state: state === 'completed' ? 'completed' : 'waiting' };
  }

  async failedWrites({
    entity,
    limit,
    after,
    resolved,
  }: {
    entity?: string;
    limit: number;
    after?: string;
    resolved: boolean;
  }) {
    const { failedWrites } = this.#engine;
    const all = resolved
      ? (await failedWrites.resolved(1_000)).filter((record) => !entity || record.entity === entity)
      : await failedWrites.list(entity);
    const start = after ? all.findIndex(({ id }) => id === after) + 1 : 0;
    const page = all.slice(start, start + limit);
    return {
      items: page.map(toView),
      total: all.length,
      next: start + limit < all.length ? page.at(-1)?.id : undefined,
    };
  }

  async failedWrite(id: string) {
    const record = await this.#record(id);
    const [write] = await this.#engine.buffer.fetch(record.entity, [record.key]);
    return {
      ...toView(record),
      document: write?.broken ? null : (write?.head?.document ?? null),
      fields: write && write.fields.size > 0 ? [...write.fields.values()].map(({ document }) => document) : null,
    };
  }

  /**
   * Merges the given values into the failed document; it stays set aside until it is replayed.
   *
   * @throws ValidationError when the result breaks the entity's schema
   */
  async repair(caller: Caller, id: string, { document, fields }: { document: Document; fields?: Document[] }) {
    const { buffer, registry, failedWrites } = this.#engine;
    const record = await this.#record(id);
    const entity = registry.get(record.entity);
    const [write] = await buffer.fetch(record.entity, [record.key]);
    if (!write) throw new NotFoundError();
    if (isBundleKey(entity, record.key))
      throw new ValidationError({
        errors: [{ pointer: '/document', detail: 'several documents that cannot be read: discard them' }],
      });
    const before = write.broken ? {} : (write.head?.document ?? {});
    const known = Object.fromEntries(
      entity.key.map((column, index) => [column, before[column] ?? record.key.split(':')[index]]),
    );
    const after = validated(entity, 'document', { ...before, ...document, ...known });
    const member = entity.fields?.key;
    const changed = (fields ?? []).map((field) =>
      validated(entity, 'field', { ...write.fields.get(String(field[member!]))?.document, ...field }),
    );
    const repaired = await failedWrites.repair(record, after, changed);
    await this.#tell(caller, 'platform.flush.repaired', record);
    await this.#activity.record(caller, {
      service: 'operations',
      action: 'failed_write.repair',
      entity: { type: record.entity, id: record.key },
      before: { version: record.version, code: record.code },
      after: {
        version: repaired.version,
        changed: [...Object.keys(document), ...(fields ?? []).map((field) => String(field[member!]))],
      },
    });
    return this.failedWrite(id);
  }

  async replay(caller: Caller, id: string): Promise<{ entity: string; key: string; jobId: string }> {
    const { queues, failedWrites } = this.#engine;
    const record = await this.#record(id);
    const jobId = await replay(queues, failedWrites, record);
    await this.#activity.record(caller, {
      service: 'operations',
      action: 'failed_write.replay',
      entity: { type: record.entity, id: record.key },
    });
    return { entity: record.entity, key: record.key, jobId };
  }

  /** @returns how many; those that wait for a parent follow it by themselves */
  async replayAll(caller: Caller, entity?: string): Promise<number> {
    const records = (await this.#engine.failedWrites.list(entity)).filter(({ state }) => state === 'failed');
    for (const record of records) await this.replay(caller, record.id);
    return records.length;
  }

  async discard(caller: Caller, id: string, reason: string) {
    const { failedWrites, reservations, registry, buffer } = this.#engine;
    const record = await this.#record(id);
    const [write] = await buffer.fetch(record.entity, [record.key]);
    const orphans = await failedWrites.discard(record, caller.actor.login, reason, caller.now.getTime());
    if (write?.head && !write.broken) await reservations.end(registry.get(record.entity), [write.head.document]);
    await this.#tell(caller, 'platform.flush.discarded', record);
    await this.#activity.record(caller, {
      service: 'operations',
      action: 'failed_write.discard',
      entity: { type: record.entity, id: record.key },
      before: { version: record.version, code: record.code },
      after: { reason },
    });
    return { id, resolution: 'discarded', orphans: orphans.map((orphan) => orphan.id) };
  }

  /** Reads show failed writes as acknowledged: what an admin makes of one is a change. */
  async #tell(caller: Caller, name: EventName, { entity, key }: FailedWrite): Promise<void> {
    const payload: FlushChanged = { entity, key };
    const event = stampEvent(caller, { name, aggregateId: key, payload: { ...payload } });
    await this.#engine.writer.tell([event]);
  }

  async #record(id: string): Promise<FailedWrite> {
    const record = parseFailedWriteId(id) ? await this.#engine.failedWrites.get(id) : undefined;
    if (!record) throw new NotFoundError('no failed write has this id; it may be resolved by now');
    return record;
  }
}

function validated(entity: EntityDefinition, part: 'document' | 'field', document: Document): Document {
  const schema = part === 'field' ? entity.fieldSchema : entity.schema;
  const { error, value } = schema!.validate(document, { abortEarly: false, errors: { label: false } });
  if (!error) return value;
  throw new ValidationError({
    errors: error.details.map(({ path, message }) => ({ pointer: `/${part}/${path.join('/')}`, detail: message })),
  });
}
