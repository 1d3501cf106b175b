import { DelayedError, type Job } from 'bullmq';
import type { DeliverData, EmailData, NotificationData } from '../queues/notifications.queue.ts';
import { isDatabaseAway } from '../src/errors/driver-errors.ts';
import { MailNotSentError } from '../src/stores/mail/mailer.ts';

/** What a service does about the jobs of the queue. */
export interface NotificationJobs {
  deliver(data: DeliverData): Promise<void>;
  email(data: EmailData): Promise<void>;
}

const AGAIN_FIRST_MS = 1_000;
const AGAIN_MOST_MS = 30_000;
/**
 * A mailbox may be full for hours, and servers put off who is unknown to them for minutes. While the server is away, each try of
 * thousands of mails looks its notification and address up again.
 */
const MAIL_AGAIN_MOST_MS = 600_000;
/** What nobody has taken by then is old news. */
const MAIL_MOST_MS = 86_400_000;

/** How long a job may wait before it is tried again, if that is no fault of its own; undefined if it is. */
function mostWaitMs(error: unknown, sinceMs: number): number | undefined {
  if (isDatabaseAway(error)) return AGAIN_MOST_MS;
  if (!(error instanceof MailNotSentError)) return undefined;
  return error.isServerAway || (error.isTemporary && sinceMs < MAIL_MOST_MS) ? MAIL_AGAIN_MOST_MS : undefined;
}

/** While a database or the mail server is away jobs wait for it, longer each time, and use up no attempts. */
export const createNotificationProcessor =
  (jobs: NotificationJobs) =>
  async (job: Job<NotificationData>, token?: string): Promise<void> => {
    const { data, attemptsStarted, timestamp } = job;
    try {
      if ('topic' in data) await jobs.deliver(data);
      else await jobs.email(data);
    } catch (error) {
      const nowMs = Date.now();
      const mostMs = mostWaitMs(error, nowMs - timestamp);
      if (mostMs === undefined) throw error;
      await job.moveToDelayed(nowMs + Math.min(AGAIN_FIRST_MS * 2 ** Math.min(attemptsStarted, 20), mostMs), token);
      throw new DelayedError();
    }
  };
