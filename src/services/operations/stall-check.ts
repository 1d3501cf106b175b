import type { Engine } from '../../engine.ts';
import { promiseMs } from '../../lib/entity.ts';
import { PLATFORM, type ScheduledTask } from '../../lib/scheduled-task.ts';
import type { School } from '../school/school.ts';

const MINUTE_MS = 60_000;
/** A run that is under way, or a lane's next one, is no stall. */
const GRACE_MS = MINUTE_MS;

/**
 * Looks each minute whether acknowledged writes wait for longer than their lane promises, and tells admins.
 *
 * @param prepare asked each time: what is needed to tell somebody is kept for when the databases are away, which is when it stalls
 */
export const createStallCheck = ({
  engine: { buffer, registry, alerts, intervalMs },
  school,
  prepare,
}: {
  engine: Pick<Engine, 'buffer' | 'registry' | 'alerts' | 'intervalMs'>;
  school: Pick<School, 'dateAt'>;
  prepare: () => Promise<unknown>;
}): ScheduledTask => ({
  name: 'stall-check',
  service: PLATFORM,
  schedule: { everyMs: MINUTE_MS },
  async run({ now }) {
    await prepare();
    const day = await school.dateAt(now);
    const done = { stalled: 0, told: 0 };
    const stats = await buffer.stats();
    const nowMs = await buffer.nowMs();
    for (const { entity, oldestMs = nowMs } of stats) {
      const ageMs = nowMs - oldestMs;
      if (ageMs <= promiseMs(registry.get(entity).lane, intervalMs) + GRACE_MS) continue;
      done.stalled++;
      if (await alerts.stalled({ entity, age_seconds: Math.round(ageMs / 1_000), day }, now.getTime())) done.told++;
    }
    return done;
  },
});
