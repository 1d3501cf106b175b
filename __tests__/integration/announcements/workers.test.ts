import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SchoolProcesses } from '../../support/school-processes.ts';
import { until } from '../../support/until.ts';

const school = new SchoolProcesses();

beforeAll(() => school.open(), 120_000);
afterAll(() => school.close());

it('workers publish what is due by their own schedule, each announcement once among them', async () => {
  const id = randomUUID();
  await school.rows(
    `INSERT INTO announcements (id, author_id, title, body, audience, publish_at, is_pinned)
     SELECT $1, id, 'Due', 'While no worker ran.', 'school', now() - interval '1 minute', false FROM users WHERE login = 'admin'`,
    [id],
  );
  const workers = await Promise.all([school.startReadyWorker(), school.startReadyWorker()]);
  await until(`its event is sent; they say ${workers.map(({ output }) => output)}`, async () => {
    const sent = 'SELECT 1 FROM outbox_events WHERE aggregate_id = $1 AND published_at IS NOT NULL';
    return (await school.rows(sent, [id])).length > 0 ? true : undefined;
  });
  const events = await school.rows('SELECT name FROM outbox_events WHERE aggregate_id = $1', [id]);
  expect(events).toEqual([{ name: 'announcement.published' }]);
  // What the seed has on its boards was told long ago.
  const others = `SELECT 1 FROM outbox_events WHERE name = 'announcement.published' AND aggregate_id <> $1`;
  expect(await school.rows(others, [id])).toEqual([]);
}, 60_000);
