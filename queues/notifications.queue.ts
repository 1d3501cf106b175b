import type { JobsOptions } from 'bullmq';

export const NOTIFICATIONS = 'notifications';

/** Tells those whom something concerns; who they are and what they read is found out when the job runs. */
export interface DeliverData {
  topic: string;
  /** Ids, dates and instants of what happened; never names or addresses. */
  about: Record<string, string>;
  /** When it was to run, ms; whoever runs it may have a clock that is behind. Absent where that was at once. */
  atMs?: number;
}

/** Sends a notification that its reader has in the application also by mail. */
export interface EmailData {
  userId: string;
  notificationId: string;
}

export type NotificationData = DeliverData | EmailData;

export const notificationOptions = {
  attempts: 8,
  backoff: { type: 'exponential', delay: 1_000, jitter: 0.5 }, // delay in ms
  removeOnComplete: true,
  removeOnFail: { age: 1_209_600, count: 10_000 },
} satisfies JobsOptions;

/** What people see in the application does not wait for mails. */
export const emailOptions = { ...notificationOptions, priority: 1 } satisfies JobsOptions;

/** One job a topic and thing: asking again while it waits changes nothing. */
export const deliverJobId = (topic: string, thing: string): string => `${topic}-${thing.replaceAll(':', '.')}`;
export const emailJobId = ({ notificationId }: EmailData): string => `email-${notificationId}`;
