import type { Redis } from 'ioredis';
import type { BatchResult } from '../src/buffer/batch-writer.ts';
import type { BufferKeys } from '../src/buffer/keys.ts';
import type { SyncReason } from './sync.queue.ts';

/** What one entity's batches did in a run, in acknowledged writes. */
export interface EntitySummary extends Omit<BatchResult, 'leftReason' | 'failure'> {
  batches: number;
  leftReasons: string[];
}

/** One sync run as the API shows it. */
export interface SyncRun {
  id: string;
  state: 'running' | 'completed';
  reason: SyncReason;
  lanes: string[];
  startedAt: string;
  finishedAt?: string;
  durationMs?: number;
  /** Acknowledged writes: stored + superseded + failed + left = taken (I9). */
  taken: number;
  stored: number;
  superseded: number;
  failed: number;
  left: number;
  statements: number;
  /** Bytes of Redis memory in use before less after; negative when writes arrived faster than they were stored. */
  memoryFreedBytes?: number;
  entities: EntitySummary[];
}

const KEPT_RUNS = 200;
const RESULTS_TTL_SECONDS = 86_400;

/** Runs and the results of their batches, in Redis: a run survives the process that started it. */
export class SyncRuns {
  readonly #redis: Redis;
  readonly #keys: BufferKeys;

  constructor(redis: Redis, keys: BufferKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  async save(run: SyncRun): Promise<void> {
    await this.#redis.set(this.#keys.run(run.id), JSON.stringify(run));
    await this.#redis.zadd(this.#keys.runs(), Date.parse(run.startedAt), run.id);
    const old = await this.#redis.zrange(this.#keys.runs(), '0', String(-KEPT_RUNS - 1));
    if (old.length === 0) return;
    await this.#redis.zrem(this.#keys.runs(), ...old);
    for (const id of old) await this.#redis.del(this.#keys.run(id));
  }

  /** Removes a run that found nothing to do. */
  async forget(id: string): Promise<void> {
    await this.#redis.zrem(this.#keys.runs(), id);
    await this.#redis.del(this.#keys.run(id));
  }

  async get(id: string): Promise<SyncRun | undefined> {
    const content = await this.#redis.get(this.#keys.run(id));
    return content ? (JSON.parse(content) as SyncRun) : undefined;
  }

  /** Not known yet, or still running. */
  async isUnfinished(id: string): Promise<boolean> {
    return (await this.get(id))?.state !== 'completed';
  }

  /** Newest first. */
  async list(limit: number): Promise<SyncRun[]> {
    const ids = await this.#redis.zrange(this.#keys.runs(), '0', String(limit - 1), 'REV');
    const runs = await Promise.all(ids.map((id) => this.get(id)));
    return runs.filter((run) => run !== undefined);
  }

  async addResult(runId: string, batchId: string, result: BatchResult): Promise<void> {
    const key = `${this.#keys.run(runId)}:batches`;
    await this.#redis.multi().hset(key, batchId, JSON.stringify(result)).expire(key, RESULTS_TTL_SECONDS).exec();
  }

  /** Results so far by batch id. */
  async results(runId: string): Promise<Map<string, BatchResult>> {
    const found = await this.#redis.hgetall(`${this.#keys.run(runId)}:batches`);
    return new Map(Object.entries(found).map(([id, content]) => [id, JSON.parse(content) as BatchResult]));
  }

  resultCount(runId: string): Promise<number> {
    return this.#redis.hlen(`${this.#keys.run(runId)}:batches`);
  }
}
