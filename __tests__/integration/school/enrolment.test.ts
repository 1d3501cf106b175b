import { beforeAll, describe, expect, it } from 'vitest';
import { BadStateError } from '../../../src/errors/catalogue.ts';
import { enrolmentAnswer, leavingView } from '../../../src/services/school/student-schemas.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { expectShape } from '../../support/shape.ts';

const school = useSchool();
let admin: Call;
let from: string;
let to: string;
let number = 0;

beforeAll(async () => {
  admin = school.as('admin');
  [from, to] = (await admin('GET', '/classes')).body.data.map(({ id }: { id: string }) => id);
  // These tests put many students into it; how full it may be is tested with the other.
  await school.rows('UPDATE classes SET capacity = 1000 WHERE id = $1', [from]);
});

/** A student in the first class since the year began. */
async function member(): Promise<string> {
  const { body } = await admin('POST', '/students', {
    body: {
      admission_no: `E-${++number}`,
      full_name: `Member ${number}`,
      birth_on: '2013-05-01',
      admitted_on: '2025-04-01',
      class_id: from,
    },
  });
  return body.data.id;
}
const enrol = (id: string, class_id: string, starts_on: string) =>
  admin('POST', `/students/${id}/enrollments`, { body: { class_id, starts_on } });
const leave = (id: string, left_on: string) =>
  admin('POST', `/students/${id}/leave`, { body: { left_on, reason: 'moved away' } });
const intervals = async (id: string) =>
  (await admin('GET', `/students/${id}`)).body.data.enrollments.map(
    (row: { class: { id: string }; starts_on: string; ends_on: string | null }) => [
      row.class.id,
      row.starts_on,
      row.ends_on,
    ],
  );
const isIn = async (id: string, classId: string, on: string): Promise<boolean> =>
  (await admin('GET', `/classes/${classId}/students?on=${on}`)).body.data.some(
    (line: { student_id: string }) => line.student_id === id,
  );

