import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pressure } from '../../src/buffer/guard.ts';
import { createSyncNeed } from '../../src/sync-need.ts';
import { type EngineProcess, useHarness } from '../support/engine-harness.ts';
import { type Call, useSchool } from '../support/harness.ts';
import { startOwnServer } from '../support/own-server.ts';
import { buildClub } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

const MOST_BYTES = 12 * 1024 * 1024;
const redis = await startOwnServer('redis', ['--maxmemory', String(MOST_BYTES)]);
const shares = { softShare: 0.5, hardShare: 0.75 };
/** Text that no codec makes smaller. */
const noise = (bytes: number): string =>
  randomBytes(Math.ceil(bytes / 2))
    .toString('hex')
    .slice(0, bytes);

afterAll(() => redis.close());

describe('I7: memory is bounded', () => {
  const h = useHarness({
    servers: { redisUrl: redis.url },
    settings: {
      guard: { allowVolatile: false, requiredFsync: 'always', fallbackBytes: 2 ** 30, ...shares },
      warmSeconds: 0,
    },
  });
  const pressures: Pressure[] = [];
  let process: EngineProcess;
  beforeAll(async () => {
    process = await h.startProcess({}, { onPressure: (pressure) => void pressures.push(pressure) });
    await h.startWorker(process.engine);
  });

  it('a soft mark asks for a sync, a hard mark stops writes, a sync makes room again; nothing is evicted', {
    timeout: 90_000,
  }, async () => {
    const { engine } = process;
    const { guard } = engine;
    const needsSync = createSyncNeed(engine, 3_600_000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 200, max: 20_000 }), { minLength: 5, maxLength: 20 }),
        async (sizes) => {
          pressures.length = 0;
          expect(await guard.checkMemory()).toBe('normal');
          expect(await needsSync()).toBeUndefined();
          let written = 0;
          for (let index = 0; (await guard.checkMemory()) !== 'hard'; index++) {
            expect(guard.isAccepting).toBe(true);
            if (guard.pressure === 'soft') expect(await needsSync()).toBe('memory');
            await Promise.all(
              Array.from({ length: 20 }, () =>
                h.put('club', buildClub({ tags: { noise: noise(sizes[index % sizes.length]!) } })),
              ),
            );
            written += 20;
          }
          expect(guard.isAccepting).toBe(false);
          expect(guard.memory.usedBytes).toBeGreaterThan(MOST_BYTES * shares.hardShare);
          expect(guard.memory.usedBytes).toBeLessThan(MOST_BYTES);
          const runs = await h.syncAll();
          expect(runs.reduce((sum, run) => sum + run.stored, 0)).toBe(written);
          expect(
            await until('memory to be given back', async () =>
              (await guard.checkMemory()) === 'normal' ? true : undefined,
            ),
          ).toBe(true);
          expect(guard.isAccepting).toBe(true);
          expect(pressures).toEqual(expect.arrayContaining(['hard', 'normal']));
          expect(await h.redis.info('stats')).toContain('evicted_keys:0');
        },
      ),
      { numRuns: 3, endOnFailure: true },
    );
  });
});

describe('I7 over HTTP', () => {
  const school = useSchool({ REDIS_URL: redis.url, BUFFER_SOFT_LIMIT_PERCENT: '50', BUFFER_HARD_LIMIT_PERCENT: '75' });
  let teacher: Call;

  it('a full buffer answers 503 with Retry-After, keeps reading, and takes writes again after a sync', {
    timeout: 60_000,
  }, async () => {
    teacher = school.as('teacher001');
    const [subject] = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
    const post = () =>
      teacher('POST', '/homework', {
        body: {
          class_subject_ids: [subject.id],
          title: 'Noise',
          description: noise(15_000),
          due_at: '2025-09-12T18:00:00.000Z',
        },
      });
    const accepted: string[] = [];
    const refused = await until(
      'a refusal',
      async () => {
        for (const answer of await Promise.all(Array.from({ length: 10 }, post))) {
          if (answer.status !== 202) return answer;
          accepted.push(answer.body.data.id);
        }
        return undefined;
      },
      30_000,
    );
    expect(refused).toMatchObject({ status: 503, body: { code: 'BUFFER_FULL' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await teacher('GET', `/homework/${accepted[0]}`)).status).toBe(200);
    await school.sync();
    await until('writes to be taken again', async () => {
      const answer = await post();
      if (answer.status === 202) accepted.push(answer.body.data.id);
      return answer.status === 202 ? true : undefined;
    });
    await school.sync();
    const rows = await school.rows('SELECT id FROM homework WHERE id = ANY($1)', [accepted]);
    expect(rows).toHaveLength(accepted.length);
  });
});
