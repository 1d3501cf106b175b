import type { Job } from 'bullmq';
import type { DeliverData, EmailData, NotificationData } from '../queues/notifications.queue.ts';

/** What a service does about the jobs of the queue. */
export interface NotificationJobs {
  deliver(data: DeliverData): Promise<void>;
  email(data: EmailData): Promise<void>;
}

export const createNotificationProcessor =
  (jobs: NotificationJobs) =>
  async ({ data }: Job<NotificationData>): Promise<void> => {
    if ('topic' in data) await jobs.deliver(data);
    else await jobs.email(data);
  };
