import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createPostgres } from '../src/stores/postgres/connect.ts';
import { loadRefs } from './support/documents.ts';
import { withRedis } from './support/engine.ts';
import { closedLoop, openLoop, renderRequest, type Target } from './support/load.ts';
import { median, percentile, report, say } from './support/report.ts';
import { prose, randomFrom, title } from './support/texts.ts';

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
const BODIES = 2_000;
const SERVER = fileURLToPath(new URL('./support/write-server.ts', import.meta.url));
/** Tokens of the real application are signed with this key in every process of the measurement. */
const KEYS = `bench:${Buffer.alloc(32, 7).toString('base64')}`;

async function startServer(name: VariantName): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, ['--max-semi-space-size=32', SERVER, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, JWT_KEYS: KEYS },
  });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  return { child, port: Number(line.toString().trim()) };
}

async function stop({ child }: { child: ChildProcess }): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function login(port: number): Promise<{ token: string; classSubjects: string[] }> {
  const base = `http://127.0.0.1:${port}/api/v1`;
  const answer = await fetch(`${base}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ login: 'teacher001', password: 'schools24-demo' }),
  });
  const token = ((await answer.json()) as { data: { access_token: string } }).data.access_token;
  const me = (await (await fetch(`${base}/auth/me`, { headers: { authorization: `Bearer ${token}` } })).json()) as {
    data: { scopes: { class_subjects: { id: string }[] } };
  };
  return { token, classSubjects: me.data.scopes.class_subjects.map(({ id }) => id) };
}

const knex = createPostgres({ url: process.env.DATABASE_URL!, maxConnections: 2 });
await loadRefs(knex);
const random = randomFrom(24);
const servers = new Map<VariantName, { child: ChildProcess; port: number }>();
for (const name of VARIANTS) servers.set(name, await startServer(name));
const { token, classSubjects } = await login(servers.get('ours')!.port);
const requests = Array.from({ length: BODIES }, () =>
  renderRequest(
    'POST',
    '/api/v1/homework',
    { authorization: `Bearer ${token}` },
    {
      class_subject_ids: [classSubjects[Math.floor(random() * classSubjects.length)]!],
      title: title(random),
      description: prose(random, 100),
      due_at: new Date(Date.now() + (1 + random() * 10) * 86_400_000).toISOString(),
    },
  ),
);
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
for (const server of servers.values()) await stop(server);
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
