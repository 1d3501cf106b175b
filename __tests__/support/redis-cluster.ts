import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { SERVICES } from '../../scripts/services/definitions.ts';
import { until } from './until.ts';

const MASTERS = 3;
const SLOTS = 16_384;
/** The cluster bus listens 10,000 ports above. */
const HIGHEST_PORT = 50_000;

export interface RedisCluster {
  /** All nodes, separated by commas. */
  url: string;
  close(): Promise<void>;
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port > HIGHEST_PORT ? port - 30_000 : port));
    });
  });

/** Three masters on loopback, all slots served. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'schools24-cluster-'));
  const { file } = await SERVICES.redis.choose({ info: () => {}, warn: () => {} });
  const nodes: { child: ChildProcess; port: number; redis: Redis }[] = [];
  for (let index = 0; index < MASTERS; index++) {
    const port = await freePort();
    const settings: [string, string][] = [
      ['port', String(port)],
      ['bind', '127.0.0.1'],
      ['cluster-enabled', 'yes'],
      ['cluster-config-file', `nodes-${port}.conf`],
      ['dir', folder],
      ['appendonly', 'yes'],
      ['appendfilename', `${port}.aof`],
      ['appendfsync', 'always'],
      ['maxmemory-policy', 'noeviction'],
      ['save', ''],
      ['hash-max-ziplist-entries', '512'],
      ['hash-max-ziplist-value', '1024'],
    ];
    const args = settings.flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn(file, args, { stdio: 'ignore', cwd: folder });
    const redis = new Redis(port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: null });
    redis.on('error', () => {});
    await redis.ping();
    nodes.push({ child, port, redis });
  }
  for (const [index, { redis }] of nodes.entries()) {
    const from = Math.ceil((SLOTS / MASTERS) * index);
    const to = Math.ceil((SLOTS / MASTERS) * (index + 1));
    await redis.cluster('ADDSLOTS', ...Array.from({ length: to - from }, (_, slot) => from + slot));
    await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
  }
  for (const { port } of nodes.slice(1)) await nodes[0]!.redis.cluster('MEET', '127.0.0.1', port);
  for (const { redis } of nodes) {
    await until('the cluster', async () =>
      String(await redis.cluster('INFO')).includes('cluster_state:ok') ? true : undefined,
    );
  }
  // The harness counts sockets to these ports; ours have done their work.
  for (const { redis } of nodes) redis.disconnect();
  return {
    url: nodes.map(({ port }) => `redis://127.0.0.1:${port}`).join(','),
    async close() {
      for (const { child } of nodes) child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
