import { beforeAll, describe, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';

const school = useSchool();
let teacher: Call;
let student: Call;
let classSubject: string;

const DUE = '2025-09-12T18:00:00.000Z';
const give = (fields: object = {}) =>
  teacher('POST', '/homework', {
    body: { class_subject_ids: [classSubject], title: 'Fractions', description: 'Exercise 3', due_at: DUE, ...fields },
  });

beforeAll(async () => {
  teacher = school.as('teacher001');
  student = school.as('student0001');
  const mine = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  const own = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
  classSubject = mine.find((subject: { class: { id: string } }) => subject.class.id === own).id;
});

describe('homework', () => {
  it('is accepted, read at once, in lists too, and stored by the next sync', async () => {
    const posted = await give({ title: 'Read at once' });
    expect(posted.status).toBe(202);
    expect(posted.headers.get('sync-status')).toBe('buffered');
    expect(posted.headers.get('etag')).toBe(`"${posted.body.data.version}"`);
    const { id } = posted.body.data;
    expect(posted.headers.get('location')).toBe(`/api/v1/homework/${id}`);
    const find = async () => {
      const list = await teacher('GET', '/homework?due_from=2025-09-12T00:00:00Z&limit=100');
      return list.body.data.filter((item: { id: string }) => item.id === id);
    };
    expect(await find()).toMatchObject([{ title: 'Read at once', pending: true }]);
    expect((await student('GET', `/homework/${id}`)).body.data.title).toBe('Read at once');
    expect(await school.rows('SELECT id FROM homework WHERE id = $1', [id])).toEqual([]);
    await school.sync();
    expect(await school.rows('SELECT title, version::text FROM homework WHERE id = $1', [id])).toEqual([
      { title: 'Read at once', version: String(posted.body.data.version) },
    ]);
    expect(await find()).toMatchObject([{ title: 'Read at once', pending: false }]);
  });

  it('takes the newest of several edits and answers a stale If-Match with 412 and the current version', async () => {
    const { data } = (await give()).body;
    const first = await teacher('PATCH', `/homework/${data.id}`, {
      body: { title: 'Second' },
      headers: { 'if-match': `"${data.version}"` },
    });
    expect(first.status).toBe(202);
    const stale = await teacher('PATCH', `/homework/${data.id}`, {
      body: { title: 'Third' },
      headers: { 'if-match': `"${data.version}"` },
    });
    expect(stale).toMatchObject({
      status: 412,
      body: { code: 'VERSION_CONFLICT', currentVersion: first.body.data.version },
    });
    await school.sync();
    expect(await school.rows('SELECT title FROM homework WHERE id = $1', [data.id])).toEqual([{ title: 'Second' }]);
    const afterSync = await teacher('PATCH', `/homework/${data.id}`, {
      body: { title: 'Fourth' },
      headers: { 'if-match': `"${first.body.data.version}"` },
    });
    expect(afterSync.status).toBe(202);
  });

  it('is gone from reads as soon as it is deleted, and its row is marked by the sync', async () => {
    const { data } = (await give()).body;
    await school.sync();
    expect((await teacher('DELETE', `/homework/${data.id}`)).status).toBe(202);
    expect((await teacher('GET', `/homework/${data.id}`)).status).toBe(404);
    await school.sync();
    expect((await teacher('GET', `/homework/${data.id}`)).status).toBe(404);
    const [row] = await school.rows('SELECT deleted_at FROM homework WHERE id = $1', [data.id]);
    expect(row!.deleted_at).not.toBeNull();
  });

  it('keeps drafts and other classes from students, and answers 404 outside the scope', async () => {
    const draft = (await give({ status: 'draft' })).body.data;
    expect((await student('GET', `/homework/${draft.id}`)).status).toBe(404);
    const other = school.as('teacher002');
    const seen = (await other('GET', '/auth/me')).body.data.scopes.class_subjects.some(
      (subject: { id: string }) => subject.id === classSubject,
    );
    expect(seen).toBe(false);
    expect(
      (await other('POST', '/homework', { body: { class_subject_ids: [classSubject], title: 'x', due_at: DUE } }))
        .status,
    ).toBe(404);
    expect(
      (await student('POST', '/homework', { body: { class_subject_ids: [classSubject], title: 'x', due_at: DUE } }))
        .status,
    ).toBe(403);
  });

  it('gives one homework a class, joined by a group, and pages through lists by cursor', async () => {
    const subjects = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects
      .slice(0, 2)
      .map(({ id }: { id: string }) => id);
    const { data } = (await give({ class_subject_ids: subjects, due_at: '2026-01-05T10:00:00Z' })).body;
    expect(data).toHaveLength(subjects.length);
    expect(new Set(data.map((item: { group_id: string }) => item.group_id)).size).toBe(1);
    for (let index = 0; index < 5; index++)
      await give({ title: `page ${index}`, due_at: `2026-02-0${index + 1}T10:00:00Z` });
    await school.sync();
    await give({ title: 'pending one', due_at: '2026-02-03T12:00:00Z' });
    const titles: string[] = [];
    let cursor = '';
    do {
      const page = await teacher(
        'GET',
        `/homework?due_from=2026-02-01T00:00:00Z&limit=2${cursor && `&cursor=${cursor}`}`,
      );
      titles.push(...page.body.data.map((item: { title: string }) => item.title));
      cursor = page.body.meta.next_cursor;
    } while (cursor);
    expect(titles).toEqual(['page 0', 'page 1', 'page 2', 'pending one', 'page 3', 'page 4']);
  });

  it('takes effect once for the same Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'homework-1' };
    const body = { class_subject_ids: [classSubject], title: 'Once', due_at: '2026-03-01T10:00:00Z' };
    const first = await teacher('POST', '/homework', { body, headers });
    const again = await teacher('POST', '/homework', { body, headers });
    expect(again.status).toBe(202);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toEqual(first.body);
    expect(await teacher('POST', '/homework', { body: { ...body, title: 'Twice' }, headers })).toMatchObject({
      status: 409,
      body: { code: 'IDEMPOTENCY_MISMATCH' },
    });
    const list = await teacher('GET', '/homework?due_from=2026-03-01T00:00:00Z');
    expect(list.body.data).toHaveLength(1);
  });
});

