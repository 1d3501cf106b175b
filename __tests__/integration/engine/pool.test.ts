import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/engine.ts';
import { useHarness } from '../../support/engine-harness.ts';
import { commandsDuring } from '../../support/redis-monitor.ts';
import { buildClub } from '../../support/test-entities.ts';

const SHARDS = 4;
const SLOW_MS = 300;

describe('a pool of connections for the buffer', () => {
  const h = useHarness({ settings: { shards: SHARDS } });

  /** Writes clubs of all shards at once, in rounds; tells over which connections each shard's commits went. */
  async function connectionsOfShards(engine: Engine): Promise<string[][]> {
    const seen = await commandsDuring(
      h.servers.redisUrl,
      async () => {
        for (let round = 0; round < 5; round++) {
          await Promise.all(Array.from({ length: 40 }, () => engine.buffer.put('club', buildClub())));
        }
      },
      () => engine.redis.echo(`${h.prefix} done`),
    );
    const sources = Array.from({ length: SHARDS }, () => new Set<string>());
    for (const { name, args, source } of seen) {
      const shard = sources.findIndex((_, index) => args[2] === engine.keys.clock(index));
      if (name.startsWith('eval') && shard >= 0) sources[shard]!.add(source);
    }
    return sources.map((set) => [...set]);
  }

  it.each([
    [1, [0, 0, 0, 0]],
    [2, [0, 1, 0, 1]],
    [4, [0, 1, 2, 3]],
  ])('of %i: a shard commits over one, shards in turn over all', async (poolSize, expected) => {
    const { engine, close } = await h.startProcess({ poolSize });
    const used = await connectionsOfShards(engine);
    await close();
    expect(used.map((sources) => sources.length)).toEqual([1, 1, 1, 1]);
    const distinct = [...new Set(used.flat())];
    expect(used.map(([source]) => distinct.indexOf(source!))).toEqual(expected);
  });

  it('is ready, all of it, when the engine has started', async () => {
    const { hostname, port } = new URL(h.servers.redisUrl);
    let accepted = 0;
    // All connections of the pool but the first are slow to come about.
    const wire = createServer((client) => {
      const isSlow = ++accepted > 1 && accepted <= SHARDS;
      setTimeout(() => client.pipe(connect(Number(port), hostname)).pipe(client), isSlow ? SLOW_MS : 0);
    }).listen(0, '127.0.0.1');
    await once(wire, 'listening');
    const redisUrl = `redis://127.0.0.1:${(wire.address() as AddressInfo).port}`;
    const { engine, close } = await h.startProcess({ poolSize: SHARDS }, { redisUrl });
    expect(engine.pool.map(({ status }) => status)).toEqual(Array(SHARDS).fill('ready'));
    await close();
    wire.close();
    await once(wire, 'close');
  });
});
