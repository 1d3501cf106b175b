import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Queue } from 'bullmq';
import express, { type Express } from 'express';
import { Redis } from 'ioredis';
import { createValidator } from '../../src/http/validation.ts';
import { newId } from '../../src/lib/ids.ts';
import { newHomeworkBody } from '../../src/services/homework/homework.routes.ts';
import type { NewHomework } from '../../src/services/homework/homework-service.ts';
import { createPostgres } from '../../src/stores/postgres/connect.ts';
import { openEngine } from './engine.ts';

/**
 * One way to take a homework over HTTP, by its name in argv; prints its port. The first two are the real application with
 * login, limits and audit; the others are stock Express with the same validation and none of that.
 */
type Variant = (staffOf: (classSubject: string) => string) => Promise<Express | import('node:http').RequestListener>;

const validate = createValidator(newHomeworkBody, '');

function rowOf(body: unknown, staffOf: (classSubject: string) => string) {
  // Validators return unknown; what passed this one has the type of its schema.
  const { class_subject_ids, file_ids: _, ...fields } = validate(body) as NewHomework;
  const classSubject = class_subject_ids[0]!;
  const now = new Date().toISOString();
  return {
    id: newId(),
    class_subject_id: classSubject,
    staff_id: staffOf(classSubject),
    group_id: null,
    assigned_on: now.slice(0, 10),
    publish_at: now,
    created_at: now,
    updated_at: now,
    deleted_at: null,
    ...fields,
  };
}

function stock(
  store: (row: ReturnType<typeof rowOf>) => Promise<unknown>,
  staffOf: (classSubject: string) => string,
): Express {
  const app = express();
  app.use(express.json());
  app.post('/api/v1/homework', async (request, response) => {
    const row = rowOf(request.body, staffOf);
    await store(row);
    response.status(201).json({ data: row });
  });
  return app;
}

const VARIANTS: Record<string, Variant> = {
  ours: async () => (await openEngine({ REDIS_PREFIX: 'bench' }, { workers: false })).container.app,
  ceiling: async () => {
    const { container } = await openEngine({ REDIS_PREFIX: 'bench' }, { workers: false });
    // The same route, parse, login, rules and answer; the write itself is left out.
    container.engine.buffer.put = async (entity, document) => ({
      entity,
      key: String(document.id),
      version: Date.now() * 1000,
    });
    return container.app;
  },
  direct: async (staffOf) => {
    const knex = createPostgres({ url: process.env.DATABASE_URL!, maxConnections: 20 });
    return stock((row) => knex('homework').insert({ ...row, version: 1 }), staffOf);
  },
  literal: async (staffOf) => {
    const redis = new Redis(process.env.REDIS_URL!);
    const queue = new Queue('literal', { connection: { url: process.env.REDIS_URL! } });
    return stock(async (row) => {
      const key = `write_buffer:homework:${row.id}`;
      const content = JSON.stringify(row);
      await redis.set(key, content);
      await redis.hset(`meta:${key}`, {
        compressed: 'false',
        original_size: content.length,
        timestamp: Date.now(),
        synced_to_db: 'false',
      });
      await redis.hset(`ptr:homework:${row.id}`, { key, at: Date.now() });
      await queue.add('homework', { key });
    }, staffOf);
  },
  job: async (staffOf) => {
    const queue = new Queue('payload', { connection: { url: process.env.REDIS_URL! } });
    return stock((row) => queue.add('homework', row), staffOf);
  },
};

const knex = createPostgres({ url: process.env.DATABASE_URL!, maxConnections: 1 });
const subjects = (await knex.raw('SELECT id, staff_id FROM class_subjects')).rows as { id: string; staff_id: string }[];
await knex.destroy();
const staff = new Map(subjects.map(({ id, staff_id }) => [id, staff_id]));
const server = createServer(await VARIANTS[process.argv[2]!]!((classSubject) => staff.get(classSubject)!));
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.on('SIGTERM', () => process.exit(0));
