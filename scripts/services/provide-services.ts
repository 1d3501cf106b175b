import { access, chmod, constants, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SERVICE_NAMES, SERVICES } from './definitions.ts';
import { acquire, type Lease } from './supervisor-client.ts';
import { THROWAWAY_PREFIX } from './sweep-throwaways.ts';
import type { ProvidedService, ServiceDefinition, ServiceLog, UrlVariable } from './types.ts';

export interface ProvideOptions {
  /** Where provided servers keep their data; ignored with `throwaway`. Default `.data`. */
  dataDir?: string;
  /** Own servers on free ports in a temporary folder; when this process ends, in whatever way, both are gone. */
  throwaway?: boolean;
  log: ServiceLog;
  /** Added to redis-server's arguments, and stronger than ours: `['--maxmemory', '64mb']`. */
  redisArgs?: readonly string[];
  /** Added to postgres' arguments: `['-c', 'max_connections=50']`. */
  postgresArgs?: readonly string[];
  /** Where the URL variables are read. Default `process.env`. */
  env?: NodeJS.ProcessEnv;
}

export interface ProvidedServices {
  urls: Record<UrlVariable, string>;
  services: ProvidedService[];
  /** The folder of the provided servers; undefined when all three URLs were set. */
  dataDir: string | undefined;
  /** True when servers that another process of this data folder had started are shared. */
  isReused: boolean;
  /** Process that runs the provided servers. */
  supervisorPid: number | undefined;
  /** Stops what was started here, unless another process of the same data folder still uses it. */
  stop(): Promise<void>;
}

const PROTOCOLS: Record<UrlVariable, readonly string[]> = {
  DATABASE_URL: ['postgres:', 'postgresql:'],
  REDIS_URL: ['redis:', 'rediss:'],
  MONGO_URL: ['mongodb:', 'mongodb+srv:'],
};

/**
 * Sees to it that PostgreSQL, Redis and MongoDB are there: each by its URL variable where set, else a server found on PATH,
 * else one from a package. One log line says which was chosen.
 *
 * @throws Error naming the variable when a given server cannot be used, or saying what to install or set
 */
export async function provideServices(options: ProvideOptions): Promise<ProvidedServices> {
  const env = options.env ?? process.env;
  const definitions = SERVICE_NAMES.map((name) => SERVICES[name]);
  const given = definitions.filter(({ variable }) => env[variable]);
  const missing = definitions.filter(({ variable }) => !env[variable]);
  const fromEnvironment = await Promise.all(
    given.map((definition) => useGiven(definition, env[definition.variable]!, options.log)),
  );
  const dataDir = missing.length > 0 ? await openDataDir(options) : undefined;
  let lease: Lease | undefined;
  if (dataDir) {
    try {
      lease = await acquire({
        dataDir,
        throwaway: options.throwaway ?? false,
        services: missing.map(({ name }) => name),
        extraArgs: { redis: [...(options.redisArgs ?? [])], postgres: [...(options.postgresArgs ?? [])] },
        log: options.log,
      });
    } catch (error) {
      if (options.throwaway) await rm(dataDir, { recursive: true, force: true });
      throw error;
    }
  }
  const all = [...fromEnvironment, ...(lease?.services ?? [])];
  const services = SERVICE_NAMES.map((name) => all.find((service) => service.name === name)!);
  const urlOf = (wanted: UrlVariable): string => services.find(({ name }) => SERVICES[name].variable === wanted)!.url;
  let stopped: Promise<void> | undefined;
  return {
    urls: { DATABASE_URL: urlOf('DATABASE_URL'), REDIS_URL: urlOf('REDIS_URL'), MONGO_URL: urlOf('MONGO_URL') },
    services,
    dataDir,
    isReused: lease?.isReused ?? false,
    supervisorPid: lease?.supervisorPid,
    stop: () => {
      stopped ??= lease?.release() ?? Promise.resolve();
      return stopped;
    },
  };
}

async function openDataDir({ dataDir = '.data', throwaway }: ProvideOptions): Promise<string> {
  if (throwaway) {
    const folder = await realpath(await mkdtemp(join(tmpdir(), THROWAWAY_PREFIX)));
    // root's PostgreSQL may have to be another user, who must be able to pass through to its own folder
    if (process.getuid?.() === 0) await chmod(folder, 0o711);
    return folder;
  }
  const folder = resolve(dataDir);
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${folder} cannot be used (${code}); set DATA_DIR to a folder that you may write to`, {
      cause: error,
    });
  }
  return realpath(folder);
}

async function useGiven(definition: ServiceDefinition, url: string, log: ServiceLog): Promise<ProvidedService> {
  const { name, variable } = definition;
  const allowed = PROTOCOLS[variable];
  if (!allowed.some((protocol) => url.startsWith(`${protocol}//`))) {
    throw new Error(`${variable} must start with ${allowed.map((protocol) => `${protocol}//`).join(' or ')}`);
  }
  try {
    const identity = await definition.probe(url);
    log.info(
      `${name}: ${identity.kind} ${identity.version} (${variable} is set); unset ${variable} to have one provided`,
    );
    return { name, ...identity, url, source: 'environment' };
  } catch (error) {
    throw new Error(
      `${variable} is set, but the server it names cannot be used: ${reasonOf(error)}. Start that server, correct ${variable}, or unset it to have one provided`,
      { cause: error },
    );
  }
}

/** Code or message, never with a password in it. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const text = (message || code || 'no answer').replace(/\/\/[^@\s/]*@/g, '//…@');
  return code && !text.includes(code) ? `${text} (${code})` : text;
}
