import { readFileSync } from 'node:fs';
import type { Knex } from 'knex';
import { requestSync } from '../queues/request-sync.ts';
import { createPostgres } from '../src/stores/postgres/connect.ts';
import { type Document, homeworkDocument, loadRefs, submissionDocument } from './support/documents.ts';
import { openEngine } from './support/engine.ts';
import { median, report, say } from './support/report.ts';
import { prose, randomFrom } from './support/texts.ts';

/**
 * What PostgreSQL has to do for a day's kind of writes: homework that is given and corrected once, answers that are saved
 * four times before they are handed in (DOMAIN §9: most of a day's writes are saves of the same thing). Counted by the
 * server: statements by pg_stat_statements, CPU time of its processes, bytes of WAL. Direct is an upsert a write, each its
 * own transaction, over ten connections.
 */
const HOMEWORK = 2_500;
const SUBMISSIONS = 3_750;
const SAVES = 4;
const CONNECTIONS = 10;
const ROUNDS = 3;
/** The kernel counts CPU time in hundredths of a second. */
const TICK_MS = 10;

interface Write {
  table: 'homework' | 'homework_submissions';
  entity: 'homework' | 'homework_submission';
  conflict: string[];
  document: Document;
}

/** The writes in the order in which they arrive, the saves of one answer apart from each other. */
function writesOf(random: () => number, refs: Parameters<typeof homeworkDocument>[1]): Write[] {
  const homework = Array.from({ length: HOMEWORK }, () => homeworkDocument(random, refs, 100));
  const given = homework.map(
    (document): Write => ({ table: 'homework', entity: 'homework', conflict: ['id'], document }),
  );
  const corrected = given.map(
    (write): Write => ({ ...write, document: { ...write.document, title: `${write.document.title}, corrected` } }),
  );
  const answers = Array.from({ length: SUBMISSIONS }, (_, index) =>
    submissionDocument(random, refs, homework[index % HOMEWORK]!.id, 120),
  );
  const saves = Array.from({ length: SAVES }, (_, save) =>
    answers.map(
      (document): Write => ({
        table: 'homework_submissions',
        entity: 'homework_submission',
        conflict: ['homework_id', 'student_id'],
        document: {
          ...document,
          body: `${document.body} ${prose(random, 20 * save)}`.trim(),
          status: save === SAVES - 1 ? 'submitted' : 'draft',
        },
      }),
    ),
  );
  return [...given, ...corrected, ...saves.flat()];
}

interface Cost {
  statements: number;
  cpuMs: number;
  walBytes: number;
}

async function costOf(admin: Knex, work: () => Promise<void>): Promise<Cost> {
  const pids: number[] = (await admin.raw('SELECT pid FROM pg_stat_activity')).rows.map(
    ({ pid }: { pid: number }) => pid,
  );
  const cpuTicks = () =>
    pids.reduce((sum, pid) => {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
        return sum + Number(fields[11]) + Number(fields[12]);
      } catch {
        return sum;
      }
    }, 0);
  await admin.raw('CHECKPOINT');
  await admin.raw('SELECT pg_stat_statements_reset()');
  const [{ lsn }] = (await admin.raw('SELECT pg_current_wal_lsn() AS lsn')).rows;
  const ticks = cpuTicks();
  await work();
  const cpuMs = (cpuTicks() - ticks) * TICK_MS;
  const { rows } = await admin.raw(
    `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), ?)::bigint AS wal,
            (SELECT sum(calls)::bigint FROM pg_stat_statements WHERE toplevel AND query ~* '^\\s*(insert|update|delete|select incoming|begin|commit|with)' AND query ~* 'homework|begin|commit') AS statements`,
    [lsn],
  );
  return { statements: Number(rows[0].statements), cpuMs, walBytes: Number(rows[0].wal) };
}

async function direct(knex: Knex, writes: Write[]): Promise<void> {
  let next = 0;
  const run = async () => {
    while (next < writes.length) {
      const { table, conflict, document } = writes[next]!;
      const version = ++next;
      await knex(table)
        .insert({ ...document, version })
        .onConflict(conflict)
        .merge();
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, run));
}

const admin = createPostgres({ url: process.env.DATABASE_URL!, maxConnections: 1 });
const pool = createPostgres({
  url: process.env.DATABASE_URL!,
  maxConnections: CONNECTIONS,
  idleConnections: CONNECTIONS,
});
const refs = await loadRefs(admin);
const { container, close } = await openEngine(
  {
    REDIS_PREFIX: 'bench',
    POSTGRES_MAX_CONNECTIONS: String(CONNECTIONS),
    POSTGRES_IDLE_CONNECTIONS: String(CONNECTIONS),
  },
  { workers: true },
);
const { buffer, queues, runs } = container.engine;
// Both pools are open before anything is counted, since a process's CPU time is read by its pid.
await Promise.all(Array.from({ length: CONNECTIONS }, () => pool.raw('SELECT pg_sleep(0.1)')));

async function sync(expectedRows: number): Promise<void> {
  const id = await requestSync(queues, 'admin');
  while (await runs.isUnfinished(id)) await new Promise((resolve) => setTimeout(resolve, 5));
  const run = await runs.get(id);
  if (run?.stored !== expectedRows) throw new Error(`the run stored ${run?.stored} of ${expectedRows} rows`);
}

const ratios = { statements: [] as number[], cpu: [] as number[], wal: [] as number[] };
const rounds: object[] = [];
for (let round = 0; round <= ROUNDS; round++) {
  const writes = writesOf(randomFrom(24 + round), refs);
  const rows =
    HOMEWORK +
    new Set(
      writes
        .filter(({ entity }) => entity === 'homework_submission')
        .map(({ document }) => `${document.homework_id} ${document.student_id}`),
    ).size;
  await admin.raw('TRUNCATE homework CASCADE');
  const ours = await costOf(admin, async () => {
    for (let start = 0; start < writes.length; start += 128)
      await Promise.all(writes.slice(start, start + 128).map(({ entity, document }) => buffer.put(entity, document)));
    await sync(rows);
  });
  await admin.raw('TRUNCATE homework CASCADE');
  const peer = await costOf(admin, () => direct(pool, writes));
  say(
    `${round === 0 ? 'warm-up' : `round ${round}`}: ${writes.length} writes; ours ${JSON.stringify(ours)}, direct ${JSON.stringify(peer)}`,
  );
  if (round === 0) continue;
  ratios.statements.push((ours.statements / writes.length) * 1000);
  ratios.cpu.push(ours.cpuMs / peer.cpuMs);
  ratios.wal.push(ours.walBytes / peer.walBytes);
  rounds.push({ round, writes: writes.length, rows, ours, direct: peer });
}
await close();
await Promise.all([admin.destroy(), pool.destroy()]);
report(
  {
    bench: 'load',
    figures: {
      statements_per_1000_writes: median(ratios.statements),
      db_cpu_over_direct: median(ratios.cpu),
      wal_over_direct: median(ratios.wal),
    },
    rounds,
  },
  { statements_per_1000_writes: { most: 10 }, db_cpu_over_direct: { most: 0.15 }, wal_over_direct: { most: 0.6 } },
);
