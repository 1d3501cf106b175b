import Joi from 'joi';
import { beforeAll, describe, expect, it } from 'vitest';
import { Cache } from '../../../src/cache/cache.ts';
import { namedId } from '../../../src/lib/ids.ts';
import { DashboardService } from '../../../src/services/dashboard/dashboard-service.ts';
import { Leaderboards } from '../../../src/services/dashboard/leaderboards.ts';
import { PointsStore } from '../../../src/services/dashboard/points-store.ts';
import { Touches } from '../../../src/services/dashboard/touches.ts';
import { School } from '../../../src/services/school/school.ts';
import { quiet } from '../../support/freshness.ts';
import { useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

const school = useSchool();
const admin = school.as('admin');
const STUDENT = namedId('student:student0001');
let classId: string;

beforeAll(async () => {
  classId = (await school.as('student0001')('GET', '/auth/me')).body.data.scopes.own_class.id;
});

const pointsOnBoard = async (): Promise<number> =>
  (await admin('GET', `/leaderboards/classes/${classId}?period=month`)).body.data.rows.find(
    (row: { student: { id: string } }) => row.student.id === STUDENT,
  ).points;

describe('what is loaded while something changes', () => {
  const reference = () =>
    new School({ knex: school.container.knex, cache: school.engine.keptCache, clock: school.clock });
  /** The first load has read, and waits before it answers. */
  const gate = () => {
    let open = () => {};
    let arrive = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    let loads = 0;
    const pass = async <T>(value: T): Promise<T> => {
      if (loads++ > 0) return value;
      arrive();
      await opened;
      return value;
    };
    return { pass, arrived, open: () => open(), loads: () => loads };
  };

  it('is answered and not kept: a dashboard', async () => {
    const { redis, keys, cache } = school.engine;
    const touches = new Touches({ redis, keys });
    const { pass, arrived, open, loads } = gate();
    let value = 'before';
    const dashboards = new DashboardService({
      cards: [{ name: 'gated', dashboard: 'admin', schema: Joi.object(), load: () => pass({ value }) }],
      touches,
      cache,
      school: reference(),
      log: school.log,
    });
    const caller = { actor: { roles: ['admin'] } as never, scope: [], now: school.clock.now() };
    const loading = dashboards.admin(caller);
    await arrived;
    value = 'after';
    await touches.add(['school']);
    open();
    expect((await loading).cards).toMatchObject({ gated: { value: 'before' } });
    expect((await dashboards.admin(caller)).cards).toMatchObject({ gated: { value: 'after' } });
    expect((await dashboards.admin(caller)).cards).toMatchObject({ gated: { value: 'after' } });
    expect(loads()).toBe(2);
    await touches.add(['school']);
  });

  it('is answered and not kept: a leaderboard', async () => {
    const { redis, keys } = school.engine;
    const store = new PointsStore(school.container.knex);
    const { pass, arrived, open } = gate();
    const totals: PointsStore['totals'] = async (...asked) => pass(await store.totals(...asked));
    const boards = new Leaderboards({ redis, keys, store: { totals } as PointsStore, school: reference() });
    await boards.drop(classId);
    const loading = boards.of(classId, 'month', TODAY);
    await arrived;
    const given = { student_id: STUDENT, points: 3, reason: 'Helped others' };
    expect((await admin('POST', '/points', { body: given })).status).toBe(201);
    open();
    const mine = (await loading).find(({ studentId }) => studentId === STUDENT)!.points;
    expect(await pointsOnBoard()).toBe(mine + 3);
    expect(await pointsOnBoard()).toBe(mine + 3);
  });
});

describe('a dashboard whose cards say nothing else', () => {
  it('is kept for a minute, give or take a tenth', async () => {
    await quiet(school);
    const { redis, keys } = school.engine;
    let nowMs = Date.now();
    const cache = new Cache({
      redis,
      keyOf: (name) => keys.copy(`timed:${name}`),
      ttlSeconds: 600,
      nowMs: () => nowMs,
    });
    const dashboards = school.container.dashboard.dashboards.withCache(cache);
    const startMs = school.clock.now().getTime();
    /** When what is shown so many seconds later was made. */
    const madeAfter = async (seconds: number): Promise<number> => {
      nowMs += seconds * 1_000;
      const now = new Date(startMs + seconds * 1_000);
      const { cards } = await dashboards.admin({
        actor: { roles: ['admin'], userId: STUDENT } as never,
        scope: [],
        now,
      });
      nowMs -= seconds * 1_000;
      return (Date.parse(cards.attendance!.as_of) - startMs) / 1_000;
    };
    expect(await madeAfter(0)).toBe(0);
    expect(await madeAfter(53)).toBe(0);
    expect(await madeAfter(67)).toBe(67);
    expect((await admin('GET', '/dashboard/admin')).status).toBe(200);
    for (const key of [keys.copy('dashboard:admin'), keys.copy('timed:dashboard:admin')]) {
      const seconds = await redis.ttl(key);
      // Gone, or going by itself: never without an end.
      expect(seconds, key).not.toBe(-1);
      expect(seconds, key).toBeLessThanOrEqual(66);
    }
  });
});
