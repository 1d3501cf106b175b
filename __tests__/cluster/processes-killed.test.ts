import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { requestSync } from '../../queues/request-sync.ts';
import type { Document } from '../../src/lib/entity.ts';
import { EVERYTHING } from '../../src/lib/reach.ts';
import { useHarness } from '../support/engine-harness.ts';
import { Load } from '../support/load.ts';
import { Oracle } from '../support/oracle.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { chaosSeed } from '../support/seed.ts';
import { buildClub, clubEntity, testId } from '../support/test-entities.ts';

const SHARDS = 6;
const cluster = await startRedisCluster();
afterAll(() => cluster.close());

describe('Redis Cluster, processes killed', () => {
  const h = useHarness({ servers: { redisUrl: cluster.url }, settings: { shards: SHARDS } });

  it('a writer and a worker are killed under load: nothing is lost', { timeout: 90_000 }, async () => {
    const seed = chaosSeed();
    const oracle = new Oracle();
    const note = oracle.note.bind(oracle);
    let worker = h.startChild({ role: 'worker' });
    await worker.ready();
    const load = new Load(h.buffer, { seed, onAcknowledged: note }).start();
    for (let round = 0; round < 2; round++) {
      const writer = h.startChild({ role: 'writer', seed: seed + round, name: `w${round}` }, note);
      await writer.ready();
      await requestSync(h.engine.queues, 'admin');
      await delay(150);
      await writer.kill();
      await worker.kill();
      worker = h.startChild({ role: 'worker' });
      await worker.ready();
    }
    await load.stop();
    await h.syncAll();
    await worker.kill();
    expect(oracle.count).toBeGreaterThan(100);
    expect(await oracle.losses(h), `seed ${seed}`).toEqual([]);
    expect(await h.audit()).toEqual([]);
  });

  it('a list over all shards shows pending and stored documents in order', async () => {
    const oracle = new Oracle();
    const district = testId('district');
    const onShard = (shard: number, fields: Document): Document => {
      for (;;) {
        const club = buildClub(fields);
        if (h.engine.keys.shardOf(String(club.id)) === shard) return club;
      }
    };
    const clubs = Array.from({ length: 5 * SHARDS }, (_, index) =>
      onShard(index % SHARDS, { district, name: `${district.slice(0, 20)} ${String(index).padStart(2, '0')}` }),
    );
    for (const club of clubs) oracle.noteReceipt(clubEntity, club, (await h.put('club', club)).version);
    await h.flush(
      'club',
      clubs.slice(0, 15).map(({ id }) => String(id)),
    );
    const page = await h.reader.list({
      entity: 'club',
      reach: EVERYTHING,
      relation: { column: 'district', values: [district] },
      sort: { column: 'name', direction: 'asc' },
      limit: 50,
    });
    expect(page.items.map(({ document }) => document)).toEqual(clubs);
    expect(page.items.filter(({ isPending }) => isPending)).toHaveLength(15);
    await h.flush(
      'club',
      clubs.map(({ id }) => String(id)),
    );
    expect(await oracle.losses(h)).toEqual([]);
  });
});