describe('moving class', () => {
  it('A7: closes the old enrolment the day before; membership on a date follows the interval', async () => {
    const id = await member();
    // Asked before, so that the answers after the move cannot be the kept ones.
    expect(await isIn(id, from, '2025-09-10')).toBe(true);
    const moved = await enrol(id, to, '2025-09-08');
    expectShape(enrolmentAnswer, moved.body.data);
    expect(moved).toMatchObject({ status: 201, body: { data: { class: { id: to }, ends_on: null } } });
    expect(await intervals(id)).toEqual([
      [from, '2025-04-01', '2025-09-07'],
      [to, '2025-09-08', null],
    ]);
    expect(await isIn(id, from, '2025-09-07')).toBe(true);
    expect(await isIn(id, from, '2025-09-08')).toBe(false);
    expect(await isIn(id, to, '2025-09-07')).toBe(false);
    expect(await isIn(id, to, '2025-09-08')).toBe(true);
    const events = await school.rows('SELECT payload FROM outbox_events WHERE aggregate_id = $1 ORDER BY seq', [id]);
    expect(events.map(({ payload }) => (payload as { payload: object }).payload)).toEqual([
      { student_id: id, from: null, to: from, on: '2025-04-01' },
      { student_id: id, from, to, on: '2025-09-08' },
    ]);
  });

  it('A7: deletes an interval that would be empty', async () => {
    const id = await member();
    await enrol(id, to, '2025-09-08');
    expect((await enrol(id, from, '2025-09-08')).status).toBe(201);
    expect(await intervals(id)).toEqual([
      [from, '2025-04-01', '2025-09-07'],
      [from, '2025-09-08', null],
    ]);
  });

  it('A7: history stays with the old class', async () => {
    const id = await member();
    const teacher = school.as('teacher001');
    const { homerooms } = (await teacher('GET', '/auth/me')).body.data.scopes;
    expect(homerooms[0].id).toBe(from);
    const sheet = `/attendance/classes/${from}/sheets/2025-09-10`;
    const entries = [{ student_id: id, status: 'absent' }];
    expect((await teacher('PUT', sheet, { body: { entries } })).status).toBe(202);
    await school.sync();
    await enrol(id, to, '2025-09-11');
    const rows = await school.rows(
      'SELECT s.class_id, e.status FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id WHERE e.student_id = $1',
      [id],
    );
    expect(rows).toEqual([{ class_id: from, status: 'absent' }]);
    expect(await isIn(id, from, '2025-09-10')).toBe(true);
  });

  it("changes what the student's login reaches within a second", async () => {
    const [row] = await school.rows(
      `SELECT s.id FROM students s JOIN users u ON u.id = s.user_id WHERE u.login = 'student0002'`,
    );
    const student = school.as('student0002');
    const ownClass = async () => (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
    expect(await ownClass()).toBe(from);
    await enrol(String(row!.id), to, '2025-09-10');
    school.clock.set('2025-09-10T08:30:02+05:30');
    expect(await ownClass()).toBe(to);
  });

  it.each([
    ['into the class one is in', () => [from, '2025-09-09']],
    ['before the running enrolment', () => [to, '2025-04-01']],
    ['into days of an ended enrolment', () => [to, '2025-06-01']],
  ])('is refused %s', async (_, where) => {
    const id = await member();
    await enrol(id, to, '2025-07-01');
    await enrol(id, from, '2025-08-01');
    const [classId, on] = where() as [string, string];
    const answer = await enrol(id, classId, on);
    expect(answer).toMatchObject({ status: 409, body: { code: 'DATE_OVERLAP', errors: [{ pointer: '/starts_on' }] } });
    expect(await intervals(id)).toHaveLength(3);
  });

  it('is refused outside the year of the class, for an unknown class and an unknown student', async () => {
    const id = await member();
    expect(await enrol(id, to, '2026-04-01')).toMatchObject({ status: 422, body: { code: 'RULE_BROKEN' } });
    expect((await enrol(id, crypto.randomUUID(), '2025-09-10')).status).toBe(404);
    expect((await enrol(crypto.randomUUID(), to, '2025-09-10')).status).toBe(404);
    expect((await school.as('principal01')('POST', `/students/${id}/enrollments`, { body: {} })).status).toBe(403);
  });
});

describe('the seats of a class', () => {
  it('are never given twice, however many ask at once', async () => {
    const students = await Promise.all(Array.from({ length: 8 }, member));
    const free = 3;
    const taken = async () =>
      school.rows(
        `SELECT count(*)::int AS n, count(DISTINCT roll_no)::int AS numbers FROM enrollments
         WHERE class_id = $1 AND ends_on IS NULL`,
        [to],
      );
    const [before] = await taken();
    await school.rows('UPDATE classes SET capacity = $1 WHERE id = $2', [Number(before!.n) + free, to]);
    const answers = await Promise.all(students.map((id) => enrol(id, to, '2025-09-12')));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(free);
    for (const { status, body } of answers.filter((answer) => answer.status !== 201))
      expect([status, body.code]).toEqual([422, 'CLASS_FULL']);
    const [after] = await taken();
    expect(after).toEqual({ n: Number(before!.n) + free, numbers: Number(before!.n) + free });
    // Who was refused is where it was.
    const refused = students[answers.findIndex(({ status }) => status === 422)]!;
    expect(await intervals(refused)).toEqual([[from, '2025-04-01', null]]);
  });

  it('are free again on the day after somebody leaves', async () => {
    const [leaver, joiner] = [await member(), await member()];
    await school.rows('UPDATE classes SET capacity = 1000 WHERE id = $1', [to]);
    await enrol(leaver, to, '2025-10-01');
    const [{ n } = { n: 0 }] = await school.rows(
      'SELECT count(*)::int AS n FROM enrollments WHERE class_id = $1 AND ends_on IS NULL',
      [to],
    );
    await school.rows('UPDATE classes SET capacity = $1 WHERE id = $2', [n, to]);
    expect((await leave(leaver, '2025-10-31')).status).toBe(200);
    expect(await enrol(joiner, to, '2025-10-31')).toMatchObject({ status: 422, body: { code: 'CLASS_FULL' } });
    expect((await enrol(joiner, to, '2025-11-01')).status).toBe(201);
    await school.rows('UPDATE classes SET capacity = 1000 WHERE id = $1', [to]);
  });
});

describe('leaving', () => {
  it('A6: keeps the person, ends membership on the day and lists what is open', async () => {
    const id = await member();
    const answer = await leave(id, '2025-09-09');
    expect(answer.status).toBe(200);
    expectShape(leavingView, answer.body.data);
    expect(answer.body.data).toMatchObject({ status: 'left', left_on: '2025-09-09', open_items: [] });
    expect(await intervals(id)).toEqual([[from, '2025-04-01', '2025-09-09']]);
    expect(await isIn(id, from, '2025-09-09')).toBe(true);
    expect(await isIn(id, from, '2025-09-10')).toBe(false);
    const events = await school.rows('SELECT payload FROM outbox_events WHERE aggregate_id = $1 ORDER BY seq', [id]);
    expect(events.at(-1)).toMatchObject({ payload: { payload: { student_id: id, from, to: null, on: '2025-09-10' } } });
    expect((await leave(id, '2025-09-10')).body.code).toBe('BAD_STATE');
    expect((await enrol(id, to, '2025-09-10')).body.code).toBe('BAD_STATE');
    expect(
      (await admin('GET', '/students?status=left&limit=100')).body.data.map((s: { id: string }) => s.id),
    ).toContain(id);
  });

  it('A6: undoes a move that would begin later', async () => {
    const id = await member();
    await enrol(id, to, '2025-10-01');
    expect((await leave(id, '2025-09-15')).status).toBe(200);
    expect(await intervals(id)).toEqual([[from, '2025-04-01', '2025-09-15']]);
    expect((await leave(await member(), '2025-03-31')).status).toBe(422);
  });

  it('A6: families keep the child until the day, then only in money matters and report cards', async () => {
    const [row] = await school.rows(
      `SELECT s.id FROM students s JOIN users u ON u.id = s.user_id WHERE u.login = 'student0004'`,
    );
    const parent = school.as('parent0004');
    const see = async () => (await parent('GET', `/students/${row!.id}`)).status;
    await leave(String(row!.id), '2025-09-10');
    expect(await see()).toBe(200);
    school.clock.set('2025-09-11T08:30:00+05:30');
    expect(await see()).toBe(404);
    expect((await parent('GET', '/students')).body.data.map((s: { id: string }) => s.id)).not.toContain(row!.id);
  });

  it('A6: ends what other services give the student in the same transaction, and lists what they know to be open', async () => {
    const { departures } = school.container;
    await school.rows('CREATE TABLE riders (student_id uuid PRIMARY KEY, ends_on date)');
    departures.register({
      name: 'transport',
      async onLeave(knex, studentId, leftOn) {
        await knex.raw('UPDATE riders SET ends_on = ? WHERE student_id = ?', [leftOn, studentId]);
      },
    });
    const due = { id: 'INV-7', label: 'Invoice INV-7', due_on: '2025-10-01', amount_minor: 125_000 };
    const loan = { id: 'B-3', label: 'Atlas', due_on: null, amount_minor: null };
    departures.register({ name: 'fee', obligationsOf: async () => [{ kind: 'due', ...due }] });
    let isAway = false;
    departures.register({
      name: 'inventory',
      async obligationsOf(studentId) {
        if (isAway) throw new Error('away');
        const [row] = await school.rows('SELECT status FROM students WHERE id = $1', [studentId]);
        return row!.status === 'left' ? [{ kind: 'loan', ...loan }] : [];
      },
    });
    const [first, second, kept] = [await member(), await member(), await member()];
    for (const id of [first, second, kept]) await school.rows('INSERT INTO riders VALUES ($1)', [id]);
    const answer = await leave(first, '2025-09-09');
    expect(answer.body.data.open_items).toEqual([
      { kind: 'due', ...due },
      { kind: 'loan', ...loan },
    ]);
    // Who cannot be asked keeps nobody at school.
    isAway = true;
    const degraded = await leave(second, '2025-09-09');
    expect(degraded).toMatchObject({
      status: 200,
      body: { data: { open_items: [{ id: 'INV-7' }] }, meta: { degraded: ['inventory'] } },
    });
    // Who cannot end what it gives does: nothing of the leaving stays.
    departures.register({
      name: 'hostel',
      onLeave: async () => {
        throw new BadStateError('the room is not handed over');
      },
    });
    expect(await leave(kept, '2025-09-09')).toMatchObject({ status: 409, body: { code: 'BAD_STATE' } });
    expect(await intervals(kept)).toEqual([[from, '2025-04-01', null]]);
    expect(
      await school.rows('SELECT ends_on::text FROM riders WHERE student_id = ANY($1) ORDER BY student_id', [
        [first, second, kept],
      ]),
    ).toEqual([{ ends_on: '2025-09-09' }, { ends_on: '2025-09-09' }, { ends_on: null }]);
    expect((await admin('GET', `/students/${kept}`)).body.data.status).toBe('active');
  });
});
