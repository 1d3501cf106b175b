import { randomBytes } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import { PressureRelief } from '../../processors/pressure-relief.ts';
import { requestSync } from '../../queues/request-sync.ts';
import { useHarness } from '../support/engine-harness.ts';
import { Oracle } from '../support/oracle.ts';
import { startOwnServer } from '../support/own-server.ts';
import { buildClub, buildClubMember, clubEntity, clubMemberEntity } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

const redis = await startOwnServer('redis', ['--maxmemory', '10mb']);
afterAll(() => redis.close());

/** Takes what the buffers of idle connections have given back since the last refusal. @returns the keys that it made */
async function fillUp(client: Cluster | Redis): Promise<string[]> {
  const made: string[] = [];
  for (;;) {
    const key = `filler:${made.length}`;
    try {
      await client.set(key, 'x');
    } catch (error) {
      if (!/\bOOM\b/.test((error as Error).message)) throw error;
      return made;
    }
    made.push(key);
  }
}

/** FAILURES 3, and worse: full to the last byte, so that not even a job can be added. */
describe('Redis at maxmemory', () => {
  const h = useHarness({ servers: { redisUrl: redis.url } });
  const noise = (): string => randomBytes(3_000).toString('hex');

  it('refuses writes whole, drains without a queue, loses nothing and resumes', { timeout: 60_000 }, async () => {
    const oracle = new Oracle();
    const { engine } = await h.startProcess({ isPatient: true });
    await h.startWorker(engine);
    const refusals: string[] = [];
    while (refusals.length < 200) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const club = buildClub({ tags: { noise: noise() } });
          try {
            oracle.noteReceipt(clubEntity, club, (await h.put('club', club)).version);
            const member = buildClubMember(String(club.id), {
              note: index % 2 === 0 ? noise().slice(0, 500) : 'short',
            });
            oracle.noteReceipt(clubMemberEntity, member, (await h.put('club_member', member)).version);
          } catch (error) {
            refusals.push((error as Error).message);
          }
        }),
      );
    }
    expect(new Set(refusals.map((message) => /\bOOM\b/.test(message)))).toEqual(new Set([true]));
    expect(await h.audit()).toEqual([]);
    const fillers = await fillUp(h.redis);
    await expect(requestSync(h.engine.queues, 'admin')).rejects.toThrow('OOM');
    if (fillers.length > 0) await h.redis.del(fillers);
    const relief = new PressureRelief({
      ...engine,
      requestSync: () => requestSync(engine.queues, 'memory'),
      log: h.log,
      batchSize: 50,
    }).start();
    await until('room', async () => ((await engine.guard.checkMemory()) === 'normal' ? true : undefined), 30_000);
    await relief.stop();
    const late = buildClub();
    oracle.noteReceipt(clubEntity, late, (await h.put('club', late)).version);
    await until('workers to recover', async () => {
      await h.sync();
      return (await h.dirty()).length === 0 ? true : undefined;
    });
    expect(await h.redis.info('stats')).toContain('evicted_keys:0');
    expect(oracle.count).toBeGreaterThan(500);
    expect(await oracle.losses(h)).toEqual([]);
  });
});
