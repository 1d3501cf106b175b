import { beforeAll, describe, expect, it } from 'vitest';
import { requestSync, scheduleSyncs } from '../../queues/request-sync.ts';
import { SYNC } from '../../queues/sync.queue.ts';
import { WRITE_BATCHES } from '../../queues/write-batches.queue.ts';
import { WRITE_POINTERS } from '../../queues/write-pointers.queue.ts';
import { useHarness } from '../support/engine-harness.ts';
import { Load, random } from '../support/load.ts';
import { Oracle } from '../support/oracle.ts';
import { deleteKeys, prefixKeys } from '../support/redis-audit.ts';
import { chaosSeed } from '../support/seed.ts';
import { buildClub, clubEntity } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

/** FAILURES 11: the queues are a hint; the dirty index is the truth. */
describe('queues and pointers are deleted, tripled and obliterated', () => {
  const h = useHarness({ batchSize: 5 });
  beforeAll(async () => void (await h.startWorker()));

  const put = async (oracle: Oracle, count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      const club = buildClub();
      oracle.noteReceipt(clubEntity, club, (await h.put('club', club)).version);
    }
  };
  const allStored = async (oracle: Oracle): Promise<void> => {
    await h.syncAll();
    expect(await oracle.losses(h)).toEqual([]);
    expect(await h.audit()).toEqual([]);
  };

  it('without any pointer everything is still stored', async () => {
    const oracle = new Oracle();
    await put(oracle, 12);
    await h.engine.pointers.drain();
    await h.engine.queues[WRITE_POINTERS].obliterate({ force: true });
    await allStored(oracle);
  });

  it('three times as many pointers change nothing, and are taken all the same', async () => {
    const oracle = new Oracle();
    await put(oracle, 12);
    await h.engine.pointers.drain();
    const pointers = h.engine.queues[WRITE_POINTERS];
    for (const { name, data } of await pointers.getWaiting())
      for (let copy = 0; copy < 3; copy++) await pointers.add(name, data);
    expect((await h.sync()).stored).toBe(12);
    await allStored(oracle);
    expect(await pointers.getWaitingCount()).toBe(0);
  });

  it('pointers that lead nowhere do no harm', async () => {
    await h.engine.queues[WRITE_POINTERS].add('no_such_entity', {
      entity: 'no_such_entity',
      shard: 7,
      minute: '2031-05-05T08:30',
    });
    expect(await h.sync()).toMatchObject({ taken: 0 });
  });

  it('a batch that lies in wait when its queue is obliterated is left to the next run', {
    timeout: 60_000,
  }, async () => {
    const oracle = new Oracle();
    const batches = h.engine.queues[WRITE_BATCHES];
    await batches.pause();
    await put(oracle, 30);
    const id = await requestSync(h.engine.queues, 'admin');
    await until('batches in wait', async () => ((await batches.getWaitingCount()) > 0 ? true : undefined));
    await batches.obliterate({ force: true });
    await batches.resume();
    // The run sees that its batches are gone, and ends.
    await until(
      'the run to end',
      async () => ((await h.engine.runs.get(id))?.state === 'completed' ? true : undefined),
      30_000,
    );
    await allStored(oracle);
  });

  it('all keys of all queues deleted at a moment of load: the next runs store everything', {
    timeout: 60_000,
  }, async () => {
    const seed = chaosSeed();
    const next = random(seed);
    const oracle = new Oracle();
    const load = new Load(h.buffer, { seed, onAcknowledged: (write) => oracle.note(write) }).start();
    for (let round = 0; round < 3; round++) {
      const before = oracle.count;
      await requestSync(h.engine.queues, 'admin');
      await until('some writes', async () => (oracle.count > before + 50 + next() * 100 ? true : undefined));
      const keys = await prefixKeys(h.redis, h.prefix);
      await deleteKeys(
        h.redis,
        keys.filter((key) => /^\{t[0-9a-f]+:(sync|write-batches|write-pointers)\}/.test(key.toString())),
      );
    }
    await load.stop();
    await until(
      'everything to be stored',
      async () => {
        const id = await requestSync(h.engine.queues, 'admin');
        await until(
          'the run',
          async () => ((await h.engine.runs.get(id))?.state === 'completed' ? true : undefined),
          25_000,
        );
        return (await h.dirty()).length === 0 ? true : undefined;
      },
      50_000,
    );
    expect(await oracle.losses(h), `seed ${seed}`).toEqual([]);
    expect(await h.audit()).toEqual([]);
  });

  it('schedules that are deleted come back when the next worker starts', async () => {
    const sync = h.engine.queues[SYNC];
    await scheduleSyncs(h.engine.queues, 3_600);
    const names = (await sync.getJobSchedulers()).map(({ key }) => key).sort();
    expect(names).toEqual(['sync', 'sync-fast', 'sync-watch']);
    for (const name of names) await sync.removeJobScheduler(name);
    await scheduleSyncs(h.engine.queues, 3_600);
    expect((await sync.getJobSchedulers()).map(({ key }) => key).sort()).toEqual(names);
    for (const name of names) await sync.removeJobScheduler(name);
  });
});
