import { createPostgres } from '../src/stores/postgres/connect.ts';
import { loadRefs } from './support/documents.ts';
import { withRedis } from './support/engine.ts';
import { homeworkRequests, startServer, stopServer, type WriteServer } from './support/homework-load.ts';
import { closedLoop, openLoop, type Target } from './support/load.ts';
import { median, percentile, report, say } from './support/report.ts';

/**
 * A teacher's POST of a homework, 64 connections, Redis with AOF `always`: ours; stock Express with a knex insert a request;
 * the seed's literal layout (a string, two hashes and a job a write); a job with the whole payload; and the ceiling, our
 * route with everything but the write. Interleaved rounds, medians. Then the tail at the arrival rate that saturates direct.
 */
const VARIANTS = ['ours', 'direct', 'ceiling', 'literal', 'job'] as const;
type VariantName = (typeof VARIANTS)[number];

const CONNECTIONS = 64;
const ROUNDS = 3;
const WARM_UP_MS = 2_000;
const ROUND_MS = 4_000;
const OPEN_LOOP_MS = 6_000;
const OPEN_LOOP_CONNECTIONS = 256;
const knex = createPostgres({ url: process.env.DATABASE_URL!, maxConnections: 2 });
await loadRefs(knex);
const servers = new Map<VariantName, WriteServer>();
for (const name of VARIANTS) servers.set(name, await startServer(name));
const requests = await homeworkRequests(servers.get('ours')!.port);
const targetOf = (name: VariantName): Target => ({ host: '127.0.0.1', port: servers.get(name)!.port, requests });
const clean = async () => {
  await knex.raw('TRUNCATE homework CASCADE');
  await withRedis(async (redis) => {
    for (const pattern of ['bench*', '{bench*', 'bull:*', 'write_buffer:*', 'meta:*', 'ptr:*']) {
      for await (const keys of redis.scanStream({ match: pattern, count: 1_000 })) {
        const kept = (keys as string[]).filter((key) => !/session|formats|school|class:|cache:user/.test(key));
        if (kept.length > 0) await redis.unlink(...kept);
      }
    }
  });
};

const throughput: Record<VariantName, number[]> = { ours: [], direct: [], ceiling: [], literal: [], job: [] };
const rounds: object[] = [];
for (let round = 0; round <= ROUNDS; round++) {
  for (const name of VARIANTS) {
    const result = await closedLoop(targetOf(name), CONNECTIONS, round === 0 ? WARM_UP_MS : ROUND_MS);
    const failed = Object.entries(result.statuses).filter(([kind]) => kind !== '2');
    if (failed.length > 0) throw new Error(`${name} answered ${JSON.stringify(result.statuses)}`);
    say(
      `${round === 0 ? 'warm-up' : `round ${round}`} ${name.padEnd(8)} ${Math.round(result.throughput)} requests/s, p99 ${percentile(result.latenciesMs, 0.99).toFixed(1)} ms`,
    );
    await clean();
    if (round === 0) continue;
    throughput[name].push(result.throughput);
    rounds.push({
      round,
      name,
      throughput: result.throughput,
      p50Ms: percentile(result.latenciesMs, 0.5),
      p99Ms: percentile(result.latenciesMs, 0.99),
    });
  }
}
const rate = median(throughput.direct);
const tails: Record<'ours' | 'direct', number[]> = { ours: [], direct: [] };
for (let round = 1; round <= ROUNDS; round++) {
  for (const name of ['direct', 'ours'] as const) {
    const result = await openLoop(targetOf(name), rate, OPEN_LOOP_CONNECTIONS, OPEN_LOOP_MS);
    const p99Ms = percentile(result.latenciesMs, 0.99);
    say(`open loop at ${Math.round(rate)}/s ${name.padEnd(8)} p99 ${p99Ms.toFixed(1)} ms`);
    tails[name].push(p99Ms);
    rounds.push({ round, name, openLoopRate: rate, p99Ms });
    await clean();
  }
}
for (const server of servers.values()) await stopServer(server);
await knex.destroy();
const over = (a: VariantName, b: VariantName): number =>
  median(throughput[a].map((value, index) => value / throughput[b][index]!));
report(
  {
    bench: 'write',
    figures: {
      throughput_over_direct: over('ours', 'direct'),
      throughput_over_ceiling: over('ours', 'ceiling'),
      p99_over_direct_at_saturation: median(tails.ours.map((value, index) => value / tails.direct[index]!)),
      throughput_over_literal_layout: over('ours', 'literal'),
      throughput_over_job_with_payload: over('ours', 'job'),
    },
    rounds,
  },
  {
    throughput_over_direct: { least: 1.8 },
    throughput_over_ceiling: { least: 0.8 },
    p99_over_direct_at_saturation: { most: 0.25 },
  },
  { appendfsync: 'always', connections: CONNECTIONS },
);
