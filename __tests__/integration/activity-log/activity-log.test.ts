import { beforeAll, describe, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';

const school = useSchool();
let teacher: Call;
let admin: Call;
let classSubject: string;

interface Line {
  id: string;
  action: string;
  at: string;
  pending?: boolean;
  entity: { type: string; id: string };
}

const give = async (headers?: Record<string, string>): Promise<{ id: string }> =>
  (
    await teacher('POST', '/homework', {
      body: { class_subject_ids: [classSubject], title: 'Logged', due_at: '2025-09-12T18:00:00Z' },
      ...(headers ? { headers } : {}),
    })
  ).body.data;
const linesOf = async (query: string): Promise<Line[]> => (await admin('GET', `/activity-logs?${query}`)).body.data;

beforeAll(async () => {
  teacher = school.as('teacher001');
  admin = school.as('admin');
  classSubject = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects[0].id;
});

describe('activity log', () => {
  it('says who did what from where, at once and from MongoDB after the sync', async () => {
    const { id } = await give();
    const me = (await teacher('GET', '/auth/me')).body.data.id;
    const pending = await linesOf(`entity=${id}`);
    expect(pending).toMatchObject([
      {
        action: 'homework.create',
        service: 'homework',
        actor: { user_id: me, roles: ['teacher'] },
        entity: { type: 'homework', id },
        outcome: 'ok',
        ip: expect.stringMatching(/127\.0\.0\.1|::1/),
        request_id: expect.any(String),
        at: school.clock.now().toISOString(),
        pending: true,
      },
    ]);
    await school.sync();
    const [stored] = await linesOf(`entity=${id}`);
    const { pending: _, ...rest } = pending[0]!;
    expect(stored).toEqual(rest);
    const document = await school.container.db
      .collection<{ _id: string; at: Date; expire_at: Date }>('activity_logs')
      .findOne({ _id: stored!.id });
    expect(document?.at).toBeInstanceOf(Date);
    expect(document!.expire_at.getTime() - document!.at.getTime()).toBe(400 * 86_400_000);
  });

  it('pages over stored and pending lines of one instant without losing or repeating one', async () => {
    const before = new Set((await linesOf('action=homework.create&limit=100')).map(({ id }) => id));
    const given = [await give(), await give(), await give()];
    await school.sync();
    given.push(await give(), await give());
    const seen: Line[] = [];
    let cursor = '';
    do {
      const { body } = await admin(
        'GET',
        `/activity-logs?action=homework.create&limit=2${cursor && `&cursor=${cursor}`}`,
      );
      seen.push(...body.data);
      cursor = body.meta.next_cursor;
    } while (cursor);
    const fresh = seen.filter(({ id }) => !before.has(id));
    expect(fresh.map(({ entity }) => entity.id).sort()).toEqual(given.map(({ id }) => id).sort());
    expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
    const order = seen.map(({ at, id }) => `${at} ${id}`);
    expect(order).toEqual([...order].sort().reverse());
  });

  it('filters by actor, action and time', async () => {
    const { id } = await give();
    await teacher('PATCH', `/homework/${id}`, { body: { title: 'Changed' } });
    await teacher('DELETE', `/homework/${id}`);
    expect((await linesOf(`entity=${id}`)).map(({ action }) => action).sort()).toEqual([
      'homework.create',
      'homework.delete',
      'homework.update',
    ]);
    expect((await linesOf(`entity=${id}&action=homework.delete`)).map(({ action }) => action)).toEqual([
      'homework.delete',
    ]);
    const other = (await school.as('teacher002')('GET', '/auth/me')).body.data.id;
    expect(await linesOf(`entity=${id}&actor=${other}`)).toEqual([]);
    expect(await linesOf(`entity=${id}&from=2025-09-11T00:00:00Z`)).toEqual([]);
  });

  it('shows admins a pending line by itself, and counts lines, not the entries that they share', async () => {
    await school.sync();
    const given = await Promise.all(Array.from({ length: 8 }, () => give()));
    const { entities } = (await admin('GET', '/admin/buffer')).body.data;
    expect(entities).toEqual(
      expect.arrayContaining([expect.objectContaining({ entity: 'activity_log', dirty: 8, failed: 0 })]),
    );
    const [line] = await linesOf(`entity=${given[3]!.id}`);
    const shown = (await admin('GET', `/admin/buffer/activity_log/${line!.id}`)).body.data;
    expect(shown).toMatchObject({
      key: line!.id,
      state: 'dirty',
      bundle: expect.stringMatching(/^\+[0-9a-f-]{36}\.\d+$/),
      parts: [{ document: { id: line!.id, entity: { type: 'homework', id: given[3]!.id } } }],
    });
    expect((await admin('GET', `/admin/buffer/activity_log/${encodeURIComponent(shown.bundle)}`)).status).toBe(200);
    const run = await school.sync();
    expect(run.entities).toContainEqual(expect.objectContaining({ entity: 'activity_log', taken: 8, stored: 8 }));
    expect((await admin('GET', `/admin/buffer/activity_log/${line!.id}`)).status).toBe(404);
  });

  it('I8 has one line for a request that was sent twice', async () => {
    const { id } = await give({ 'idempotency-key': 'log-1' });
    await give({ 'idempotency-key': 'log-1' });
    expect(await linesOf(`entity=${id}`)).toHaveLength(1);
  });

  it('is for those who run the school', async () => {
    expect((await teacher('GET', '/activity-logs')).status).toBe(403);
    expect((await admin('GET', '/activity-logs?cursor=nonsense')).body.errors).toMatchObject([
      { pointer: '/query/cursor' },
    ]);
  });
});
