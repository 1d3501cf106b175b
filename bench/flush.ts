import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Knex } from 'knex';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { requestSync } from '../queues/request-sync.ts';
import { createPostgres } from '../src/stores/postgres/connect.ts';
import { type Document, homeworkDocument, loadRefs } from './support/documents.ts';
import { openEngine } from './support/engine.ts';
import { median, report, say } from './support/report.ts';
import { randomFrom } from './support/texts.ts';

/**
 * From Redis to committed rows of the homework table, with its indexes and foreign keys: our sync run; one COPY stream of
 * the same rows, the fastest way PostgreSQL offers one client; a row at a time over as many connections as we have
 * processors. Interleaved rounds, medians.
 */
const ROWS = 40_000;
const ROW_AT_A_TIME = 6_000;
const CONNECTIONS = 10;
const ROUNDS = 3;
const DESCRIPTION_CHARACTERS = 100;

const copyText = (value: unknown): string =>
  value === null
    ? '\\N'
    : String(value).replace(
        /[\\\n\t\r]/g,
        (found) => ({ '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r' })[found]!,
      );

async function rowsASecond(rows: number, work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (rows / (performance.now() - startedMs)) * 1000;
}

async function copy(knex: Knex, documents: Document[]): Promise<void> {
  const columns = Object.keys(documents[0]!);
  const client = (await knex.client.acquireConnection()) as pg.Client;
  const lines = function* () {
    for (let start = 0; start < documents.length; start += 500) {
      yield documents
        .slice(start, start + 500)
        .map((document) => `${columns.map((name) => copyText(document[name])).join('\t')}\t1\n`)
        .join('');
    }
  };
  try {
    await pipeline(
      Readable.from(lines()),
      client.query(copyFrom(`COPY homework (${columns.join(', ')}, version) FROM STDIN`)),
    );
  } finally {
    await knex.client.releaseConnection(client);
  }
}

async function rowAtATime(knex: Knex, documents: Document[]): Promise<void> {
  let next = 0;
  const insertAll = async () => {
    while (next < documents.length) await knex('homework').insert({ ...documents[next++], version: 1 });
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, insertAll));
}

async function main(): Promise<void> {
  const knex = createPostgres({ url: process.env.DATABASE_URL!, maxConnections: CONNECTIONS });
  const refs = await loadRefs(knex);
  const { container, close } = await openEngine(
    { REDIS_PREFIX: 'bench', POSTGRES_MAX_CONNECTIONS: String(CONNECTIONS + 2) },
    { workers: true },
  );
  const { buffer, queues, runs } = container.engine;
  const empty = async () => {
    await knex.raw('TRUNCATE homework CASCADE');
    await knex.raw('CHECKPOINT');
  };
  const speeds = { sync: [] as number[], copy: [] as number[], rowAtATime: [] as number[] };
  const rounds: object[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const random = randomFrom(24 + round);
    const documents = Array.from({ length: ROWS }, () => homeworkDocument(random, refs, DESCRIPTION_CHARACTERS));
    await empty();
    for (let start = 0; start < documents.length; start += 128)
      await Promise.all(documents.slice(start, start + 128).map((document) => buffer.put('homework', document)));
    const sync = await rowsASecond(ROWS, async () => {
      const id = await requestSync(queues, 'admin');
      while (await runs.isUnfinished(id)) await new Promise((resolve) => setTimeout(resolve, 2));
      const run = await runs.get(id);
      if (run?.stored !== ROWS) throw new Error(`the run stored ${run?.stored} of ${ROWS} rows`);
    });
    await empty();
    const copied = await rowsASecond(ROWS, () => copy(knex, documents));
    await empty();
    const single = await rowsASecond(ROW_AT_A_TIME, () => rowAtATime(knex, documents.slice(0, ROW_AT_A_TIME)));
    say(
      `${round === 0 ? 'warm-up' : `round ${round}`}: sync ${Math.round(sync)}, copy ${Math.round(copied)}, row at a time ${Math.round(single)} rows/s`,
    );
    if (round === 0) continue;
    speeds.sync.push(sync);
    speeds.copy.push(copied);
    speeds.rowAtATime.push(single);
    rounds.push({ sync, copy: copied, rowAtATime: single });
  }
  await close();
  await knex.destroy();
  const figures = {
    sync_over_copy: median(speeds.sync.map((speed, index) => speed / speeds.copy[index]!)),
    sync_over_row_at_a_time: median(speeds.sync.map((speed, index) => speed / speeds.rowAtATime[index]!)),
  };
  report(
    { bench: 'flush', figures, rounds },
    { sync_over_copy: { least: 0.6 }, sync_over_row_at_a_time: { least: 6 } },
    { rows: ROWS, connections: CONNECTIONS },
  );
}

await main();
