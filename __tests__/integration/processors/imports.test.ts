import { randomBytes } from 'node:crypto';
import { Queue, Worker } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createImportProcessor } from '../../../processors/imports.processor.ts';
import { type ImportData, type ImportResult, importOptions } from '../../../queues/imports.queue.ts';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { until } from '../../support/until.ts';

const prefix = `t${randomBytes(5).toString('hex')}`;
const connection = { url: process.env.REDIS_URL! };
const data: ImportData = { kind: 'users', fileId: 'f', isDryRun: false, userId: 'u', roles: [], requestId: 'r' };
const done: ImportResult = { rows: 1, stored: 1, failed: 0, errors: [], errorsLeftOff: 0 };

describe('a worker that stops during an import', () => {
  let queue: Queue<ImportData, ImportResult>;
  beforeAll(() => {
    queue = new Queue('imports', { connection, prefix });
  });
  afterAll(async () => {
    await queue.obliterate({ force: true });
    await queue.close();
  });

  it('puts it back between two rows, and another one finishes it without having used up an attempt', async () => {
    let isStopping = false;
    let rows = 0;
    const process = createImportProcessor(
      {
        runImport: async (_id, _data, progress) => {
          for (rows = 0; rows < 3; rows++) {
            await progress(rows * 1_000);
            // The stop comes after the first row of the first run.
            if (!hasStopped) isStopping = true;
          }
          return done;
        },
      },
      () => isStopping,
    );
    let hasStopped = false;
    const worker = new Worker('imports', process, { connection, prefix });
    const { id } = await queue.add('users', data, { ...importOptions, jobId: 'one' });
    const job = () => queue.getJob(id!);
    await until('the job is put back', async () =>
      (await (await job())!.getState()) === 'delayed' ? true : undefined,
    );
    expect(rows).toBe(1);
    expect((await job())!.attemptsMade).toBe(0);
    hasStopped = true;
    isStopping = false;
    await until('the job ends', async () => ((await (await job())!.getState()) === 'completed' ? true : undefined));
    expect((await job())!.returnvalue).toEqual(done);
    await worker.close();
  });

  it('waits for a database that is away, however long: no attempt is used up, and it goes on where it was', async () => {
    // Nobody listens at port 1: what pg says of a server that is down.
    const away = createPostgres({ url: 'postgres://nobody@127.0.0.1:1/none' });
    let runs = 0;
    const runImport = async (): Promise<ImportResult> => {
      if (++runs <= importOptions.attempts + 1) await away.raw('SELECT 1');
      return done;
    };
    const worker = new Worker(
      'imports',
      createImportProcessor({ runImport }, () => false, 1),
      { connection, prefix },
    );
    const { id } = await queue.add('users', data, { ...importOptions, jobId: 'two' });
    await until('the job ends', async () =>
      (await (await queue.getJob(id!))!.getState()) === 'completed' ? true : undefined,
    );
    expect(runs).toBe(importOptions.attempts + 2);
    expect((await queue.getJob(id!))!.attemptsMade).toBeLessThanOrEqual(1);
    await worker.close();
    await away.destroy();
  });
});
