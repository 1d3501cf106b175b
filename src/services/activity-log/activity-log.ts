import type { Db } from 'mongodb';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { Writer } from '../../buffer/writer.ts';
import { isDatabaseAway } from '../../errors/driver-errors.ts';
import type { Actor } from '../../lib/actor.ts';
import type { Document } from '../../lib/entity.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';
import { purgeExpired } from '../../stores/mongo/purge.ts';

export interface Activity {
  service: string;
  /** `entity.verb` */
  action: string;
  entity: { type: string; id: string };
  /** Grades, money and attendance keep both. */
  before?: unknown;
  after?: unknown;
  /** Grades, money and roles are kept for seven years. */
  isLongLived?: boolean;
}

/** Whom and which request a line names; a request that proves its user in another way than by a login has one as well. */
export type ActivityOrigin = Pick<RequestContext, 'requestId' | 'ip' | 'now' | 'newId'> & {
  actor: Pick<Actor, 'userId' | 'roles'>;
};

const COLLECTION = 'activity_logs';
const DAY_MS = 86_400_000;
const KEPT_DAYS = 400;
const LONG_KEPT_DAYS = 7 * 365;

export interface ActivityFilter {
  actor?: string;
  entity?: string;
  action?: string;
  from?: string;
  limit: number;
  /** Instant and id of the last line of the page before. */
  after?: { value: string; id: string };
}

export interface ActivityPage {
  lines: Document[];
  next?: { value: string; id: string };
  /** Databases that could not be asked: only pending lines are shown. */
  degraded: string[];
}

/** The audit log: appended in the buffer with each change, read with what is still pending. */
export class ActivityLog {
  readonly #buffer: WriteBuffer;
  readonly #writer: Writer;
  readonly #db: Db;

  constructor({ buffer, writer, db }: { buffer: WriteBuffer; writer: Writer; db: Db }) {
    this.#buffer = buffer;
    this.#writer = writer;
    this.#db = db;
  }

  /** Appends a line; a request that is repeated with its Idempotency-Key appends the same line again. */
  async record(origin: ActivityOrigin, activity: Activity): Promise<void> {
    const { actor, requestId, ip, now, newId } = origin;
    const { service, action, entity, before, after, isLongLived } = activity;
    await this.#writer.put('activity_log', {
      id: newId(),
      at: now.toISOString(),
      actor: { user_id: actor.userId, roles: actor.roles },
      service,
      action,
      entity,
      request_id: requestId,
      ip,
      outcome: 'ok',
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
      expire_at: new Date(now.getTime() + (isLongLived ? LONG_KEPT_DAYS : KEPT_DAYS) * DAY_MS).toISOString(),
    });
  }

  /** Newest first. */
  async list(filter: ActivityFilter): Promise<ActivityPage> {
    // Pending lines first: one that is stored in between is read twice, and shown once.
    const pending = (await this.#buffer.pendingAll('activity_log'))
      .map(({ document }) => document)
      .filter((line) => matches(line, filter));
    const { stored, degraded } = await this.#stored(filter);
    const lines = new Map<string, Document>();
    for (const line of stored) lines.set(line.id as string, line);
    for (const line of pending) lines.set(line.id as string, { ...line, pending: true });
    const all = [...lines.values()].sort(newestFirst);
    const page = all.slice(0, filter.limit);
    const last = page.at(-1);
    return {
      lines: page,
      ...(last && all.length > filter.limit ? { next: { value: last.at as string, id: last.id as string } } : {}),
      degraded,
    };
  }

  /** Removes lines whose time is over; servers with TTL indexes do so by themselves. */
  purge(run: TaskRun): Promise<TaskResult> {
    return purgeExpired(this.#db, COLLECTION, run);
  }

  async #stored(filter: ActivityFilter): Promise<{ stored: Document[]; degraded: string[] }> {
    try {
      const found = await this.#db
        .collection<{ _id: string }>(COLLECTION)
        .find(queryOf(filter))
        .sort({ at: -1, _id: -1 })
        .limit(filter.limit + 1)
        .toArray();
      return { stored: (found as unknown as MongoLine[]).map(lineOf), degraded: [] };
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      return { stored: [], degraded: ['mongo'] };
    }
  }
}

type MongoLine = Document & { _id: string; at: Date };

const lineOf = ({ _id, version: _, deleted_at: _deleted, at, ...line }: MongoLine): Document => ({
  id: _id,
  at: at.toISOString(),
  ...line,
});

function queryOf({ actor, entity, action, from, after }: ActivityFilter): Document {
  const instant = after ? new Date(after.value) : undefined;
  return {
    ...(actor ? { 'actor.user_id': actor } : {}),
    ...(entity ? { 'entity.id': entity } : {}),
    ...(action ? { action } : {}),
    ...(from ? { at: { $gte: new Date(from) } } : {}),
    ...(after ? { $or: [{ at: { $lt: instant } }, { at: instant, _id: { $lt: after.id } }] } : {}),
  };
}

const orderOf = ({ at, id }: Document): string => `${at} ${id}`;
const newestFirst = (a: Document, b: Document): number => (orderOf(a) < orderOf(b) ? 1 : -1);

const matches = (line: Document, { actor, entity, action, from, after }: ActivityFilter): boolean =>
  (!actor || (line.actor as { user_id: string }).user_id === actor) &&
  (!entity || (line.entity as { id: string }).id === entity) &&
  (!action || line.action === action) &&
  (!from || (line.at as string) >= from) &&
  (!after || orderOf(line) < orderOf({ at: after.value, id: after.id }));
