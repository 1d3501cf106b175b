import type { Queue } from 'bullmq';
import type { SyncRun } from '../queues/sync-runs.ts';
import type { BatchResult } from './buffer/batch-writer.ts';
import type { Engine } from './engine.ts';
import type { Metrics } from './lib/metrics.ts';

/** What the engine and HTTP tell Prometheus (DESIGN §7). Gauges are read when somebody scrapes. */
export interface EngineMetrics {
  observeRequest(route: string, method: string, status: number, seconds: number): void;
  observeCache(name: string, isHit: boolean): void;
  observeBatch(result: BatchResult): void;
  observeRun(run: SyncRun): void;
  /** Registers the gauges that ask the engine. */
  watch(engine: Engine): void;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function createEngineMetrics(metrics: Metrics): EngineMetrics {
  const requests = metrics.histogram({
    name: 'http_request_duration_seconds',
    help: 'Time to answer a request',
    labels: ['route', 'method', 'status'],
    buckets: SECONDS,
  });
  const cacheReads = metrics.counter({
    name: 'redis_cache_reads_total',
    help: 'Reads of the cache by result',
    labels: ['result'],
  });
  const batches = metrics.histogram({
    name: 'db_write_latency',
    help: 'Time of one batch from buffer to database, seconds',
    labels: ['entity'],
    buckets: SECONDS,
  });
  const writes = metrics.counter({
    name: 'batch_processor_writes_total',
    help: 'Acknowledged writes by what became of them',
    labels: ['entity', 'outcome'],
  });
  const runs = metrics.histogram({
    name: 'batch_processor_duration',
    help: 'Time of a sync run, seconds',
    labels: ['reason'],
    buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900],
  });
  const caches = new Map<string, { reads: number; hits: number }>();
  let stored = 0;
  let failed = 0;
  let lastRunMs = 0;

  return {
    observeRequest: (route, method, status, seconds) => {
      if (metrics.isEnabled) requests.observe({ route, method, status: String(status) }, seconds);
    },
    observeCache: (name, isHit) => {
      const kind = cacheKind(name);
      for (const known of ['all', kind]) {
        const count = caches.get(known) ?? { reads: 0, hits: 0 };
        caches.set(known, { reads: count.reads + 1, hits: count.hits + (isHit ? 1 : 0) });
      }
      if (metrics.isEnabled) cacheReads.inc({ result: isHit ? 'hit' : 'miss' });
    },
    observeBatch: (result) => {
      batches.observe({ entity: result.entity }, result.durationMs / 1000);
      for (const outcome of ['stored', 'superseded', 'failed', 'left'] as const) {
        if (result[outcome] > 0) writes.inc({ entity: result.entity, outcome }, result[outcome]);
      }
      stored += result.stored;
      failed += result.failed;
    },
    observeRun: (run) => {
      lastRunMs = Date.now();
      runs.observe({ reason: run.reason }, (run.durationMs ?? 0) / 1000);
    },
    watch: ({ buffer, guard, queues }) => {
      metrics.gauge(
        {
          name: 'redis_cache_hit_rate',
          help: 'Share of cache reads that found a fresh answer since start, by what is cached; all of it is "all"',
          labels: ['cache'],
        },
        (gauge) => {
          gauge.set({ cache: 'all' }, 0);
          for (const [cache, { reads, hits }] of caches) gauge.set({ cache }, hits / reads);
        },
      );
      metrics.gauge(
        { name: 'batch_processor_success_rate', help: 'Share of writes stored without failure since start' },
        (gauge) => gauge.set(stored + failed === 0 ? 1 : stored / (stored + failed)),
      );
      metrics.gauge({ name: 'sync_run_age_seconds', help: 'Since this process finished a run' }, (gauge) =>
        gauge.set(lastRunMs === 0 ? 0 : (Date.now() - lastRunMs) / 1000),
      );
      metrics.gauge({ name: 'redis_memory_used_bytes', help: "Memory of the buffer's Redis" }, (gauge) =>
        gauge.set(guard.memory.usedBytes),
      );
      const ratio = metrics.gauge({
        name: 'redis_compression_ratio',
        help: 'Stored bytes over raw JSON bytes of what is buffered',
        labels: ['entity'],
      });
      const oldest = metrics.gauge({
        name: 'buffer_oldest_dirty_seconds',
        help: 'Age of the oldest write that no database has',
        labels: ['entity'],
      });
      const failures = metrics.gauge({ name: 'buffer_failed_writes', help: 'Writes set aside', labels: ['entity'] });
      metrics.gauge(
        { name: 'buffer_entries', help: 'Entries that no database has', labels: ['entity'] },
        async (gauge) => {
          const stats = await buffer.stats();
          const nowMs = await buffer.nowMs();
          for (const { entity, entries, rawBytes, storedBytes, failed: parked, oldestMs = nowMs } of stats) {
            gauge.set({ entity }, entries);
            failures.set({ entity }, parked);
            oldest.set({ entity }, (nowMs - oldestMs) / 1000);
            ratio.set({ entity }, rawBytes === 0 ? 0 : storedBytes / rawBytes);
          }
        },
      );
      metrics.gauge(
        { name: 'queue_jobs', help: 'Jobs by queue and state', labels: ['queue', 'state'] },
        async (gauge) => {
          for (const queue of Object.values(queues) as Queue[]) {
            const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed');
            for (const [state, count] of Object.entries(counts)) gauge.set({ queue: queue.name, state }, count);
          }
        },
      );
    },
  };
}

/** What kind of answer a key names, such as `dashboard:student`: its words, without the ids that follow. */
export const cacheKind = (name: string): string => /^[a-z_]+(?::[a-z_]+(?=:|$))?/.exec(name)?.[0] ?? 'other';
