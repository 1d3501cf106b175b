import {
  type DeliverData,
  deliverJobId,
  type EmailData,
  emailJobId,
  type NOTIFICATIONS,
  notificationOptions,
} from '../../../queues/notifications.queue.ts';
import type { Writer } from '../../buffer/writer.ts';
import type { Cache } from '../../cache/cache.ts';
import type { Engine } from '../../engine.ts';
import { isDatabaseAway } from '../../errors/driver-errors.ts';
import { addDays, type Clock, instantOf, schoolDateOf, schoolTimeOf } from '../../lib/clock.ts';
import type { Document } from '../../lib/entity.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { WriteReceipt } from '../../lib/write-receipt.ts';
import type { UserStreams } from '../../live/user-streams.ts';
import type { Mailer } from '../../stores/mail/mailer.ts';
import type { Position } from '../../stores/postgres/conditions.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import type { AuthStore } from '../auth/auth-store.ts';
import type { School } from '../school/school.ts';
import { type Notification, notificationId, type Severity } from './notification.entity.ts';
import type { NotificationPage, NotificationStore } from './notification-store.ts';

/** What a topic has to say when its time has come. */
export interface Composed {
  /** Those who are told; many of them come in pages, so that they are never held together. */
  userIds: readonly string[] | AsyncIterable<readonly string[]>;
  /** The thing and the day of the dedupe key `topic:entity:day`; today unless given. */
  entity: string;
  day?: string;
  title: string;
  body: string;
  data: Record<string, string>;
}

/** A kind of notification. Names and texts are found when it is delivered; jobs hold ids. */
export interface Topic {
  name: string;
  severity: Severity;
  /** @returns undefined when there is nothing to tell any more */
  compose(about: Readonly<Record<string, string>>): Promise<Composed | undefined>;
}

export interface NotificationDeps {
  writer: Writer;
  cache: Cache;
  queue: Engine['queues'][typeof NOTIFICATIONS];
  userStreams: UserStreams;
  store: NotificationStore;
  contacts: Pick<AuthStore, 'findContact' | 'whoWantMails'>;
  school: Pick<School, 'timezone'>;
  mailer: Mailer;
  activity: ActivityLog;
  clock: Clock;
}

const DAY_MS = 86_400_000;
const KEPT_DAYS = 180;
/** DOMAIN §6 */
const QUIET_FROM = '21:00';
const QUIET_TO = '06:00';
/** DOMAIN §7 `notifications:unread:{user}` */
const UNREAD_SECONDS = 3_600;
/** Told at the same time: their writes share commits. */
const TOLD_AT_ONCE = 100;
/** The notification is written by then. */
const MAIL_AFTER_MS = 500;
/** Marked as read at once at most. */
const MOST_READ = 500;

const unreadKey = (userId: string): string => `notifications:unread:${userId}`;

/** Tells people what concerns them: in the application always, by mail if they want it, and at once on their open streams. */
export class NotificationService {
  readonly #deps: NotificationDeps;
  readonly #topics = new Map<string, Topic>();

  constructor(deps: NotificationDeps) {
    this.#deps = deps;
  }

  addTopics(topics: readonly Topic[]): this {
    for (const topic of topics) this.#topics.set(topic.name, topic);
    return this;
  }

  /**
   * Asks for a notification; asked again for the same thing while it waits, it is one.
   *
   * @param thing unique to what is told, in its topic
   * @param at when it is told; now unless given
   */
  async request(topic: string, thing: string, about: Record<string, string>, at?: Date): Promise<void> {
    const delay = at ? Math.max(0, at.getTime() - this.#deps.clock.now().getTime()) : 0;
    const data: DeliverData = { topic, about };
    const jobId = deliverJobId(topic, thing);
    await this.#deps.queue.add('deliver', data, { ...notificationOptions, jobId, delay });
  }

  /** Does what a job asks for; at night it waits for the morning, unless it is urgent. */
  async deliver({ topic: name, about }: DeliverData): Promise<void> {
    const { clock, school } = this.#deps;
    const topic = this.#topics.get(name);
    if (!topic) throw new Error(`there is no topic ${name}`);
    const now = clock.now();
    const timezone = await school.timezone();
    const morning = topic.severity === 'urgent' ? undefined : endOfQuiet(now, timezone);
    if (morning) {
      const held = `${Object.values(about).join('-')}-held-${morning.getTime()}`;
      await this.request(name, held, about, morning);
      return;
    }
    const composed = await topic.compose(about);
    if (!composed) return;
    const day = composed.day ?? schoolDateOf(now, timezone);
    const { title, body, data, entity, userIds } = composed;
    const told = {
      topic: topic.name,
      title,
      body,
      data,
      severity: topic.severity,
      created_at: now.toISOString(),
      dedupe_key: `${topic.name}:${entity}:${day}`,
      expire_at: new Date(now.getTime() + KEPT_DAYS * DAY_MS).toISOString(),
    };
    const pages = Symbol.asyncIterator in userIds ? userIds : [userIds];
    for await (const page of pages) {
      for (let at = 0; at < page.length; at += TOLD_AT_ONCE) await this.#tell(page.slice(at, at + TOLD_AT_ONCE), told);
    }
  }

  /** Those who were told before are left out, so a job that runs again goes on where it had stopped. */
  async #tell(userIds: readonly string[], told: Omit<Notification, 'user_id' | 'id' | 'channels'>): Promise<void> {
    const { store, contacts } = this.#deps;
    const ids = new Map(userIds.map((userId) => [userId, notificationId(userId, told.dedupe_key)]));
    const [known, mailed] = await Promise.all([
      // Where the archive cannot be asked, it keeps the first itself.
      store.told(ids).catch(noneIfAway),
      contacts.whoWantMails(userIds).catch((error: unknown) => {
        // What is urgent is told where it can be; the rest waits, and is mailed as well.
        if (told.severity !== 'urgent') throw error;
        return noneIfAway(error);
      }),
    ]);
    await Promise.all(
      [...ids]
        .filter(([userId]) => !known.has(userId))
        .map(([user_id, id]) =>
          this.#add({ ...told, user_id, id, channels: { in_app: true, email: mailed.has(user_id) } }),
        ),
    );
  }

