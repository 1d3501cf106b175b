import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { createPostgres } from '../src/stores/postgres/connect.ts';
import { loadRefs } from './support/documents.ts';
import { withRedis } from './support/engine.ts';
import { homeworkRequests, startServer, stopServer } from './support/homework-load.ts';
import { closedLoop } from './support/load.ts';
import { report, say } from './support/report.ts';

/**
 * CPU time of a request, by process: a teacher's POST of a homework over 64 connections against our server and against the
 * ceiling (the same without the write). Unlike throughput it hardly depends on what else the machine does.
 * `--profile` also writes V8 profiles of the web process to bench/results.
 */
const VARIANTS = ['ours', 'ceiling'] as const;
const CONNECTIONS = 64;
const ROUNDS = 5;
const WARM_UP_MS = 3_000;
const ROUND_MS = 3_000;
/** Of /proc/<pid>/stat on Linux: hundredths of a second. */
const TICK_MICROS = 10_000;

/** CPU time of a process so far, µs; counted by Linux. */
function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in brackets and may hold anything; user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
}

const pidOf = async (redis: Redis): Promise<number> =>
  Number(/^process_id:(\d+)/m.exec(await redis.info('server'))![1]);

const knex = createPostgres({ url: process.env.DATABASE_URL!, maxConnections: 1 });
await loadRefs(knex);
await knex.destroy();
const profile = process.argv.includes('--profile') ? ['--cpu-prof', '--cpu-prof-dir=bench/results'] : [];
const servers = await Promise.all(VARIANTS.map((name) => startServer(name, profile)));
const requests = await homeworkRequests(servers[0]!.port);
const micros = { ours: [] as number[], ceiling: [] as number[], redis: [] as number[] };
await withRedis(async (redis) => {
  const redisPid = await pidOf(redis);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [index, name] of VARIANTS.entries()) {
      const { child, port } = servers[index]!;
      const before = { web: cpuMicros(child.pid!), redis: cpuMicros(redisPid) };
      const target = { host: '127.0.0.1', port, requests };
      const { latenciesMs, statuses, throughput } = await closedLoop(
        target,
        CONNECTIONS,
        round === 0 ? WARM_UP_MS : ROUND_MS,
      );
      const answers = latenciesMs.length;
      if (statuses[2] !== answers) throw new Error(`${name} answered ${JSON.stringify(statuses)}`);
      const web = (cpuMicros(child.pid!) - before.web) / answers;
      const store = (cpuMicros(redisPid) - before.redis) / answers;
      say(
        `${round === 0 ? 'warm-up' : `round ${round}`} ${name.padEnd(8)} web ${web.toFixed(1)} µs, Redis ${store.toFixed(1)} µs a request (${Math.round(throughput)} requests/s)`,
      );
      for (const pattern of ['bench{*:b:*', 'bench{*:dirty', 'bench{*:r:*', 'bench{*:counters']) {
        for await (const keys of redis.scanStream({ match: pattern, count: 1_000 }))
          if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
      }
      if (round === 0) continue;
      micros[name].push(web);
      if (name === 'ours') micros.redis.push(store);
    }
  }
});
for (const server of servers) await stopServer(server, 'SIGTERM');
// The least: whatever else runs only adds to it.
const least = (values: readonly number[]): number => Math.min(...values);
const [web, ceiling, redis] = [least(micros.ours), least(micros.ceiling), least(micros.redis)];
report(
  {
    bench: 'cost',
    figures: {
      web_micros: web,
      redis_micros: redis,
      ceiling_web_micros: ceiling,
      web_over_ceiling: web / ceiling,
    },
    rounds: micros.ours.map((_, index) => ({
      web: micros.ours[index],
      redis: micros.redis[index],
      ceiling: micros.ceiling[index],
    })),
  },
  {},
  { connections: CONNECTIONS },
);
