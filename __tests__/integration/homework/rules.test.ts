import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { EVERYTHING } from '../../../src/lib/reach.ts';
import { whileDatabaseIsDown } from '../../support/database-outage.ts';
import { type Call, useSchool } from '../../support/harness.ts';

const school = useSchool();
let teacher: Call;
let student: Call;
let admin: Call;
let classSubject: string;
let classId: string;
let studentId: string;

const DUE = '2025-09-12T18:00:00.000Z';
const LATE_UNTIL = '2025-09-16T18:00:00.000Z';
const MORNING = '2025-09-10T03:00:00Z';

const give = async (fields: object = {}): Promise<{ id: string; version: number }> =>
  (
    await teacher('POST', '/homework', {
      body: { class_subject_ids: [classSubject], title: 'Rules', due_at: DUE, ...fields },
    })
  ).body.data;
const handIn = (id: string, body: object = { body: 'done', final: true }) =>
  student('PUT', `/homework/${id}/submission`, { body });
const change = (id: string, body: object) => teacher('PATCH', `/homework/${id}`, { body });

/** Marks as the grading endpoint will leave them. */
async function grade(
  homeworkId: string,
  status: string,
  fields: { releasedAt?: string; at?: string } = {},
): Promise<void> {
  await school.rows(
    `INSERT INTO homework_grades (homework_id, student_id, status, raw_x100, final_x100, is_penalty_waived, graded_by, graded_at, released_at)
     SELECT h.id, $2, $3, 1500, 1500, false, h.staff_id, $4, $5 FROM homework h WHERE h.id = $1
     ON CONFLICT (homework_id, student_id) DO UPDATE SET status = excluded.status, released_at = excluded.released_at`,
    [homeworkId, studentId, status, fields.at ?? MORNING, fields.releasedAt ?? null],
  );
  await school.engine.cache.drop(`homework:grades:${homeworkId}`);
}

async function at<T>(instant: string, run: () => Promise<T>): Promise<T> {
  school.clock.set(instant);
  try {
    return await run();
  } finally {
    school.clock.set(MORNING);
  }
}

beforeAll(async () => {
  school.clock.set(MORNING);
  teacher = school.as('teacher001');
  student = school.as('student0001');
  admin = school.as('admin');
  const { own_class, student_id } = (await student('GET', '/auth/me')).body.data.scopes;
  classId = own_class.id;
  studentId = student_id;
  const mine = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  classSubject = mine.find((subject: { class: { id: string } }) => subject.class.id === classId).id;
});

describe('H3 revisions', () => {
  it('end with the mark, unless the work is given back: then they keep their lateness', async () => {
    const { id } = await give({ late_until_at: LATE_UNTIL });
    await at('2025-09-13T19:00:00Z', () => handIn(id));
    await school.sync();
    await grade(id, 'graded');
    expect(await at('2025-09-13T20:00:00Z', () => handIn(id))).toMatchObject({
      status: 409,
      body: { code: 'ALREADY_GRADED' },
    });
    await grade(id, 'returned');
    const revised = await at('2025-09-20T08:00:00Z', () => handIn(id));
    expect(revised).toMatchObject({ status: 202, body: { data: { revision: 2, is_late: true, late_days: 2 } } });
    await change(id, { status: 'closed' });
    expect(await at('2025-09-20T09:00:00Z', () => handIn(id))).toMatchObject({
      status: 422,
      body: { code: 'SUBMISSION_CLOSED' },
    });
  });

  it('that were accepted while nobody could know of the mark fail at the flush', async () => {
    const { id } = await give();
    await handIn(id);
    await school.sync();
    await grade(id, 'graded');
    const found = await school.engine.reader.get('homework_submission', `${id}:${studentId}`, EVERYTHING);
    await school.engine.buffer.put(
      'homework_submission',
      { ...found!.document, revision: 2, saved_at: '2025-09-11T08:00:00.000Z' },
      { base: found!.version },
    );
    expect((await school.sync()).failed).toBe(1);
    const [failed] = (await admin('GET', '/admin/failed-writes?entity=homework_submission')).body.data;
    expect(failed).toMatchObject({ key: `${id}:${studentId}`, code: 'ALREADY_GRADED' });
    await admin('DELETE', `/admin/failed-writes/${failed.id}?reason=graded%20before`);
  });
});

