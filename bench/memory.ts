import type { Redis } from 'ioredis';
import { newId } from '../src/lib/ids.ts';
import { createPostgres } from '../src/stores/postgres/connect.ts';
import {
  type Document,
  homeworkDocument,
  loadRefs,
  type Refs,
  rawBytes,
  submissionDocument,
} from './support/documents.ts';
import { openEngine, usedMemory, withRedis } from './support/engine.ts';
import { report, say } from './support/report.ts';
import { randomFrom } from './support/texts.ts';

/**
 * All Redis bytes a write over its raw JSON bytes: payload, header, key names, Redis' own structures, dirty index, pointer
 * jobs. For the seed's three sizes, every codec, and the literal layout of the seed (a string, a metadata hash, a pointer
 * hash and a job a write).
 */
const SIZES = [487, 1245, 10_485] as const;
const WRITES = { 487: 20_000, 1245: 20_000, 10485: 4_000 };
const CODECS = ['auto', 'deflate-dict', 'zstd-dict', 'zstd', 'lz4', 'snappy', 'none'];
/** Answers to one homework: a class and those who share the assignment. */
const SUBMISSIONS_EACH = 40;

/** A document's texts fill it up to the wanted size; a submission for the smallest, homework for the others. */
function documentsOf(size: (typeof SIZES)[number], refs: Refs): { entity: string; documents: Document[] } {
  const random = randomFrom(24);
  let homeworkId = newId();
  const make = (characters: number, index: number): Document => {
    if (size !== 487) return homeworkDocument(random, refs, characters);
    if (index % SUBMISSIONS_EACH === 0) homeworkId = newId();
    return submissionDocument(random, refs, homeworkId, characters);
  };
  const empty = rawBytes(make(0, 0));
  const documents = Array.from({ length: WRITES[size] }, (_, index) =>
    make(Math.max(1, size - empty + Math.round((random() - 0.5) * 40)), index),
  );
  return { entity: size === 487 ? 'homework_submission' : 'homework', documents };
}

async function measure(codec: string, entity: string, documents: Document[], redis: Redis): Promise<number> {
  await redis.flushall();
  const { container, close } = await openEngine(
    { REDIS_COMPRESSION_ALGORITHM: codec, REDIS_PREFIX: 'bench' },
    { workers: false },
  );
  const { buffer, pointers } = container.engine;
  const before = await usedMemory(redis);
  for (let start = 0; start < documents.length; start += 64) {
    await Promise.all(documents.slice(start, start + 64).map((document) => buffer.put(entity, document)));
  }
  await pointers.drain();
  const used = (await usedMemory(redis)) - before;
  await close();
  return used;
}

async function literalLayout(documents: Document[], redis: Redis): Promise<number> {
  const { Queue } = await import('bullmq');
  await redis.flushall();
  const queue = new Queue('literal', { connection: { url: process.env.REDIS_URL! } });
  await queue.waitUntilReady();
  const before = await usedMemory(redis);
  for (const document of documents) {
    const id = `${document.id}`;
    await redis
      .pipeline()
      .set(`write_buffer:homework:${id}`, JSON.stringify(document))
      .hset(`meta:write_buffer:homework:${id}`, {
        compressed: 'false',
        original_size: rawBytes(document),
        timestamp: Date.now(),
        synced_to_db: 'false',
      })
      .hset(`ptr:homework:${id}`, { key: `write_buffer:homework:${id}`, at: Date.now() })
      .exec();
    await queue.add('homework', { key: `write_buffer:homework:${id}` });
  }
  const used = (await usedMemory(redis)) - before;
  await queue.close();
  return used;
}

await withRedis(async (redis) => {
  const knex = createPostgres({ url: process.env.DATABASE_URL! });
  const refs = await loadRefs(knex);
  await knex.destroy();
  const figures: Record<string, number> = {};
  const rounds: object[] = [];
  for (const size of SIZES) {
    const { entity, documents } = documentsOf(size, refs);
    const raw = documents.reduce((sum, document) => sum + rawBytes(document), 0);
    for (const codec of CODECS) {
      const used = await measure(codec, entity, documents, redis);
      rounds.push({
        size,
        codec,
        writes: documents.length,
        rawBytesPerWrite: raw / documents.length,
        redisBytesPerWrite: used / documents.length,
        ratio: used / raw,
      });
      say(
        `${size} bytes, ${codec.padEnd(12)} ${(used / raw).toFixed(3)} (${Math.round(used / documents.length)} bytes a write)`,
      );
      if (codec === 'auto') figures[`bytes_over_raw_${size}`] = used / raw;
    }
    const some = documents.slice(0, 2_000);
    const literal = (await literalLayout(some, redis)) / some.reduce((sum, document) => sum + rawBytes(document), 0);
    rounds.push({ size, codec: 'literal layout', ratio: literal });
    figures[`literal_layout_over_raw_${size}`] = literal;
    say(`${size} bytes, literal layout ${literal.toFixed(3)}`);
  }
  report(
    { bench: 'memory', figures, rounds },
    { bytes_over_raw_487: { most: 0.45 }, bytes_over_raw_1245: { most: 0.45 }, bytes_over_raw_10485: { most: 0.3 } },
  );
});
