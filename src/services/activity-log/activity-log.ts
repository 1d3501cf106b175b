import type { Db } from 'mongodb';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { Document } from '../../lib/entity.ts';
import { newId } from '../../lib/ids.ts';
import type { RequestContext } from '../../lib/route.ts';

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

const DAY_MS = 86_400_000;
const KEPT_DAYS = 400;
const LONG_KEPT_DAYS = 7 * 365;

export interface ActivityFilter {
  actor?: string;
  entity?: string;
  action?: string;
  from?: string;
  before?: string;
  limit: number;
}

/** The audit log: appended in the buffer with each change, read with what is still pending. */
export class ActivityLog {
  readonly #buffer: WriteBuffer;
  readonly #db: Db;

  constructor({ buffer, db }: { buffer: WriteBuffer; db: Db }) {
    this.#buffer = buffer;
    this.#db = db;
  }

  async record(
    context: Pick<RequestContext, 'actor' | 'requestId' | 'ip' | 'now' | 'newId'>,
    activity: Activity,
  ): Promise<void> {
    const { actor, requestId, ip, now } = context;
    const { service, action, entity, before, after, isLongLived } = activity;
    await this.#buffer.put('activity_log', {
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

  /** Newest first; `before` is the instant of the last line of the page before. */
  async list(filter: ActivityFilter): Promise<Document[]> {
    const pending = (await this.#buffer.pendingAll('activity_log'))
      .map(({ document }) => document)
      .filter((line) => matches(line, filter));
    const query: Record<string, unknown> = {};
    if (filter.actor) query['actor.user_id'] = filter.actor;
    if (filter.entity) query['entity.id'] = filter.entity;
    if (filter.action) query.action = filter.action;
    if (filter.from || filter.before) {
      query.at = {
        ...(filter.from ? { $gte: new Date(filter.from) } : {}),
        ...(filter.before ? { $lt: new Date(filter.before) } : {}),
      };
    }
    const stored = await this.#db
      .collection('activity_logs')
      .find(query)
      .sort({ at: -1, _id: -1 })
      .limit(filter.limit + pending.length)
      .toArray();
    const lines = new Map<string, Document>();
    for (const { _id, version: _, ...line } of stored) {
      lines.set(String(_id), { id: String(_id), ...line, at: (line.at as Date).toISOString() });
    }
    for (const line of pending) lines.set(line.id as string, { ...line, pending: true });
    return [...lines.values()].sort(newestFirst).slice(0, filter.limit);
  }
}

const newestFirst = (a: Document, b: Document): number => (`${a.at}${a.id}` < `${b.at}${b.id}` ? 1 : -1);

const matches = (line: Document, { actor, entity, action, from, before }: ActivityFilter): boolean =>
  (!actor || (line.actor as { user_id: string }).user_id === actor) &&
  (!entity || (line.entity as { id: string }).id === entity) &&
  (!action || line.action === action) &&
  (!from || (line.at as string) >= from) &&
  (!before || (line.at as string) < before);
