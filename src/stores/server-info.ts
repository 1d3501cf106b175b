import type { Cluster, Redis } from 'ioredis';
import type { Knex } from 'knex';
import type { Db } from 'mongodb';

export interface ServerInfo {
  /** What it is to us. */
  name: 'postgres' | 'mongo' | 'redis';
  /** What it really is, for example `PostgreSQL`, `MongoDB`, `SecantusDB`, `Redis`, `Valkey`; `unknown` when it did not answer. */
  kind: string;
  version: string | null;
  /** Why it did not answer. */
  error?: string;
}

/** Servers that speak MongoDB's protocol name themselves in buildInfo; the `version` beside it is the one they imitate. */
const MONGO_LIKE: readonly { field: string; kind: string }[] = [
  { field: 'secantusVersion', kind: 'SecantusDB' },
  { field: 'ferretdbVersion', kind: 'FerretDB' },
];

/** Forks of Redis keep `redis_version` for old clients and add their own. */
const REDIS_LIKE: readonly { field: string; kind: string }[] = [
  { field: 'valkey_version', kind: 'Valkey' },
  { field: 'dragonfly_version', kind: 'Dragonfly' },
  { field: 'redis_version', kind: 'Redis' },
];

async function describePostgres(knex: Knex): Promise<Omit<ServerInfo, 'name'>> {
  const { rows } = await knex.raw("SELECT version() AS full, current_setting('server_version') AS version");
  const [{ full, version }] = rows as [{ full: string; version: string }];
  // 'PostgreSQL 16.9 on x86_64 …'; compatible servers put their own name first
  return { kind: full.split(' ')[0]!, version: version.split(' ')[0]! };
}

async function describeMongo(db: Db): Promise<Omit<ServerInfo, 'name'>> {
  const info = await db.command({ buildInfo: 1 });
  const like = MONGO_LIKE.find(({ field }) => typeof info[field] === 'string');
  return like ? { kind: like.kind, version: info[like.field] } : { kind: 'MongoDB', version: info.version };
}

async function describeRedis(redis: Redis | Cluster): Promise<Omit<ServerInfo, 'name'>> {
  const text = (await redis.call('INFO', 'server')) as string;
  const fields = new Map(text.split('\r\n').map((line) => line.split(':', 2) as [string, string]));
  const like = REDIS_LIKE.find(({ field }) => fields.has(field));
  return { kind: like?.kind ?? 'unknown', version: like ? fields.get(like.field)! : null };
}

/** Asks each server for its kind and version. One that does not answer is reported as such; nothing is thrown. */
export async function describeServers(servers: { knex: Knex; db: Db; redis: Redis | Cluster }): Promise<ServerInfo[]> {
  const asked: [ServerInfo['name'], Promise<Omit<ServerInfo, 'name'>>][] = [
    ['postgres', describePostgres(servers.knex)],
    ['mongo', describeMongo(servers.db)],
    ['redis', describeRedis(servers.redis)],
  ];
  return Promise.all(
    asked.map(async ([name, answer]): Promise<ServerInfo> => {
      try {
        return { name, ...(await answer) };
      } catch (error) {
        return { name, kind: 'unknown', version: null, error: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
}
