import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { SchoolHarness } from './harness.ts';
import { until } from './until.ts';

/** Something that is kept, and a change that must not leave it stale. */
export interface Pair {
  /** The key that holds it in Redis. */
  key: () => string;
  change: string;
  read: () => Promise<unknown>;
  make: () => Promise<unknown>;
  /** What is read afterwards, of what was read before. */
  // Each pair reads something of its own shape.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  expected: (before: any) => unknown;
  /** It follows from an event, or from rows that are stored meanwhile: it shows a moment later. */
  isTold?: true;
}

/** Resolves when all events are delivered and what they asked for is done. */
export const quiet = (school: SchoolHarness): Promise<true> =>
  until('no event and no notification under way', async () => {
    const { queues, eventLog } = school.engine;
    const unsent = await school.rows('SELECT 1 FROM outbox_events WHERE published_at IS NULL LIMIT 1');
    for (let shard = 0; shard < eventLog.shards; shard++) await eventLog.trim(shard, Date.now());
    if (unsent.length > 0 || (await eventLog.length()) > 0) return undefined;
    const { active, waiting } = await queues.notifications.getJobCounts('active', 'waiting');
    return active === 0 && waiting === 0 ? true : undefined;
  });

/** A test of each pair: fills the cache, makes the change, reads again. */
export const sees = (school: SchoolHarness, name: string, pairs: readonly Pair[]): void => {
  describe(name, () => {
    it.each(pairs)('after $change', async ({ key, read, make, expected, isTold }) => {
      // What earlier changes have caused is not taken for this one's.
      await quiet(school);
      const before = await read();
      expect(await read()).toEqual(before);
      expect(await school.engine.redis.exists(key()), 'nothing is kept').toBe(1);
      await make();
      const wanted = expected(before);
      expect(wanted, 'the change changes nothing').not.toEqual(before);
      if (isTold)
        await until('the change', async () => (isDeepStrictEqual(await read(), wanted) ? true : undefined)).catch(
          // What is read instead is said below.
          () => {},
        );
      expect(await read()).toEqual(wanted);
    });
  });
};