describe('H4 drafts', () => {
  it('never replace what is handed in, at acceptance and at the flush', async () => {
    const { id } = await give();
    await handIn(id);
    expect(await handIn(id, { body: 'a draft' })).toMatchObject({ status: 422, body: { code: 'RULE_BROKEN' } });
    await school.sync();
    const found = await school.engine.reader.get('homework_submission', `${id}:${studentId}`, EVERYTHING);
    await school.engine.buffer.put(
      'homework_submission',
      { ...found!.document, status: 'draft', body: 'a draft' },
      { base: found!.version },
    );
    expect((await school.sync()).failed).toBe(1);
    const [failed] = (await admin('GET', '/admin/failed-writes?entity=homework_submission')).body.data;
    expect(failed).toMatchObject({ code: 'ALREADY_SUBMITTED' });
    expect(await school.rows('SELECT status, body FROM homework_submissions WHERE homework_id = $1', [id])).toEqual([
      { status: 'submitted', body: 'done' },
    ]);
    await admin('DELETE', `/admin/failed-writes/${failed.id}?reason=only%20a%20draft`);
  });
});

describe('H6 what submissions and marks fix', () => {
  it('refuses at the flush what acceptance could not know', async () => {
    const [earlier, deleted, harmless] = [await give(), await give(), await give()];
    for (const { id } of [earlier, deleted, harmless]) await handIn(id);
    await school.sync();
    const { reader, buffer } = school.engine;
    const put = async (id: string, fields: object, isTombstone = false) => {
      const found = await reader.get('homework', id, EVERYTHING);
      await buffer.put('homework', { ...found!.document, ...fields }, { base: found!.version, isTombstone });
    };
    await put(earlier.id, { due_at: '2025-09-11T18:00:00.000Z' });
    await put(deleted.id, {}, true);
    await put(harmless.id, { due_at: '2025-09-13T18:00:00.000Z' });
    expect(await school.sync()).toMatchObject({ failed: 2 });
    const failed = (await admin('GET', '/admin/failed-writes?entity=homework')).body.data as {
      id: string;
      key: string;
      code: string;
    }[];
    expect(Object.fromEntries(failed.map(({ key, code }) => [key, code]))).toEqual({
      [earlier.id]: 'DUE_MOVED_EARLIER',
      [deleted.id]: 'HAS_SUBMISSIONS',
    });
    const rows = await school.rows('SELECT id, due_at, deleted_at FROM homework WHERE id = ANY($1)', [
      [earlier.id, deleted.id, harmless.id],
    ]);
    expect(new Map(rows.map(({ id, due_at }) => [id, (due_at as Date).toISOString()]))).toEqual(
      new Map([
        [earlier.id, DUE],
        [deleted.id, DUE],
        [harmless.id, '2025-09-13T18:00:00.000Z'],
      ]),
    );
    expect(rows.every(({ deleted_at }) => deleted_at === null)).toBe(true);
    for (const { id } of failed) await admin('DELETE', `/admin/failed-writes/${id}?reason=against%20the%20rule`);
  });

  it('fixes the highest mark and the homework itself once marks exist', async () => {
    const { id } = await give({ max_x100: 2000 });
    await school.sync();
    await grade(id, 'missing');
    expect(await change(id, { max_x100: 1000 })).toMatchObject({
      status: 409,
      body: { code: 'HAS_GRADES', errors: [{ pointer: '/max_x100' }] },
    });
    expect((await change(id, { max_x100: 2000, title: 'Same mark' })).status).toBe(202);
    expect(await teacher('DELETE', `/homework/${id}`)).toMatchObject({ status: 409, body: { code: 'HAS_GRADES' } });
  });

  it('moves lateness with the due date, in the buffer and in the row', async () => {
    const { id } = await give({ late_until_at: LATE_UNTIL });
    await at('2025-09-14T19:00:00Z', () => handIn(id));
    await school.sync();
    await change(id, { due_at: '2025-09-14T18:00:00.000Z' });
    const line = async () =>
      (await teacher('GET', `/homework/${id}/submissions`)).body.data.find(
        (entry: { student_id: string }) => entry.student_id === studentId,
      );
    expect(await line()).toMatchObject({ state: 'late', late_days: 1 });
    await change(id, { due_at: '2025-09-14T20:00:00.000Z' });
    expect(await line()).toMatchObject({ state: 'submitted', late_days: 0 });
    await school.sync();
    const rows = await school.rows(
      'SELECT is_late, late_days, revision FROM homework_submissions WHERE homework_id = $1',
      [id],
    );
    expect(rows).toEqual([{ is_late: false, late_days: 0, revision: 1 }]);
  });
});