  async #add(notification: Notification): Promise<void> {
    const { writer, userStreams, cache, queue } = this.#deps;
    const { user_id: userId, id, topic, title, body, data, severity, channels } = notification;
    // Before the notification, which says that this person has been told; after it, a crash would cost the mail.
    if (channels.email) {
      const mail: EmailData = { userId, notificationId: id };
      await queue.add('email', mail, { ...notificationOptions, jobId: emailJobId(mail), delay: MAIL_AFTER_MS });
    }
    await writer.put('notification', notification as unknown as Document);
    await cache.drop(unreadKey(userId));
    await userStreams.append(userId, 'notification.created', { id, topic, title, body, data, severity });
  }

  /** Mails a notification; addresses are in no job and no log. */
  async email({ userId, notificationId: id }: EmailData): Promise<void> {
    const { store, contacts, mailer } = this.#deps;
    const notification = await store.find(userId, id);
    // The mail's job may run before its notification is written.
    if (!notification) throw new Error('the notification is not there yet');
    const contact = await contacts.findContact(userId);
    if (!contact?.email || contact.status !== 'active') return;
    await mailer.send({ id, to: contact.email, subject: notification.title, text: notification.body });
  }

  list(
    { actor }: Pick<RequestContext, 'actor'>,
    query: { unread?: boolean; after?: Position; limit: number },
  ): Promise<NotificationPage> {
    return this.#deps.store.page(actor.userId, query);
  }

  async unread(userId: string): Promise<number> {
    const { cache, store } = this.#deps;
    const load = () => store.countUnread(userId);
    return (
      await cache.get({ name: unreadKey(userId), ttlSeconds: UNREAD_SECONDS, staleSeconds: UNREAD_SECONDS, load })
    ).value;
  }

  /** What is kept of a person's count holds no more. */
  async countAnew(userId: string): Promise<void> {
    await this.#deps.cache.drop(unreadKey(userId));
  }

  /**
   * Marks notifications of the caller as read; others, and those that are read, stay as they are.
   *
   * @param ids or none: all that are unread, 500 at most
   */
  async read(
    caller: Pick<RequestContext, 'actor' | 'requestId' | 'ip' | 'now' | 'newId'>,
    ids: readonly string[] | undefined,
  ): Promise<{ read: string[]; receipts: WriteReceipt[] }> {
    const { store, writer, cache, userStreams, activity } = this.#deps;
    const { userId } = caller.actor;
    const own = ids
      ? await store.existing(userId, ids)
      : (await store.page(userId, { unread: true, limit: MOST_READ })).items.map(({ id }) => id);
    const read_at = caller.now.toISOString();
    const receipts = await Promise.all(
      own.map((id) => writer.put('notification_read', { user_id: userId, id, read_at })),
    );
    if (own.length > 0) {
      await activity.record(caller, {
        service: 'dashboard',
        action: 'notification.read',
        entity: { type: 'user', id: userId },
        after: { count: own.length },
      });
      await cache.drop(unreadKey(userId));
      // The person's other devices.
      await userStreams.append(userId, 'notification.read', own.length <= 100 ? { ids: own } : { all: true });
    }
    return { read: own, receipts };
  }
}

/** When a quiet night ends; undefined by day. */
export function endOfQuiet(now: Date, timezone: string): Date | undefined {
  const time = schoolTimeOf(now, timezone);
  const date = schoolDateOf(now, timezone);
  if (time < QUIET_TO) return instantOf(date, QUIET_TO, timezone);
  return time >= QUIET_FROM ? instantOf(addDays(date, 1), QUIET_TO, timezone) : undefined;
}

function noneIfAway(error: unknown): ReadonlySet<string> {
  if (!isDatabaseAway(error)) throw error;
  return new Set();
}
