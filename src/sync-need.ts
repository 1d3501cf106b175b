import type { Engine } from './engine.ts';
import { promiseMs } from './lib/entity.ts';

/** A run starts this far before the promise, so that it ends in time. */
const START_AT_SHARE = 0.9;

/** Asked every 15 s: whether a sync must start before its hour, because of age or memory (DESIGN §4). */
export function createSyncNeed(
  { buffer, registry, guard }: Engine,
  intervalMs: number,
): () => Promise<'age' | 'memory' | undefined> {
  return async () => {
    if ((await guard.checkMemory()) !== 'normal') return 'memory';
    const stats = await buffer.stats();
    const nowMs = await buffer.nowMs();
    for (const { entity, oldestMs = nowMs } of stats) {
      if (nowMs - oldestMs > promiseMs(registry.get(entity).lane, intervalMs) * START_AT_SHARE) return 'age';
    }
    return undefined;
  };
}