describe('H9 marks', () => {
  it('show to the family after their release only, beside the homework and the submission', async () => {
    const { id } = await give();
    await handIn(id);
    await school.sync();
    await grade(id, 'graded');
    const seen = async (call: Call) =>
      (await call('GET', `/homework/${id}/submission?student_id=${studentId}`)).body.data.grade;
    expect(await seen(student)).toBeNull();
    expect(await seen(teacher)).toMatchObject({ status: 'graded', final_x100: 1500 });
    expect((await student('GET', `/homework/${id}`)).body.data.my_submission).toMatchObject({
      body: 'done',
      grade: null,
    });
    await grade(id, 'graded', { releasedAt: MORNING });
    expect(await seen(student)).toMatchObject({ final_x100: 1500 });
    expect((await student('GET', `/homework/${id}`)).body.data.my_submission.grade).toMatchObject({ final_x100: 1500 });
    expect((await teacher('GET', `/homework/${id}`)).body.data.my_submission).toBeNull();
  });
});

describe('a teacher who is a parent', () => {
  let both: Call;
  let ownSubject: string;

  beforeAll(async () => {
    const [colleague] = await school.rows(
      `SELECT u.login, u.id, s.id AS staff_id FROM users u JOIN staff s ON s.user_id = u.id
       WHERE u.login <> 'teacher001' AND NOT EXISTS (SELECT 1 FROM guardians g WHERE g.user_id = u.id)
         AND EXISTS (SELECT 1 FROM class_subjects cs WHERE cs.staff_id = s.id AND cs.class_id <> $1)
         AND NOT EXISTS (SELECT 1 FROM classes c WHERE c.homeroom_staff_id = s.id AND c.id = $1) LIMIT 1`,
      [classId],
    );
    // somebody else takes over what the colleague teaches in the child's class
    await school.rows(
      `UPDATE class_subjects SET staff_id = (SELECT s.id FROM staff s JOIN users u ON u.id = s.user_id WHERE u.login = 'teacher001')
       WHERE class_id = $1 AND staff_id = $2`,
      [classId, colleague!.staff_id],
    );
    const guardian = newId();
    await school.rows('INSERT INTO guardians (id, user_id, full_name, phone) VALUES ($1, $2, $3, $4)', [
      guardian,
      colleague!.id,
      'A colleague',
      '1234',
    ]);
    await school.rows(
      `INSERT INTO student_guardians (student_id, guardian_id, relation, is_primary, is_blocked, can_view, can_pay, can_pickup, is_notified)
       VALUES ($1, $2, 'parent', false, false, true, true, true, true)`,
      [studentId, guardian],
    );
    await school.rows(
      `INSERT INTO user_roles (user_id, role, granted_by, granted_at) VALUES ($1, 'parent', $1, now())`,
      [colleague!.id],
    );
    both = school.as(String(colleague!.login));
    ownSubject = (await both('GET', '/auth/me')).body.data.scopes.class_subjects[0].id;
  });

  it("sees drafts of what it teaches, and of the child's class what is published, in one list", async () => {
    const from = '2026-05-01T00:00:00Z';
    const draft = await give({ due_at: '2026-05-04T08:00:00Z', status: 'draft' });
    const first = await give({ due_at: '2026-05-03T08:00:00Z' });
    const second = await give({ due_at: '2026-05-05T08:00:00Z' });
    const own = { class_subject_ids: [ownSubject], title: 'Own', status: 'draft' };
    const ownFirst = (await both('POST', '/homework', { body: { ...own, due_at: '2026-05-02T08:00:00Z' } })).body.data;
    const ownLast = (await both('POST', '/homework', { body: { ...own, due_at: '2026-05-04T09:00:00Z' } })).body.data;
    const ids: string[] = [];
    let cursor = '';
    do {
      const { body } = await both('GET', `/homework?due_from=${from}&limit=1${cursor && `&cursor=${cursor}`}`);
      ids.push(...body.data.map(({ id }: { id: string }) => id));
      cursor = body.meta.next_cursor;
    } while (cursor);
    expect(ids).toEqual([ownFirst.id, first.id, ownLast.id, second.id]);
    expect((await both('GET', `/homework/${draft.id}`)).status).toBe(404);
    expect((await both('GET', `/homework/${ownLast.id}`)).status).toBe(200);
  });

  it("sees the child's answers, not those of classmates, and marks after their release", async () => {
    const { id } = await give();
    await handIn(id);
    await school.as('student0002')('PUT', `/homework/${id}/submission`, {
      body: { body: 'of a classmate', final: true },
    });
    const mate = (await school.as('student0002')('GET', '/auth/me')).body.data.scopes.student_id;
    await school.sync();
    await grade(id, 'graded');
    const child = await both('GET', `/homework/${id}/submission?student_id=${studentId}`);
    expect(child).toMatchObject({ status: 200, body: { data: { body: 'done', grade: null } } });
    expect((await both('GET', `/homework/${id}/submission?student_id=${mate}`)).status).toBe(404);
    expect((await both('GET', `/homework/${id}/submissions`)).status).toBe(404);
    expect((await both('PATCH', `/homework/${id}`, { body: { title: 'Not mine' } })).status).toBe(404);
  });

  it("sees its own row of the child's class, not the class", async () => {
    const roster = (await both('GET', `/classes/${classId}/students`)).body.data;
    expect(roster).toMatchObject([{ student_id: studentId }]);
    expect((await both('GET', `/attendance/classes/${classId}/sheets/2025-09-10`)).status).toBe(404);
  });
});

describe('while PostgreSQL is down', () => {
  it('homework is given, changed and handed in, and all of it is stored afterwards', async () => {
    const old = await give({ title: 'Given before' });
    await teacher('GET', '/homework?limit=1');
    await school.sync();
    await student('GET', `/homework/${old.id}`);
    const fresh = await whileDatabaseIsDown(school, async () => {
      const given = await teacher('POST', '/homework', {
        body: { class_subject_ids: [classSubject], title: 'Given meanwhile', due_at: DUE },
      });
      expect(given.status).toBe(202);
      expect((await handIn(old.id)).status).toBe(202);
      expect((await handIn(given.body.data.id)).status).toBe(202);
      expect((await change(given.body.data.id, { title: 'Changed meanwhile' })).status).toBe(202);
      return given.body.data.id;
    });
    const run = await school.sync();
    expect(run.failed).toBe(0);
    expect(
      await school.rows(
        `SELECT h.title, s.status FROM homework h JOIN homework_submissions s ON s.homework_id = h.id WHERE h.id = ANY($1) ORDER BY h.title`,
        [[old.id, fresh]],
      ),
    ).toEqual([
      { title: 'Changed meanwhile', status: 'submitted' },
      { title: 'Given before', status: 'submitted' },
    ]);
  });
});
