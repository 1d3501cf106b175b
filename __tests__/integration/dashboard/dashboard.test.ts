import { beforeAll, describe, expect, it } from 'vitest';
import { RUN_TASKS } from '../../../queues/run-tasks.queue.ts';
import type { CardContent } from '../../../src/lib/cards.ts';
import { namedId } from '../../../src/lib/ids.ts';
import { DashboardService } from '../../../src/services/dashboard/dashboard-service.ts';
import { Touches } from '../../../src/services/dashboard/touches.ts';
import { startTaskWorker } from '../../../src/task-workers.ts';
import { useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const school = useSchool();
const admin = school.as('admin');
const teacher = school.as('teacher001');
const student = school.as('student0001');
const parent = school.as('parent0001');
const STUDENT = namedId('student:student0001');
let classId: string;
let classSubject: string;

beforeAll(async () => {
  const [row] = await school.rows(
    `SELECT cs.id, cs.class_id FROM class_subjects cs JOIN enrollments e ON e.class_id = cs.class_id AND e.ends_on IS NULL
     JOIN staff s ON s.id = cs.staff_id JOIN users u ON u.id = s.user_id WHERE e.student_id = $1 AND u.login = 'teacher001'`,
    [STUDENT],
  );
  classId = String(row!.class_id);
  classSubject = String(row!.id);
});

const cardsOf = async (call: ReturnType<typeof school.as>, kind: string) => {
  const { status, body } = await call('GET', `/dashboard/${kind}`);
  expect(status).toBe(200);
  return body.data.cards;
};

const giveHomework = async (title: string) => {
  const due_at = `${TODAY}T12:00:00.000Z`;
  const answer = await teacher('POST', '/homework', {
    body: { class_subject_ids: [classSubject], title, due_at, max_x100: 1000 },
  });
  expect(answer.status).toBe(202);
  return String(answer.body.data.id);
};

describe('cards', () => {
  it('DB1: each role has its own, each with the time it is of', async () => {
    const own = await cardsOf(student, 'student');
    expect(Object.keys(own).sort()).toEqual(['attendance', 'events', 'homework', 'rank', 'unread']);
    for (const card of Object.values(own)) expect(card).toMatchObject({ as_of: school.clock.now().toISOString() });
    const due = await school.rows(
      `SELECT h.id FROM homework h JOIN class_subjects cs ON cs.id = h.class_subject_id
       WHERE cs.class_id = $1 AND h.status = 'published' AND h.publish_at <= $2 AND h.due_at >= $2 ORDER BY h.due_at, h.id LIMIT 5`,
      [classId, school.clock.now()],
    );
    const shown = own.homework.next_due.map(({ homework_id }: { homework_id: string }) => homework_id);
    expect(shown).toEqual(due.map(({ id }) => id));
    expect(own.attendance).toMatchObject({ today: null, month_pct_bp: expect.any(Number) });
    const family = await parent('GET', '/dashboard/parent');
    expect(family.body.data.children.map(({ student_id }: { student_id: string }) => student_id)).toContain(STUDENT);
    expect(Object.keys(await cardsOf(teacher, 'teacher')).sort()).toEqual(['attendance', 'homework', 'lessons']);
    expect(await cardsOf(admin, 'admin')).toMatchObject({ attendance: { missing_sheets: 4 }, flush: { failed: 0 } });
  });

  it('DB1: one whose source fails or is late is null and named, and is asked again', async () => {
    const { redis, keys, cache } = school.engine;
    let isBroken = true;
    const card = (name: string, load: () => Promise<CardContent>) =>
      ({ name, dashboard: 'admin', schema: undefined as never, load }) as const;
    const dashboards = new DashboardService({
      cards: [
        card('sound', async () => ({ value: 1 })),
        card('broken', async () => (isBroken ? Promise.reject(new Error('no')) : { value: 2 })),
        card('slow', () => (isBroken ? new Promise(() => {}) : Promise.resolve({ value: 3 }))),
      ],
      touches: new Touches({ redis, keys }),
      cache,
      school: { dateAt: async () => TODAY } as never,
      log: school.log,
      cardMs: 20,
    });
    await new Touches({ redis, keys }).add(['school']);
    const caller = { actor: { roles: ['admin'], userId: '' } as never, scope: [], now: school.clock.now() };
    const first = await dashboards.admin(caller);
    expect(first).toMatchObject({
      cards: { sound: { value: 1 }, broken: null, slow: null },
      degraded: ['broken', 'slow'],
    });
    isBroken = false;
    expect((await dashboards.admin(caller)).degraded).toEqual([]);
    await new Touches({ redis, keys }).add(['school']);
  });

  it('are for the roles they are made for', async () => {
    expect((await teacher('GET', '/dashboard/admin')).status).toBe(403);
    expect((await student('GET', '/dashboard/teacher')).status).toBe(403);
    expect((await student('GET', `/dashboard/student?student_id=${namedId('student:student0002')}`)).status).toBe(404);
    expect((await admin('GET', `/dashboard/student?student_id=${STUDENT}`)).status).toBe(200);
  });
});

describe('kept dashboards', () => {
  it('are served from the cache until something changes', async () => {
    const first = await cardsOf(student, 'student');
    expect(await cardsOf(student, 'student')).toEqual(first);
  });

  it('I4: show what was given, handed in and marked as soon as it is acknowledged', async () => {
    await cardsOf(student, 'student');
    const before = (await cardsOf(teacher, 'teacher')).homework.to_grade;
    const id = await giveHomework('Seen at once');
    const find = async () =>
      (await cardsOf(student, 'student')).homework.next_due.find(
        (item: { homework_id: string }) => item.homework_id === id,
      );
    expect(await find()).toMatchObject({ handed_in: false });
    await student('PUT', `/homework/${id}/submission`, { body: { body: 'Done', final: true } });
    expect(await find()).toMatchObject({ handed_in: true });
    expect((await cardsOf(teacher, 'teacher')).homework.to_grade).toBe(before + 1);

    expect((await cardsOf(teacher, 'teacher')).attendance.sheets_not_taken).toHaveLength(1);
    await teacher('PUT', `/attendance/classes/${classId}/sheets/${TODAY}`, {
      body: { entries: [{ student_id: STUDENT, status: 'late', minutes_late: 5 }], rest: 'present' },
    });
    expect((await cardsOf(student, 'student')).attendance.today).toBe('late');
    expect((await cardsOf(teacher, 'teacher')).attendance.sheets_not_taken).toEqual([]);
    expect((await cardsOf(admin, 'admin')).attendance.missing_sheets).toBe(3);

    await school.sync();
    expect(await find()).toMatchObject({ handed_in: true });
    expect((await cardsOf(teacher, 'teacher')).homework.to_grade).toBe(before + 1);
  });
});

const entriesOf = (source: string) =>
  school.rows('SELECT source_id, points FROM point_entries WHERE student_id = $1 AND source = $2 ORDER BY created_at', [
    STUDENT,
    source,
  ]);

describe('points', () => {
  it('DB2: homework in time is worth ten points, and the rank follows', async () => {
    const before = (await cardsOf(student, 'student')).rank.points;
    const id = await giveHomework('For points');
    await student('PUT', `/homework/${id}/submission`, { body: { body: 'Done', final: true } });
    await until('the points', async () =>
      (await entriesOf('homework')).some(({ source_id, points }) => source_id === id && points === 10)
        ? true
        : undefined,
    );
    await until('the rank', async () =>
      (await cardsOf(student, 'student')).rank.points >= before + 10 ? true : undefined,
    );
  });

  it('DB3: a corrected mark replaces its points, never adds', async () => {
    const today = () =>
      school.rows(
        "SELECT points FROM point_entries WHERE student_id = $1 AND source = 'attendance' AND effective_on = $2",
        [STUDENT, TODAY],
      );
    for (const [status, points] of [
      ['present', 2],
      ['half_day', 1],
      ['absent', undefined],
    ] as const) {
      await teacher('PUT', `/attendance/classes/${classId}/sheets/${TODAY}`, {
        body: { entries: [{ student_id: STUDENT, status }] },
      });
      await school.sync();
      const wanted = points === undefined ? [] : [{ points }];
      await until('the entry', async () =>
        JSON.stringify(await today()) === JSON.stringify(wanted) ? true : undefined,
      );
    }
  });

  it('DB2: a teacher gives at most 100 a student and month, however many requests come at once', async () => {
    const give = () =>
      teacher('POST', '/points', { body: { student_id: STUDENT, points: 20, reason: 'Helped others' } });
    const answers = await Promise.all(Array.from({ length: 10 }, give));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(5);
    expect(answers.find(({ status }) => status !== 201)).toMatchObject({ status: 422, body: { code: 'POINTS_LIMIT' } });
    expect((await entriesOf('manual')).map(({ points }) => points)).toEqual([20, 20, 20, 20, 20]);
    const own = { student_id: STUDENT, points: 1, reason: 'Another author' };
    expect((await admin('POST', '/points', { body: own })).status).toBe(201);
    expect((await admin('POST', '/points', { body: { ...own, points: 0 } })).status).toBe(400);
    expect((await admin('POST', '/points', { body: { ...own, points: 51 } })).status).toBe(400);
  });
});

describe('leaderboards', () => {
  const path = (period = 'year') => `/leaderboards/classes/${classId}?period=${period}`;

  it('DB4: shows the sums of the database, at once after a change and after a rebuild', async () => {
    const sums = async () =>
      (
        await school.rows(
          `SELECT e.student_id AS id, coalesce(sum(p.points), 0)::int AS points FROM enrollments e
           LEFT JOIN point_entries p ON p.student_id = e.student_id AND p.effective_on BETWEEN '2025-04-01' AND '2026-03-31'
           WHERE e.class_id = $1 AND e.ends_on IS NULL GROUP BY e.student_id ORDER BY e.student_id`,
          [classId],
        )
      ).map(({ id, points }) => [id, points]);
    const shown = async () =>
      (await teacher('GET', path())).body.data.rows
        .map(({ student: { id }, points }: { student: { id: string }; points: number }) => [id, points])
        .sort();
    expect(await shown()).toEqual(await sums());
    await admin('POST', '/points', { body: { student_id: STUDENT, points: 7, reason: 'Kind' } });
    expect(await shown()).toEqual(await sums());
    await school.container.dashboard.points.nightly(school.clock.now());
    expect(await shown()).toEqual(await sums());
  });

  it('DB4: is served from its sorted set, which a change adjusts', async () => {
    const { redis, keys } = school.engine;
    const { leaderboards } = school.container.dashboard;
    const key = keys.leaderboard(classId, '2025-09');
    const everybody = await leaderboards.of(classId, 'month', TODAY);
    const other = everybody.find(({ studentId }) => studentId !== STUDENT)!.studentId;
    // What is in nobody's database is shown only by who reads the set; a change that comes late may undo it meanwhile.
    await until('the set to be read', async () => {
      await redis.zadd(key, 9_999, other);
      const [first] = await leaderboards.of(classId, 'month', TODAY);
      return first!.points === 9_999 ? true : undefined;
    });
    // One that is counted as a change of the student alone leaves the rest of the set as it is.
    await until('the set to be adjusted', async () => {
      await leaderboards.of(classId, 'month', TODAY);
      await redis.zadd(key, 9_999, other);
      await leaderboards.changed(classId, [STUDENT], TODAY);
      const [first] = await leaderboards.of(classId, 'month', TODAY);
      return first!.points === 9_999 ? true : undefined;
    });
    expect(await redis.ttl(key)).toBeGreaterThan(7 * 86_400);
    await leaderboards.drop(classId);
    expect((await leaderboards.of(classId, 'month', TODAY))[0]!.points).toBeLessThan(9_999);
  });

  it('DB4: is right when changes cross rebuilds and each other', async () => {
    const { leaderboards } = school.container.dashboard;
    const steps = Array.from({ length: 30 }, async (_, index) => {
      if (index % 3 === 0) return leaderboards.drop(classId);
      if (index % 3 === 1) return leaderboards.of(classId, 'year', TODAY);
      return admin('POST', '/points', { body: { student_id: STUDENT, points: 1, reason: 'One more' } });
    });
    await Promise.all(steps);
    const kept = await leaderboards.of(classId, 'year', TODAY);
    await leaderboards.drop(classId);
    expect(kept).toEqual(await leaderboards.of(classId, 'year', TODAY));
  });

  it('DB4: families see ten ranks and their own row, teachers all', async () => {
    const all = (await teacher('GET', path())).body.data.rows;
    expect(all.length).toBeGreaterThan(20);
    const last = all.at(-1);
    const [row] = await school.rows('SELECT u.login FROM students s JOIN users u ON u.id = s.user_id WHERE s.id = $1', [
      last.student.id,
    ]);
    const { rows, me } = (await school.as(String(row!.login))('GET', path())).body.data;
    expect(me).toEqual(last);
    expect(rows).toEqual(all.filter(({ rank, student: { id } }: typeof last) => rank <= 10 || id === last.student.id));
  });
});

describe('nights', () => {
  it('DB2: award the bonus of the month before, once, and take it back where it is not earned', async () => {
    const { points } = school.container.dashboard;
    const bonuses = () =>
      school.rows(
        "SELECT student_id, points FROM point_entries WHERE source = 'bonus' AND effective_on = '2025-08-31' ORDER BY student_id",
      );
    const seeded = await bonuses();
    expect(seeded.length).toBeGreaterThan(0);
    const [first] = seeded;
    await school.rows(
      "UPDATE attendance_entries SET status = 'absent' WHERE student_id = $1 AND on_date = (SELECT min(on_date) FROM attendance_entries WHERE student_id = $1 AND on_date >= '2025-08-01')",
      [first!.student_id],
    );
    await points.nightly(school.clock.now());
    await points.nightly(school.clock.now());
    expect(await bonuses()).toEqual(seeded.slice(1));
  });

  it('DB3: follow the rolls of the year’s earlier months, which may be corrected until their term is locked', async () => {
    const bonuses = (student_id: unknown) =>
      school.rows(
        "SELECT effective_on::text AS month FROM point_entries WHERE source = 'bonus' AND student_id = $1 AND effective_on = '2025-07-31'",
        [student_id],
      );
    const [earned] = await school.rows(
      "SELECT student_id FROM point_entries WHERE source = 'bonus' AND effective_on = '2025-07-31' ORDER BY student_id",
    );
    const mark = (status: string) =>
      school.rows(
        `UPDATE attendance_entries SET status = $2 WHERE student_id = $1 AND on_date = (
           SELECT min(on_date) FROM attendance_entries WHERE student_id = $1 AND on_date >= '2025-07-01')`,
        [earned!.student_id, status],
      );
    const { points } = school.container.dashboard;
    await mark('absent');
    await points.nightly(school.clock.now());
    expect(await bonuses(earned!.student_id)).toEqual([]);
    await mark('present');
    await points.nightly(school.clock.now());
    expect(await bonuses(earned!.student_id)).toHaveLength(1);
  });

  it('make every leaderboard anew as a scheduled task', async () => {
    const worker = await startTaskWorker(school.container, school.log, school.clock);
    try {
      // Lost from Redis and changed behind our back: only a rebuild can tell.
      await school.rows("DELETE FROM point_entries WHERE student_id = $1 AND source = 'manual'", [STUDENT]);
      await school.engine.queues[RUN_TASKS].add('leaderboard.rebuild', { task: 'leaderboard.rebuild' });
      const [sum] = await school.rows('SELECT sum(points)::int AS points FROM point_entries WHERE student_id = $1', [
        STUDENT,
      ]);
      await until('the rebuild', async () => {
        const { me } = (await student('GET', `/leaderboards/classes/${classId}?period=year`)).body.data;
        return me.points === sum!.points ? true : undefined;
      });
    } finally {
      await worker.close();
    }
  });
});
