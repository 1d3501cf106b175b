import type { Knex } from 'knex';
import { nightlyPurge, PLATFORM, type ScheduledTask } from '../lib/scheduled-task.ts';
import { purgeKeys } from '../stores/postgres/once-only.ts';
import { purgeSent } from '../stores/postgres/outbox.ts';
import type { ActivityLog } from './activity-log/activity-log.ts';

/** What is cleared away of the tables that all services write. */
export const createPlatformTasks = ({ knex, activity }: { knex: Knex; activity: ActivityLog }): ScheduledTask[] => [
  nightlyPurge(PLATFORM, 'idempotency-keys', { purge: (run) => purgeKeys(knex, run) }),
  nightlyPurge(PLATFORM, 'outbox-events', { purge: (run) => purgeSent(knex, run) }),
  nightlyPurge(PLATFORM, 'activity-logs', activity),
];
