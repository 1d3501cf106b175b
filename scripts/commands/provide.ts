import { progressLog } from '../lib/progress-log.ts';
import { type ProvidedServices, provideServices } from '../services/provide-services.ts';
import { CommandError } from './command.ts';

/** The servers of DATA_DIR (default `.data`), or throwaway ones; their memory limit can be set by REDIS_MAXMEMORY. */
export async function provide({ throwaway = false }: { throwaway?: boolean } = {}): Promise<ProvidedServices> {
  const { DATA_DIR, REDIS_MAXMEMORY } = process.env;
  try {
    return await provideServices({
      throwaway,
      ...(DATA_DIR ? { dataDir: DATA_DIR } : {}),
      redisArgs: REDIS_MAXMEMORY ? ['--maxmemory', REDIS_MAXMEMORY] : [],
      log: progressLog,
    });
  } catch (error) {
    throw new CommandError((error as Error).message, { cause: error });
  }
}

/** Runs `work` with the servers and lets go of them after it, however it ends. */
export async function withServices<T>(
  options: { throwaway?: boolean },
  work: (services: ProvidedServices) => Promise<T>,
): Promise<T> {
  const services = await provide(options);
  try {
    return await work(services);
  } finally {
    await services.stop();
  }
}