describe('submission', () => {
  const clockBack = () => school.clock.set('2025-09-10T03:00:00Z');

  it('H1 counts late days from the due date and closes after the late window', async () => {
    const { data } = (await give({ late_until_at: '2025-09-15T18:00:00.000Z' })).body;
    school.clock.set('2025-09-13T19:00:00Z');
    const late = await student('PUT', `/homework/${data.id}/submission`, { body: { body: 'my answer', final: true } });
    expect(late).toMatchObject({ status: 202, body: { data: { is_late: true, late_days: 2, revision: 1 } } });
    school.clock.set('2025-09-15T18:00:01Z');
    expect(
      await student('PUT', `/homework/${data.id}/submission`, { body: { body: 'too late', final: true } }),
    ).toMatchObject({ status: 422, body: { code: 'SUBMISSION_CLOSED' } });
    clockBack();
  });

  it('H3 takes revisions up to the limit; H4 a draft is not a submission', async () => {
    const { data } = (await give({ max_revisions: 1 })).body;
    const draft = await student('PUT', `/homework/${data.id}/submission`, { body: { body: 'draft' } });
    expect(draft.body.data).toMatchObject({ status: 'draft', revision: 0, submitted_at: null });
    expect((await student('GET', `/homework/${data.id}/submission`)).body.meta).toEqual({
      source: 'buffer',
      pending: true,
    });
    expect(
      (await teacher('GET', `/homework/${data.id}/submissions`)).body.data.filter(
        (line: { state: string }) => line.state === 'submitted',
      ),
    ).toEqual([]);
    expect(
      (await student('PUT', `/homework/${data.id}/submission`, { body: { body: 'final', final: true } })).body.data,
    ).toMatchObject({ status: 'submitted', revision: 1 });
    expect(
      await student('PUT', `/homework/${data.id}/submission`, { body: { body: 'again', final: true } }),
    ).toMatchObject({ status: 422, body: { code: 'REVISIONS_EXHAUSTED' } });
  });

  it('H6 refuses earlier due dates and deletes once somebody has handed in, even before it is stored', async () => {
    const { data } = (await give()).body;
    await student('PUT', `/homework/${data.id}/submission`, { body: { body: 'done', final: true } });
    expect(await teacher('PATCH', `/homework/${data.id}`, { body: { due_at: '2025-09-11T10:00:00Z' } })).toMatchObject({
      status: 409,
      body: { code: 'HAS_SUBMISSIONS' },
    });
    expect(await teacher('DELETE', `/homework/${data.id}`)).toMatchObject({
      status: 409,
      body: { code: 'HAS_SUBMISSIONS' },
    });
    expect((await teacher('PATCH', `/homework/${data.id}`, { body: { due_at: '2025-09-20T10:00:00Z' } })).status).toBe(
      202,
    );
  });

  it('H8 shows who is missing after the last deadline, H7 without those who joined later', async () => {
    const { data } = (await give()).body;
    await student('PUT', `/homework/${data.id}/submission`, { body: { body: 'done', final: true } });
    const before = (await teacher('GET', `/homework/${data.id}/submissions`)).body.data;
    expect(before.filter((line: { state: string }) => line.state === 'missing')).toEqual([]);
    school.clock.set('2025-09-12T18:00:01Z');
    const after = (await teacher('GET', `/homework/${data.id}/submissions`)).body.data;
    expect(after.filter((line: { state: string }) => line.state === 'missing')).toHaveLength(before.length - 1);
    clockBack();
  });

  it('I6 is stored after its homework in the same run', async () => {
    const { data } = (await give()).body;
    await student('PUT', `/homework/${data.id}/submission`, { body: { body: 'done', final: true } });
    const run = await school.sync();
    expect(run.failed).toBe(0);
    expect(await school.rows('SELECT status FROM homework_submissions WHERE homework_id = $1', [data.id])).toEqual([
      { status: 'submitted' },
    ]);
  });

  it("hides other students' submissions", async () => {
    const { data } = (await give()).body;
    await student('PUT', `/homework/${data.id}/submission`, { body: { body: 'mine', final: true } });
    const me = (await student('GET', '/auth/me')).body.data.scopes.student_id;
    const other = school.as('student0002');
    expect((await other('GET', `/homework/${data.id}/submission?student_id=${me}`)).status).toBe(404);
    expect((await teacher('GET', `/homework/${data.id}/submission?student_id=${me}`)).body.data.body).toBe('mine');
  });
});
