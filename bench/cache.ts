import type { Knex } from 'knex';
import { Cache } from '../src/cache/cache.ts';
import { systemClock } from '../src/lib/clock.ts';
import { PERIODS, type PeriodName } from '../src/services/dashboard/leaderboards.ts';
import { Touches } from '../src/services/dashboard/touches.ts';
import { createPostgres } from '../src/stores/postgres/connect.ts';
import { openEngine } from './support/engine.ts';
import { median, report, say } from './support/report.ts';
import { randomFrom } from './support/texts.ts';

/**
 * A student's dashboard and a class's leaderboard in the service, without HTTP: from the cache, at a miss of the dashboard's
 * key (the caches below it warm, as a minute after the last look), and by plain SQL, a set of queries a request and no
 * cache; unread notifications are in MongoDB and so in ours alone. The same students in the same order, so many at a time; interleaved rounds, medians.
 *
 * The hit rate is that of two stretches of a simulated day at the rates of DOMAIN §9, ten minutes each from a cold cache,
 * with people chosen by a zipf law and hand-ins that make dashboards stale; time is simulated, expiry with it.
 */
const NOW = new Date('2025-09-10T04:00:00Z');
const TODAY = '2025-09-10';
const CONCURRENCY = 16;
const STUDENTS = 200;
const ROUNDS = 3;
const HITS = 4_000;
const SQL_REQUESTS = 600;
const STRETCH_SECONDS = 600;
const STRETCHES = [
  { name: 'morning', reads: 60, handIns: 0 },
  { name: 'evening', reads: 150, handIns: 0.1 },
];
const BOUNDS: Record<PeriodName, [from: string, to: string]> = {
  month: ['2025-09-01', '2025-09-30'],
  term: ['2025-09-01', '2025-12-31'],
  year: ['2025-04-01', '2026-03-31'],
};

const RANKED = `SELECT s.id, s.full_name, coalesce(sum(p.points), 0)::int AS points,
    rank() OVER (ORDER BY coalesce(sum(p.points), 0) DESC) AS rank
  FROM enrollments e JOIN students s ON s.id = e.student_id AND s.status = 'active'
  LEFT JOIN point_entries p ON p.student_id = s.id AND p.effective_on BETWEEN ? AND ?
  WHERE e.class_id = ? AND e.starts_on <= ? AND (e.ends_on IS NULL OR e.ends_on >= ?) GROUP BY s.id ORDER BY points DESC, s.full_name`;

const rankedBySql = async (knex: Knex, classId: string, period: PeriodName) =>
  (await knex.raw(RANKED, [...BOUNDS[period], classId, TODAY, TODAY])).rows as { id: string }[];

async function dashboardBySql(knex: Knex, studentId: string): Promise<object> {
  const [school, enrolment] = await Promise.all([
    knex.raw('SELECT timezone, settings FROM schools'),
    knex.raw(
      'SELECT class_id FROM enrollments WHERE student_id = ? AND starts_on <= ? AND (ends_on IS NULL OR ends_on >= ?)',
      [studentId, TODAY, TODAY],
    ),
  ]);
  const classId = enrolment.rows[0].class_id;
  const [marks, homework, ranked, events] = await Promise.all([
    knex.raw(
      `SELECT e.on_date, e.status FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id
       WHERE e.student_id = ? AND e.on_date BETWEEN ? AND ? AND s.period_no = 0 AND s.status <> 'void'`,
      [studentId, `${TODAY.slice(0, 7)}-01`, TODAY],
    ),
    knex.raw(
      `SELECT h.id, h.title, h.due_at, j.name, s.status FROM homework h JOIN class_subjects cs ON cs.id = h.class_subject_id
       JOIN subjects j ON j.id = cs.subject_id
       LEFT JOIN homework_submissions s ON s.homework_id = h.id AND s.student_id = ?
       WHERE cs.class_id = ? AND h.status = 'published' AND h.publish_at <= ? AND h.due_at >= ? AND h.deleted_at IS NULL
       ORDER BY h.due_at, h.id LIMIT 5`,
      [studentId, classId, NOW, NOW],
    ),
    rankedBySql(knex, classId, 'year'),
    // Series as one row each: what a rule makes of them is left out here.
    knex.raw(
      `SELECT e.id, e.title, e.kind, e.starts_at, e.last_ends_at, e.rrule FROM events e
       WHERE e.status = 'published' AND e.deleted_at IS NULL AND e.starts_at < ?::timestamptz + interval '60 days'
         AND (e.last_ends_at IS NULL OR e.last_ends_at > ?)
         AND EXISTS (SELECT 1 FROM event_audiences a WHERE a.event_id = e.id AND (a.kind = 'school' OR a.role = 'student'
           OR a.class_id = ? OR a.user_id = (SELECT user_id FROM students WHERE id = ?)))
       ORDER BY e.starts_at, e.title`,
      [NOW, NOW, classId, studentId],
    ),
  ]);
  return {
    timezone: school.rows[0].timezone,
    marks: marks.rows,
    homework: homework.rows,
    rank: ranked.find(({ id }) => id === studentId),
    events: events.rows,
  };
}

