import type { Db } from 'mongodb';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import { isDatabaseAway } from '../../errors/driver-errors.ts';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';
import { purgeExpired } from '../../stores/mongo/purge.ts';
import type { Position } from '../../stores/postgres/conditions.ts';
import type { Notification } from './notification.entity.ts';

export interface StoredNotification extends Notification {
  read_at: string | null;
}

export interface NotificationPage {
  items: StoredNotification[];
  next?: Position;
  degraded: string[];
}

type Archived = Omit<Notification, 'id' | 'created_at' | 'expire_at'> & {
  _id: string;
  created_at: Date;
  expire_at: Date;
  read_at?: Date;
};

const COLLECTION = 'notification_archive';

/** Newest first; ids decide between those of one instant. */
const orderOf = ({ created_at, id }: Pick<Notification, 'created_at' | 'id'>): string => `${created_at} ${id}`;

/** A person's notifications: what is archived, with what the buffer still holds over it. */
export class NotificationStore {
  readonly #buffer: WriteBuffer;
  readonly #db: Db;

  constructor({ buffer, db }: { buffer: WriteBuffer; db: Db }) {
    this.#buffer = buffer;
    this.#db = db;
  }

  /** Removes what nobody needs any more; servers with TTL indexes do so by themselves. */
  purge(run: TaskRun): Promise<TaskResult> {
    return purgeExpired(this.#db, COLLECTION, run);
  }

  /** @param unread only those that are not read, or only those that are */
  async page(
    userId: string,
    { unread, after, limit }: { unread?: boolean | undefined; after?: Position | undefined; limit: number },
  ): Promise<NotificationPage> {
    const { fresh, reads } = await this.#pending(userId);
    const { found, degraded } = await this.#archived(userId, {
      unread,
      after,
      reads: [...reads.keys()],
      limit: limit + 1,
    });
    // What is archived already has its first text and its reading; the buffer may hold it once more.
    const all = new Map([...fresh, ...found].map((notification) => [notification.id, notification]));
    const items = [...all.values()]
      .map((notification) => ({ ...notification, read_at: earlier(notification.read_at, reads.get(notification.id)) }))
      .filter(({ read_at }) => unread === undefined || unread === (read_at === null))
      .filter(
        (notification) => !after || orderOf(notification) < orderOf({ created_at: String(after.value), id: after.id }),
      )
      .sort((a, b) => (orderOf(a) < orderOf(b) ? 1 : -1));
    const page = items.slice(0, limit);
    const last = page.at(-1);
    return {
      items: page,
      ...(last && items.length > limit ? { next: { value: last.created_at, id: last.id } } : {}),
      degraded,
    };
  }

  /** Not read yet. @throws when MongoDB is away */
  async countUnread(userId: string): Promise<number> {
    const { fresh, reads } = await this.#pending(userId);
    const freshIds = fresh.map(({ user_id, id }) => `${user_id}:${id}`);
    const readIds = [...reads.keys()].map((id) => `${userId}:${id}`);
    const collection = this.#db.collection<Archived>(COLLECTION);
    const [archived, known] = await Promise.all([
      collection.countDocuments({ user_id: userId, read_at: null as unknown as Date, _id: { $nin: readIds } }),
      freshIds.length === 0 ? [] : collection.find({ _id: { $in: freshIds } }, { projection: { _id: 1 } }).toArray(),
    ]);
    const stored = new Set(known.map(({ _id }) => _id));
    const unstored = fresh.filter(({ user_id, id }) => !reads.has(id) && !stored.has(`${user_id}:${id}`));
    return archived + unstored.length;
  }

  async find(userId: string, id: string): Promise<StoredNotification | undefined> {
    const { fresh } = await this.#pending(userId);
    const archived = await this.#db.collection<Archived>(COLLECTION).findOne({ _id: `${userId}:${id}` });
    return archived ? fromArchive(archived) : fresh.find((notification) => notification.id === id);
  }

  /** Those of some people who have a notification already. @param ids of it, by user */
  async told(ids: ReadonlyMap<string, string>): Promise<Set<string>> {
    const pending = await this.#buffer.pendingOf('notification', 'user_id', [...ids.keys()]);
    const told = new Set<string>();
    for (const { document } of pending) {
      const userId = String(document.user_id);
      if (ids.get(userId) === document.id) told.add(userId);
    }
    const others = [...ids].filter(([userId]) => !told.has(userId)).map(([userId, id]) => `${userId}:${id}`);
    const archived = await this.#db
      .collection<Archived>(COLLECTION)
      .find({ _id: { $in: others } }, { projection: { user_id: 1 } })
      .toArray();
    for (const { user_id } of archived) told.add(user_id);
    return told;
  }

  /** Those of a person among some ids. */
  async existing(userId: string, ids: readonly string[]): Promise<string[]> {
    const { fresh } = await this.#pending(userId);
    const pending = new Set(fresh.map(({ id }) => id));
    const others = ids.filter((id) => !pending.has(id)).map((id) => `${userId}:${id}`);
    const found =
      others.length === 0
        ? []
        : await this.#db
            .collection<Archived>(COLLECTION)
            .find({ _id: { $in: others } }, { projection: { _id: 1 } })
            .toArray();
    const archived = new Set(found.map(({ _id }) => idOf(_id)));
    return ids.filter((id) => pending.has(id) || archived.has(id));
  }

  async #pending(userId: string) {
    const [fresh, reads] = await Promise.all([
      this.#buffer.pendingOf('notification', 'user_id', [userId]),
      this.#buffer.pendingOf('notification_read', 'user_id', [userId]),
    ]);
    return {
      fresh: fresh.map(
        ({ document }): StoredNotification => ({ ...(document as unknown as Notification), read_at: null }),
      ),
      reads: new Map(reads.map(({ document }) => [String(document.id), String(document.read_at)])),
    };
  }

  async #archived(
    userId: string,
    query: { unread: boolean | undefined; after: Position | undefined; reads: string[]; limit: number },
  ): Promise<{ found: StoredNotification[]; degraded: string[] }> {
    const { unread, after, reads, limit } = query;
    const ids = reads.map((id) => `${userId}:${id}`);
    const instant = after && new Date(String(after.value));
    const conditions: object[] = [{ user_id: userId }];
    if (unread === true) conditions.push({ read_at: null, _id: { $nin: ids } });
    if (unread === false) conditions.push({ $or: [{ read_at: { $ne: null } }, { _id: { $in: ids } }] });
    if (after)
      conditions.push({
        $or: [{ created_at: { $lt: instant } }, { created_at: instant, _id: { $lt: `${userId}:${after.id}` } }],
      });
    try {
      const found = await this.#db
        .collection<Archived>(COLLECTION)
        .find({ $and: conditions })
        .sort({ created_at: -1, _id: -1 })
        .limit(limit)
        .toArray();
      return { found: found.map(fromArchive), degraded: [] };
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      return { found: [], degraded: ['mongo'] };
    }
  }
}

const idOf = (key: string): string => key.slice(key.indexOf(':') + 1);

const fromArchive = ({ _id, created_at, expire_at, read_at, ...rest }: Archived): StoredNotification => ({
  ...rest,
  id: idOf(_id),
  created_at: created_at.toISOString(),
  expire_at: expire_at.toISOString(),
  read_at: read_at?.toISOString() ?? null,
});

function earlier(a: string | null, b: string | undefined): string | null {
  if (a === null || b === undefined) return a ?? b ?? null;
  return a < b ? a : b;
}
