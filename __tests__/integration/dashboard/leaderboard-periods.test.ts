import { beforeAll, describe, expect, it } from 'vitest';
import { namedId, newId } from '../../../src/lib/ids.ts';
import { Leaderboards } from '../../../src/services/dashboard/leaderboards.ts';
import { PointsStore } from '../../../src/services/dashboard/points-store.ts';
import { School } from '../../../src/services/school/school.ts';
import { quiet } from '../../support/freshness.ts';
import { type Answer, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

const school = useSchool();
const admin = school.as('admin');
const STUDENT = namedId('student:student0001');
const TOMORROW = '2025-09-11';
let classId: string;
let otherClass: string;
let classmates: string[];

beforeAll(async () => {
  classId = (await school.as('student0001')('GET', '/auth/me')).body.data.scopes.own_class.id;
  const classes: { id: string }[] = (await admin('GET', '/classes')).body.data;
  otherClass = classes.find(({ id }) => id !== classId)!.id;
  const roster: { student_id: string }[] = (await admin('GET', `/classes/${classId}/students`)).body.data;
  classmates = roster.map(({ student_id }) => student_id).filter((id) => id !== STUDENT);
});

const ok = (answer: Answer): Answer => {
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer;
};
const board = async (id: string, period: string): Promise<Map<string, number>> =>
  new Map(
    ok(await admin('GET', `/leaderboards/classes/${id}?period=${period}`)).body.data.rows.map(
      (row: { student: { id: string }; points: number }) => [row.student.id, row.points],
    ),
  );
const move = (id: string, starts_on: string) =>
  admin('POST', `/students/${id}/enrollments`, { body: { class_id: otherClass, starts_on } }).then(ok);
const earn = (on: string, points: number) =>
  school.rows(
    `INSERT INTO point_entries (id, student_id, source, source_id, points, effective_on, created_at) VALUES ($1, $2, 'manual', $1, $3, $4, now())`,
    [newId(), STUDENT, points, on],
  );

describe('a leaderboard’s period', () => {
  it('DB4: is that of the term as its dates are now', async () => {
    const [term] = await school.rows(
      `SELECT id, starts_on::text AS first, (starts_on + 1)::text AS second FROM terms WHERE $1 BETWEEN starts_on AND ends_on`,
      [TODAY],
    );
    await earn(String(term!.first), 40);
    const [onFirst] = await school.rows(
      'SELECT sum(points)::int AS points FROM point_entries WHERE student_id = $1 AND effective_on = $2',
      [STUDENT, term!.first],
    );
    await school.container.dashboard.leaderboards.drop(classId);
    const before = (await board(classId, 'term')).get(STUDENT)!;
    ok(await admin('PATCH', `/terms/${term!.id}`, { body: { starts_on: term!.second } }));
    expect((await board(classId, 'term')).get(STUDENT)).toBe(before - Number(onFirst!.points));
    ok(await admin('PATCH', `/terms/${term!.id}`, { body: { starts_on: term!.first } }));
    expect((await board(classId, 'term')).get(STUDENT)).toBe(before);
  });

  it('A7, DB4: who joins on a later day is in it from that day on, and not in the old class’s', async () => {
    const moved = classmates[0]!;
    await move(moved, TOMORROW);
    await quiet(school);
    expect((await board(classId, 'year')).has(moved)).toBe(true);
    expect((await board(otherClass, 'year')).has(moved)).toBe(false);
    // Ten past midnight, before the nightly rebuild.
    school.clock.set(`${TOMORROW}T00:10:00+05:30`);
    try {
      expect((await board(classId, 'year')).has(moved)).toBe(false);
      expect((await board(otherClass, 'year')).has(moved)).toBe(true);
    } finally {
      school.clock.set(`${TODAY}T08:30:00+05:30`);
    }
  });
});

it('is not there for a class that is none', async () => {
  expect((await admin('GET', `/leaderboards/classes/${newId()}`)).status).toBe(404);
});

describe('the rank card', () => {
  it('DB1: shows the new class’s rank after a move, though somebody looked before its leaderboard knew', async () => {
    const moved = classmates[1]!;
    const rank = async () => ok(await admin('GET', `/dashboard/student?student_id=${moved}`)).body.data.cards.rank.rank;
    await move(moved, TODAY);
    await quiet(school);
    const { redis, keys } = school.engine;
    const { knex, dashboard } = school.container;
    // The set as it was before the move, made by another process: this one remembers no ranking of it.
    await dashboard.leaderboards.drop(otherClass);
    const another = new School({ knex, cache: school.engine.keptCache, clock: school.clock });
    const store = new PointsStore(knex);
    await new Leaderboards({ redis, keys, store, school: another }).of(otherClass, 'year', TODAY);
    await redis.zrem(keys.leaderboard(otherClass, '2025-04-01~2026-03-31'), moved);
    const event = {
      id: newId(),
      name: 'school.enrollment.changed' as const,
      aggregateId: moved,
      payload: { student_id: moved, from: classId, to: otherClass },
      v: 1,
      at: school.clock.now().toISOString(),
      actorId: null,
      requestId: null,
    };
    await dashboard.dashboards.handle(event);
    expect(await rank()).toBeNull();
    await dashboard.points.handle(event);
    expect(await rank()).not.toBeNull();
  });

  it('DB2: shows the bonuses of the night as soon as they are given', async () => {
    const points = async () =>
      ok(await admin('GET', `/dashboard/student?student_id=${STUDENT}`)).body.data.cards.rank.points;
    await school.rows("DELETE FROM point_entries WHERE source = 'bonus'");
    await school.rows("UPDATE attendance_entries SET status = 'present' WHERE student_id = $1", [STUDENT]);
    await school.container.dashboard.leaderboards.drop(classId);
    await school.container.dashboard.dashboards.handle({
      id: newId(),
      name: 'school.enrollment.changed',
      aggregateId: STUDENT,
      payload: { student_id: STUDENT, from: classId, to: null },
      v: 1,
      at: school.clock.now().toISOString(),
      actorId: null,
      requestId: null,
    });
    const before = await points();
    await school.container.dashboard.points.nightly(school.clock.now());
    const given = await school.rows("SELECT 1 FROM point_entries WHERE student_id = $1 AND source = 'bonus'", [
      STUDENT,
    ]);
    expect(given.length).toBeGreaterThan(0);
    expect(await points()).toBe(before + 20 * given.length);
  });
});