/** Mean ms a request, so many at a time. */
async function timed(count: number, request: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const startedMs = performance.now();
  const run = async () => {
    while (next < count) await request(next++);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, run));
  return (performance.now() - startedMs) / count;
}

/** Picks 0 … n−1, the first ones most: zipf with exponent 1. */
function zipf(n: number, random: () => number): () => number {
  let sum = 0;
  const bounds = Array.from({ length: n }, (_, index) => {
    sum += 1 / (index + 1);
    return sum;
  });
  return () => {
    const wanted = random() * sum;
    let [low, high] = [0, n - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bounds[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

const knex = createPostgres({ url: process.env.DATABASE_URL!, maxConnections: 10, idleConnections: 10 });
const { container, close } = await openEngine({ REDIS_PREFIX: 'bench' }, { workers: false });
const { engine, dashboard } = container;
const { dashboards, leaderboards } = dashboard;
const touches = new Touches(engine);
const everybody = (
  await knex.raw(
    `SELECT e.student_id AS id, e.class_id AS "classId", s.user_id AS "userId" FROM enrollments e
     JOIN students s ON s.id = e.student_id WHERE e.ends_on IS NULL ORDER BY md5(e.student_id::text)`,
  )
).rows as { id: string; classId: string; userId: string }[];
const students = everybody.slice(0, STUDENTS);
const classes = [...new Set(everybody.map(({ classId }) => classId))];
const at = <T>(list: readonly T[], index: number): T => list[index % list.length]!;
const byCache = (index: number) => dashboards.cardsOfStudent(at(students, index).id, NOW, at(students, index).userId);
const board = (index: number) =>
  leaderboards.of(at(classes, index), at(PERIODS, Math.floor(index / classes.length)), TODAY);
const boardBySql = (index: number) =>
  rankedBySql(knex, at(classes, index), at(PERIODS, Math.floor(index / classes.length)));

const ratios = { hit: [] as number[], miss: [] as number[], board: [] as number[] };
const rounds: object[] = [];
for (let round = 0; round <= ROUNDS; round++) {
  await timed(STUDENTS, byCache);
  const hitMs = await timed(HITS, byCache);
  const sqlMs = await timed(SQL_REQUESTS, (index) => dashboardBySql(knex, at(students, index).id));
  await touches.add(students.map(({ id }) => `student:${id}` as const));
  const missMs = await timed(STUDENTS, byCache);
  await timed(classes.length * PERIODS.length, board);
  const boardMs = await timed(HITS, board);
  const boardSqlMs = await timed(SQL_REQUESTS, boardBySql);
  const figures = { hitMs, missMs, sqlMs, boardMs, boardSqlMs };
  say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${JSON.stringify(figures)} (ms a request)`);
  if (round === 0) continue;
  ratios.hit.push(hitMs / sqlMs);
  ratios.miss.push(missMs / sqlMs);
  ratios.board.push(boardMs / boardSqlMs);
  rounds.push(figures);
}

/** Reads of dashboards, one in ten of a leaderboard's page too; a parent's read is that of a child. */
async function simulate(): Promise<{ reads: number; hits: number; dashboardReads: number; dashboardHits: number }> {
  const count = { reads: 0, hits: 0, dashboardReads: 0, dashboardHits: 0 };
  let nowMs = NOW.getTime();
  const cache = new Cache({
    redis: engine.redis,
    keyOf: (name) => engine.keys.copy(`simulated:${name}`),
    ttlSeconds: 60,
    nowMs: () => nowMs,
    observe: (name, isHit) => {
      count.reads++;
      if (isHit) count.hits++;
      if (!name.startsWith('dashboard:')) return;
      count.dashboardReads++;
      if (isHit) count.dashboardHits++;
    },
  });
  const simulated = dashboards.withCache(cache);
  const random = randomFrom(24);
  const pick = zipf(everybody.length, random);
  for (const { reads, handIns } of STRETCHES) {
    for (let second = 0; second < STRETCH_SECONDS; second++) {
      nowMs += 1_000;
      if (random() < handIns) {
        const { id, classId } = everybody[pick()]!;
        await touches.add([`student:${id}`, `class:${classId}`]);
      }
      await timed(reads, () => {
        const { id, userId } = everybody[pick()]!;
        return simulated.cardsOfStudent(id, new Date(nowMs), userId);
      });
    }
    nowMs += 3_600_000;
  }
  return count;
}

const startedAt = systemClock.now().getTime();
const day = await simulate();
say(`simulated ${JSON.stringify(day)} in ${Math.round((systemClock.now().getTime() - startedAt) / 1000)} s`);
await close();
await knex.destroy();
report(
  {
    bench: 'cache',
    figures: {
      dashboard_hit_over_sql: median(ratios.hit),
      dashboard_miss_over_sql: median(ratios.miss),
      leaderboard_over_sql: median(ratios.board),
      hit_rate: day.dashboardHits / day.dashboardReads,
    },
    rounds: [...rounds, day],
  },
  {
    dashboard_hit_over_sql: { most: 0.0625 },
    dashboard_miss_over_sql: { most: 0.375 },
    leaderboard_over_sql: { most: 0.055 },
    hit_rate: { least: 0.9 },
  },
  { concurrency: CONCURRENCY, students: everybody.length },
);
