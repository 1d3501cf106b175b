import { describe, expect, it } from 'vitest';
import { defineEntity } from '../../../src/lib/entity.ts';
import { useHarness } from '../../support/engine-harness.ts';
import { buildClub, clubEntity, testEntities } from '../../support/test-entities.ts';
import { until } from '../../support/until.ts';

const urgentClub = defineEntity({ ...clubEntity, lane: 'urgent' });
const entities = testEntities.map((entity) => (entity.name === 'club' ? urgentClub : entity));

describe('the urgent lane', () => {
  const h = useHarness();

  it('is stored without a sync run, several writes in one batch, before batches that wait', async () => {
    const { engine, close } = await h.startProcess({}, { entities });
    const waiting = Array.from({ length: 5 }, (_, part) => ({
      name: 'event_log',
      data: { entity: 'event_log', keys: [`00000000-0000-4000-8000-00000000000${part}`] },
    }));
    await engine.queues['write-batches'].addBulk(waiting);
    const clubs = Array.from({ length: 30 }, () => buildClub());
    const receipts = await Promise.all(clubs.map((club) => engine.writer.put('club', club)));
    expect(receipts[0]!.storedBy!.getTime() - Date.now()).toBeLessThanOrEqual(2_000);
    const [next] = await until('the batch', async () => {
      const jobs = await engine.queues['write-batches'].getWaiting();
      return jobs.some(({ name }) => name === 'club') ? jobs : undefined;
    });
    expect(next!.data).toEqual({ entity: 'club', keys: expect.any(Array) });
    expect(new Set(next!.data.keys)).toEqual(new Set(clubs.map(({ id }) => id)));
    await h.startWorker(engine);
    await until('rows', async () => ((await h.countRows('clubs')) === clubs.length ? true : undefined));
    expect(await engine.runs.list(10)).toEqual([]);
    await h.stopWorkers();
    await close();
  });
});
