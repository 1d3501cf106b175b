import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';
import { startOwnServer } from '../../support/own-server.ts';
import { TODAY } from '../../support/template.ts';

const redis = await startOwnServer('redis', ['--maxmemory', '16mb']);
afterAll(() => redis.close());

// An empty Redis takes more than two percent of it.
const school = useSchool({
  REDIS_URL: redis.url,
  BUFFER_OVERLOAD: 'write-through',
  BUFFER_SOFT_LIMIT_PERCENT: '1',
  BUFFER_HARD_LIMIT_PERCENT: '2',
});
let teacher: Call;
let student: Call;
let taught: { id: string; class: { id: string } };

beforeAll(async () => {
  teacher = school.as('teacher001');
  student = school.as('student0001');
  const mine = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  const own = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
  taught = mine.find((subject: { class: { id: string } }) => subject.class.id === own);
});

/** BUFFER_OVERLOAD=write-through (DESIGN I7): slower, and not refused. */
describe('with a full buffer that writes through', () => {
  const give = () =>
    teacher('POST', '/homework', {
      body: { class_subject_ids: [taught.id], title: 'Through', due_at: '2025-09-12T18:00:00.000Z' },
    });
  const stored = (sql: string, id: string) => school.rows(sql, [id]);

  it('homework is 201 when given, 200 when changed or deleted, and in its table by then', async () => {
    const posted = await give();
    expect(posted.status).toBe(201);
    expect(posted.headers.get('sync-status')).toBe('stored');
    const { id, version, pending } = posted.body.data;
    expect(pending).toBe(false);
    expect(posted.body.meta).toEqual({ pending: false, writes: [`homework~${id}~${version}`] });
    expect(await stored('SELECT title FROM homework WHERE id = $1', id)).toEqual([{ title: 'Through' }]);
    const changed = await teacher('PATCH', `/homework/${id}`, { body: { title: 'Changed' } });
    expect(changed).toMatchObject({ status: 200, body: { data: { title: 'Changed', pending: false } } });
    expect(await stored('SELECT title FROM homework WHERE id = $1', id)).toEqual([{ title: 'Changed' }]);
    expect((await teacher('GET', `/homework/${id}`)).body.data.title).toBe('Changed');
    const removed = await teacher('DELETE', `/homework/${id}`);
    expect(removed.status).toBe(200);
    expect(await stored('SELECT 1 FROM homework WHERE id = $1 AND deleted_at IS NULL', id)).toEqual([]);
    expect((await teacher('GET', `/homework/${id}`)).status).toBe(404);
  });

  it('so are a submission, a roll, a profile and their audit lines', async () => {
    const { id } = (await give()).body.data;
    const submitted = await student('PUT', `/homework/${id}/submission`, { body: { body: 'done', final: true } });
    expect(submitted.status).toBe(200);
    expect(await stored('SELECT status FROM homework_submissions WHERE homework_id = $1', id)).toEqual([
      { status: 'submitted' },
    ]);
    const { scopes } = (await teacher('GET', '/auth/me')).body.data;
    const roll = await teacher('PUT', `/attendance/classes/${scopes.homerooms[0].id}/sheets/${TODAY}`, {
      body: { entries: [], rest: 'present' },
    });
    expect(roll).toMatchObject({ status: 200, body: { data: { pending: false, is_complete: true } } });
    expect((await teacher('PATCH', '/auth/me', { body: { locale: 'en-GB' } })).status).toBe(200);
    expect((await teacher('GET', '/auth/me')).body.data.locale).toBe('en-GB');
    expect((await school.as('admin')('GET', '/admin/buffer')).body.data.entities).toEqual(
      expect.arrayContaining([expect.objectContaining({ entity: 'activity_log', dirty: 0 })]),
    );
  });
});
