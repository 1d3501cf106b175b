import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { EVERYTHING } from '../../../src/lib/reach.ts';
import { whileDatabaseIsDown } from '../../support/database-outage.ts';
import { useHarness } from '../../support/engine-harness.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { startOwnServer } from '../../support/own-server.ts';
import { TODAY } from '../../support/template.ts';
import { buildClub } from '../../support/test-entities.ts';
import { until } from '../../support/until.ts';

// What the buffer's Redis must never be: volatile and evicting.
const server = await startOwnServer('redis', ['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru']);
const cache = new Redis(server.url);
cache.on('error', () => {});
afterAll(async () => {
  cache.disconnect();
  await server.close();
});

/** Far below the time after which a connection is given up. */
const SOON_MS = 2_000;

describe('a school with another Redis for its caches', () => {
  const school = useSchool({ REDIS_CACHE_URL: server.url });
  let teacher: Call;
  let classId: string;
  let studentId: string;
  let give: () => ReturnType<Call>;

  const readiness = async () => (await school.as(undefined)('GET', '/readyz')).body;
  const takeRoll = (status: string) =>
    teacher('PUT', `/attendance/classes/${classId}/sheets/${TODAY}`, {
      body: { entries: [{ student_id: studentId, status }] },
    });
  const read = () => teacher('GET', '/homework?limit=5');
  const cacheStatus = (wanted: string) =>
    until(`the cache to be ${wanted}`, async () =>
      (await readiness()).checks.cache.status === wanted ? true : undefined,
    );
  /** Names of cached answers by their kind, e.g. `list` or `session`. */
  async function kindsOn(redis: Redis): Promise<string[]> {
    const start = `{${school.prefix}:copy:`;
    const keys = (await redis.keys(`*${school.prefix}*`)).filter((key) => key.startsWith(start));
    return [...new Set(keys.map((key) => key.slice(start.length).split(/[:}]/, 1)[0]!))].sort();
  }

  beforeAll(async () => {
    teacher = school.as('teacher001');
    const { class_subjects, homerooms } = (await teacher('GET', '/auth/me')).body.data.scopes;
    classId = homerooms[0].id;
    studentId = (await teacher('GET', `/classes/${classId}/students`)).body.data[0].student_id;
    give = () =>
      teacher('POST', '/homework', {
        body: { class_subject_ids: [class_subjects[0].id], title: 'Any', due_at: '2025-09-12T18:00:00Z' },
        headers: { 'idempotency-key': crypto.randomUUID() },
      });
  });

  it('starts on a server that may evict, and says that it is there', async () => {
    const { status, checks } = await readiness();
    expect(status).toBe('ready');
    expect(checks).toMatchObject({ redis: { status: 'ok', maxmemoryPolicy: 'noeviction' }, cache: { status: 'ok' } });
  });

  it('keeps answers there; logins, reference data and all else with the buffer', async () => {
    expect([(await give()).status, (await takeRoll('present')).status]).toEqual([202, 202]);
    await read();
    expect(await kindsOn(cache)).toEqual(['list', 'sheet', 'user']);
    const kept = await kindsOn(school.engine.redis);
    expect(kept).toEqual(expect.arrayContaining(['calendar', 'class', 'school', 'session']));
    expect(kept.filter((kind) => ['list', 'row', 'sheet'].includes(kind))).toEqual([]);
    const strangers = (await cache.keys('*')).filter((key) => !key.startsWith(`{${school.prefix}:copy:`));
    expect(strangers).toEqual([]);
    expect(await school.engine.redis.keys(`*${school.prefix}:cache:idem:*`)).not.toEqual([]);
  });

  it('serves them while PostgreSQL is down', async () => {
    const { body } = await read();
    await whileDatabaseIsDown(school, async () => {
      const again = await read();
      expect(again).toMatchObject({ status: 200, body: { data: body.data } });
    });
  });

  it('reads on when they are evicted', async () => {
    const { body } = await read();
    await cache.flushall();
    expect(await read()).toMatchObject({ status: 200, body: { data: body.data } });
  });

  it('takes a roll with PostgreSQL down and all of them evicted', async () => {
    expect((await takeRoll('late')).status).toBe(202);
    await cache.flushall();
    // A minute later the process's own copies are too old.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
    try {
      const { status } = await whileDatabaseIsDown(school, () => takeRoll('absent'));
      expect(status).toBe(202);
    } finally {
      vi.useRealTimers();
    }
  });

  it('reads and writes on, and stays ready, while that server hangs', async () => {
    const { body } = await read();
    server.hold();
    try {
      for (let count = 0; count < 5; count++) {
        const started = performance.now();
        expect(await read()).toMatchObject({ status: 200, body: { data: body.data } });
        expect(performance.now() - started).toBeLessThan(SOON_MS);
      }
      expect((await give()).status).toBe(202);
      expect(await readiness()).toMatchObject({ status: 'ready', checks: { cache: { status: 'down' } } });
    } finally {
      server.resume();
    }
    await cacheStatus('ok');
  });

  it('reads and writes on, and stays ready, while that server is gone; uses it again when it is back', async () => {
    await server.kill();
    await cacheStatus('down');
    const { status, body } = await read();
    expect(status).toBe(200);
    expect((await give()).status).toBe(202);
    expect(await readiness()).toMatchObject({ status: 'ready', checks: { redis: { status: 'ok' } } });
    await server.start();
    await cacheStatus('ok');
    expect((await read()).body.data).toHaveLength(body.data.length);
    expect(await kindsOn(cache)).toContain('list');
  });
});

describe('an engine with another Redis for its cache', () => {
  const h = useHarness();
  const guard = { allowVolatile: false, requiredFsync: 'everysec', hardShare: 0.9, fallbackBytes: 2 ** 30 } as const;
  /** More than the soft mark from the start. */
  const full = { guard: { ...guard, softShare: 1e-9 }, warmSeconds: 0 };

  /** Where a second read finds a row. */
  async function secondSource(cacheUrl?: string): Promise<string | undefined> {
    const { engine, close } = await h.startProcess({ ...full, ...(cacheUrl ? { cacheUrl } : {}) });
    const club = buildClub();
    const id = String(club.id);
    await engine.buffer.put('club', club);
    await engine.batchWriter.write('club', [id]);
    await engine.reader.get('club', id, EVERYTHING);
    const found = await engine.reader.get('club', id, EVERYTHING);
    await close();
    return found?.source;
  }

  it("keeps answers there although the buffer's Redis has no room", async () => {
    expect(await secondSource()).toBe('db');
    expect(await secondSource(server.url)).toBe('cache');
  });

  it('closes its connection', async () => {
    // Told apart by id: connections closed by the tests before may still be listed.
    const clients = async () => {
      const list = (await cache.client('LIST')) as string;
      return Array.from(list.matchAll(/^id=(\d+)/gm), ([, id]) => id!);
    };
    const before = new Set(await clients());
    const { close } = await h.startProcess({ cacheUrl: server.url });
    const ours = await until('a connection', async () => {
      const added = (await clients()).filter((id) => !before.has(id));
      return added.length > 0 ? added : undefined;
    });
    await close();
    await until('its end', async () => {
      const open = await clients();
      return ours.some((id) => open.includes(id)) ? undefined : true;
    });
  });

  it('starts while that server is away', async () => {
    await server.kill();
    try {
      expect(await secondSource(server.url)).toBe('db');
    } finally {
      await server.start();
    }
  });
});
