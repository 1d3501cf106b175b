import type { Engine } from './engine.ts';
import type { Lane } from './lib/entity.ts';

/** Promised age of a lane's oldest write, ms; bulk's is the sync interval. */
const FAST_MS = 60_000;
/** A run starts this far before the promise, so that it ends in time. */
const START_AT_SHARE = 0.9;

/** Asked every 15 s: whether a sync must start before its hour, because of age or memory (DESIGN §4). */
export function createSyncNeed(
  { buffer, registry, guard }: Engine,
  intervalMs: number,
): () => Promise<'age' | 'memory' | undefined> {
  const promisedMs: Record<Lane, number> = { urgent: FAST_MS, fast: FAST_MS, bulk: Math.max(intervalMs, FAST_MS) };
  return async () => {
    if ((await guard.checkMemory()) !== 'normal') return 'memory';
    for (const { entity, oldestMs } of await buffer.stats()) {
      if (oldestMs !== undefined && Date.now() - oldestMs > promisedMs[registry.get(entity).lane] * START_AT_SHARE)
        return 'age';
    }
    return undefined;
  };
}
