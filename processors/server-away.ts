import { isDatabaseAway } from '../src/errors/driver-errors.ts';
import { MailNotSentError } from '../src/stores/mail/mailer.ts';

/** Work that needs a server waits for it; that it is away is no fault of the work. */
export const isServerAway = (error: unknown): boolean =>
  isDatabaseAway(error) || (error instanceof MailNotSentError && error.isServerAway);
