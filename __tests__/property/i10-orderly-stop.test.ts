import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SchoolProcess, SchoolProcesses } from '../support/school-processes.ts';
import { testId } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

const WITHIN_MS = 30_000;

describe('I10: SIGTERM under load', () => {
  const school = new SchoolProcesses({ SYNC_ON_SHUTDOWN: 'false' });
  beforeAll(() => school.open());
  afterAll(() => school.close());

  it('processes end in time with code 0, answer what they took, and nothing acknowledged is in memory only', {
    timeout: 180_000,
  }, async () => {
    const acknowledged = new Map<string, string>();
    let last: SchoolProcess | undefined;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 12 }),
        fc.integer({ min: 20, max: 400 }),
        fc.boolean(),
        async (clients, before, stopsWorkerFirst) => {
          const web = await school.startWeb();
          const worker = await school.startReadyWorker();
          const token = await school.login(web, 'teacher001');
          const admin = await school.login(web, 'admin');
          const subject = (await web.call('GET', '/api/v1/auth/me', { token })).body.data.scopes.class_subjects[0].id;
          const run = testId('run');
          let sent = 0;
          let isOver = false;
          const unexpected: unknown[] = [];
          const load = Promise.all(
            Array.from({ length: clients }, async () => {
              while (!isOver) {
                const title = `${run} ${sent++}`;
                const body = {
                  class_subject_ids: [subject],
                  title,
                  due_at: new Date(Date.now() + 86_400_000).toISOString(),
                };
                try {
                  const answer = await web.call('POST', '/api/v1/homework', { token, body });
                  if (answer.status === 202) acknowledged.set(title, answer.body.data.id);
                  else if (answer.status !== 503) unexpected.push(answer.body);
                } catch {
                  // Refused: the socket is closed and nothing has been acknowledged.
                  if (!web.isRunning) isOver = true;
                  else await new Promise((resolve) => setTimeout(resolve, 5));
                }
              }
            }),
          );
          const from = acknowledged.size;
          await until('load', async () => (acknowledged.size - from >= before ? true : undefined));
          await web.call('POST', '/api/v1/admin/sync', { token: admin });
          const stops = stopsWorkerFirst ? [worker, web] : [web, worker];
          const ended = await Promise.all(stops.map((process) => process.end('SIGTERM')));
          isOver = true;
          await load;
          for (const [index, { code, afterMs }] of ended.entries()) {
            expect(code, stops[index]!.output).toBe(0);
            expect(afterMs).toBeLessThan(WITHIN_MS);
          }
          expect(unexpected).toEqual([]);
          last = web;
        },
      ),
      { numRuns: 3, endOnFailure: true },
    );
    expect(last).toBeDefined();
    const web = await school.startWeb();
    school.startWorker();
    await school.syncAll(web);
    const rows = await school.rows('SELECT id, title FROM homework WHERE id = ANY($1)', [[...acknowledged.values()]]);
    expect(new Map(rows.map(({ title, id }) => [title, id]))).toEqual(acknowledged);
  });

  it('with SYNC_ON_SHUTDOWN the last worker stores what is buffered', { timeout: 90_000 }, async () => {
    const web = await school.startWeb();
    const token = await school.login(web, 'teacher001');
    const subject = (await web.call('GET', '/api/v1/auth/me', { token })).body.data.scopes.class_subjects[0].id;
    const worker = await school.startReadyWorker({ SYNC_ON_SHUTDOWN: 'true' });
    const title = testId('title');
    const body = { class_subject_ids: [subject], title, due_at: new Date(Date.now() + 86_400_000).toISOString() };
    expect((await web.call('POST', '/api/v1/homework', { token, body })).status).toBe(202);
    expect(await worker.end('SIGTERM')).toMatchObject({ code: 0 });
    expect(await school.rows('SELECT title FROM homework WHERE title = $1', [title])).toEqual([{ title }]);
  });
});
