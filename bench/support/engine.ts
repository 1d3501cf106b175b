import { Redis } from 'ioredis';
import { type Config, loadConfig } from '../../src/config/index.ts';
import { type Container, createContainer } from '../../src/container.ts';
import { startEngine } from '../../src/engine.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { startSyncWorkers } from '../../src/sync-workers.ts';

export interface BenchEngine {
  container: Container;
  config: Config;
  close(): Promise<void>;
}

/** The real container on the throwaway servers. @param workers whether it stores what it buffers */
export async function openEngine(env: Record<string, string>, options: { workers: boolean }): Promise<BenchEngine> {
  const config = loadConfig({ ...process.env, RATE_LIMIT_FACTOR: '100000', LOG_LEVEL: 'error', ...env });
  const log = createLogger({ level: 'error', role: 'bench' });
  const container = createContainer({ config, log, role: options.workers ? 'worker' : 'web' });
  await startEngine(container.engine, log);
  const workers = options.workers ? await startSyncWorkers(container, config, log) : [];
  return {
    container,
    config,
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
      await container.close();
    },
  };
}

export async function withRedis<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(process.env.REDIS_URL!);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

/** All bytes that Redis counts as in use: values, keys, its own structures. Waits until it is done rewriting its log. */
export async function usedMemory(redis: Redis): Promise<number> {
  const read = (info: string, name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)![1]);
  for (let last = -1; ; ) {
    const info = await redis.info();
    const used = read(info, 'used_memory');
    const isQuiet = read(info, 'aof_rewrite_in_progress') === 0 && read(info, 'aof_rewrite_scheduled') === 0;
    if (isQuiet && Math.abs(used - last) < 4096) return used;
    last = used;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
