import type { Knex } from 'knex';
import type { EventConsumer } from '../../lib/events.ts';
import type { AudienceNews, LiveAudience } from '../../live/audience-news.ts';
import type { NotificationService, Topic } from '../notifications/notification-service.ts';
import { shortened } from '../notifications/shortened.ts';
import type { School } from '../school/school.ts';
import { type Audience, stateAt } from './announcement.ts';
import { recipientsOf } from './announcement-recipients.ts';
import type { AnnouncementStore } from './announcement-store.ts';

/** The topic; DOMAIN §6 makes the dedupe key of it: `announcement:<id>:<day>`. */
export const ANNOUNCEMENT = 'announcement';

type Published = Audience & { announcement_id: string };

const liveAudienceOf = ({ class_id, role }: Audience): LiveAudience => {
  if (class_id !== null) return `class:${class_id}`;
  return role === null ? 'school' : `role:${role}`;
};

/** The texts as they are when their time has come; one that was taken back or is over is not told. */
export const createAnnouncementTopic = ({
  knex,
  store,
  school,
}: {
  knex: Knex;
  store: AnnouncementStore;
  school: School;
}): Topic => ({
  name: ANNOUNCEMENT,
  severity: 'info',
  async compose({ announcement_id }, now) {
    const announcement = await store.find(announcement_id!);
    if (!announcement?.announced_at || stateAt(announcement, now) !== 'current') return undefined;
    return {
      userIds: recipientsOf(knex, announcement, await school.dateAt(now)),
      entity: announcement.id,
      // A job that goes on after midnight tells nobody twice.
      day: await school.dateAt(new Date(announcement.announced_at)),
      ...shortened(announcement),
      data: { announcement_id: announcement.id },
    };
  },
});

/** Tells open streams at once, with one message however many there are, and asks for everybody's notification. */
export const createAnnouncementConsumer = ({
  notifications,
  audienceNews,
}: {
  notifications: Pick<NotificationService, 'request'>;
  audienceNews: Pick<AudienceNews, 'publish'>;
}): EventConsumer => ({
  name: 'announcements',
  service: 'dashboard',
  on: ['announcement.published'],
  async handle({ at, payload }) {
    const { announcement_id, ...audience } = payload as unknown as Published;
    // At once, and as of then: this process' clock may be behind.
    const told = new Date(at);
    await notifications.request(ANNOUNCEMENT, announcement_id, { announcement_id }, told, told);
    await audienceNews.publish(liveAudienceOf(audience), 'announcement.published', {
      announcement_id,
    });
  },
});
