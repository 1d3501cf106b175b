import type { Clock } from '../../lib/clock.ts';
import type { EventConsumer } from '../../lib/events.ts';
import type { BufferStalled, FlushChanged, FlushFailed } from '../../live/platform-alerts.ts';
import type { AttendanceChanged } from '../attendance/attendance.events.ts';
import type { HomeworkChanged } from '../homework/homework.events.ts';
import type { School } from '../school/school.ts';
import { notificationEntity, notificationReadEntity } from './notification.entity.ts';
import type { NotificationService } from './notification-service.ts';
import { ABSENCE, ABSENCE_CORRECTED, HOMEWORK_DUE, HOMEWORK_PUBLISHED } from './notification-topics.ts';

import { BUFFER_STALLED, FLUSH_FAILED } from './platform-topics.ts';

const MINUTE_MS = 60_000;
/** DOMAIN §6: homework.reminder */
const REMINDER_MS = 24 * 60 * MINUTE_MS;

/** Turns events into notifications that are asked for; whether there is something to tell is judged when their time comes. */
export const createNotificationConsumers = ({
  notifications,
  school,
  clock,
}: {
  notifications: NotificationService;
  school: Pick<School, 'settings'>;
  clock: Clock;
}): EventConsumer[] => [
  {
    name: 'notifications-homework',
    service: 'dashboard',
    on: ['homework.published', 'homework.changed'],
    async handle({ name, payload }) {
      const { homework_id, publish_at, due_at, status } = payload as unknown as HomeworkChanged;
      if (status !== 'published') return;
      const now = clock.now();
      const visibleAt = new Date(publish_at);
      if (name === 'homework.published' || visibleAt > now)
        await notifications.request(
          HOMEWORK_PUBLISHED,
          `${homework_id}-${visibleAt.getTime()}`,
          { homework_id },
          visibleAt,
        );
      const remindAt = new Date(Date.parse(due_at) - REMINDER_MS);
      // What is given for tomorrow needs no reminder.
      if (remindAt > now && remindAt > visibleAt)
        await notifications.request(
          HOMEWORK_DUE,
          `${homework_id}-${Date.parse(due_at)}`,
          { homework_id, due_at },
          remindAt,
        );
    },
  },
  {
    name: 'notifications-attendance',
    service: 'dashboard',
    on: ['attendance.saved'],
    async handle({ id, at, payload }) {
      const { class_id, date, period, changed } = payload as unknown as AttendanceChanged;
      if (period !== 0) return;
      const { absence_notice_delay_min: delay } = await school.settings();
      for (const { student, old, new: status } of changed) {
        const about = { class_id, date, student_id: student };
        const noticeAt = new Date(Date.parse(at) + delay * MINUTE_MS);
        if (status === 'absent')
          await notifications.request(ABSENCE, `${student}-${date}-${noticeAt.getTime()}`, about, noticeAt);
        else if (old === 'absent') await notifications.request(ABSENCE_CORRECTED, `${student}-${date}-${id}`, about);
      }
    },
  },
  {
    name: 'notifications-platform',
    service: 'dashboard',
    on: ['platform.flush.failed', 'platform.buffer.stalled'],
    async handle({ name, payload }) {
      if (name === 'platform.flush.failed') {
        const { entity, error, hour } = payload as unknown as FlushFailed;
        await notifications.request(FLUSH_FAILED, `${entity}-${hour}`, { entity, error, hour });
        return;
      }
      const { entity, age_seconds, day } = payload as unknown as BufferStalled;
      const minutes = String(Math.floor(age_seconds / 60));
      await notifications.request(BUFFER_STALLED, `${entity}-${day}`, { entity, minutes, day });
    },
  },
  {
    name: 'notifications-unread',
    service: 'dashboard',
    on: ['platform.flush.repaired', 'platform.flush.discarded'],
    async handle({ payload }) {
      const { entity, key } = payload as unknown as FlushChanged;
      if (entity === notificationEntity.name || entity === notificationReadEntity.name)
        await notifications.countAnew(key.split(':')[0]!);
    },
  },
];
