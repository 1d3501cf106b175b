import type { Topic } from './notification-service.ts';

export const FLUSH_FAILED = 'platform.flush.failed';
export const BUFFER_STALLED = 'platform.buffer.stalled';

/**
 * What admins are told of the platform itself.
 *
 * @param admins users who look after it
 */
export const createPlatformTopics = (admins: () => Promise<string[]>): Topic[] => [
  {
    name: FLUSH_FAILED,
    severity: 'urgent',
    compose: async ({ entity, error, hour }) => ({
      userIds: await admins(),
      entity: entity!,
      // One of these an hour, not a day: what failed before may have been repaired since.
      day: hour!,
      title: `Writes of ${entity} have failed`,
      body: `A database has refused at least one (${error}). It is kept: repair, replay or discard it among the failed writes.`,
      data: { entity: entity!, error: error! },
    }),
  },
  {
    name: BUFFER_STALLED,
    severity: 'urgent',
    compose: async ({ entity, minutes, day }) => ({
      userIds: await admins(),
      entity: entity!,
      day: day!,
      title: `Writes of ${entity} are not stored`,
      body: `The oldest has waited for ${minutes} minutes, longer than promised. Nothing is lost; look at the databases and the sync runs.`,
      data: { entity: entity!, minutes: minutes! },
    }),
  },
];
