import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { whileDatabaseIsDown } from '../../support/database-outage.ts';
import { type Call, useSchool } from '../../support/harness.ts';

const school = useSchool();
let me: Call;
let userId: string;

const change = (body: object, headers?: Record<string, string>) =>
  me('PATCH', '/auth/me', { body, ...(headers ? { headers } : {}) });
const seen = async () => (await me('GET', '/auth/me')).body.data;
const row = async () =>
  (await school.rows('SELECT phone, prefs, version::text FROM users WHERE id = $1', [userId]))[0]!;

beforeAll(async () => {
  me = school.as('teacher001');
  userId = (await seen()).id;
});

describe('own profile', () => {
  it('shows a change at once and stores it with the next sync, untouched fields staying', async () => {
    const before = await row();
    const answer = await change({ phone: '+91 98765 43210', prefs: { quiet_hours: false } });
    expect(answer.status).toBe(202);
    expect(answer.headers.get('sync-status')).toBe('buffered');
    expect(answer.body.data).toMatchObject({
      phone: '+91 98765 43210',
      locale: 'en-IN',
      prefs: { quiet_hours: false, email_notifications: null },
    });
    const { body, headers } = await me('GET', '/auth/me');
    expect(body).toMatchObject({ data: answer.body.data, meta: { pending: true } });
    expect(headers.get('etag')).toBe(answer.headers.get('etag'));
    expect(await row()).toEqual(before);
    await school.sync();
    expect(await row()).toMatchObject({ phone: '+91 98765 43210', prefs: { locale: 'en-IN', quiet_hours: false } });
    expect((await me('GET', '/auth/me')).body).toMatchObject({ data: answer.body.data, meta: { pending: false } });
  });

  it('merges by field: two devices changing different things lose nothing', async () => {
    await Promise.all([
      change({ locale: 'hi-IN' }),
      change({ prefs: { email_notifications: true } }),
      change({ phone: null }),
    ]);
    expect(await seen()).toMatchObject({
      phone: null,
      locale: 'hi-IN',
      prefs: { email_notifications: true, quiet_hours: false },
    });
    await school.sync();
    expect(await row()).toMatchObject({
      phone: null,
      prefs: { locale: 'hi-IN', email_notifications: true, quiet_hours: false },
    });
  });

  it('is the phone by which the school knows a guardian, once it is stored; without one the known number stays', async () => {
    const parent = school.as('parent0003');
    const [child] = (await parent('GET', '/auth/me')).body.data.scopes.children;
    const phones = async () =>
      (await school.as('admin')('GET', `/students/${child.student_id}`)).body.data.guardians.map(
        ({ phone }: { phone: string }) => phone,
      );
    const before = await phones();
    expect((await parent('PATCH', '/auth/me', { body: { phone: '+91 70000 00001' } })).status).toBe(202);
    await school.sync();
    const after = await phones();
    expect(after).toContain('+91 70000 00001');
    expect(after.filter((phone: string) => !before.includes(phone))).toHaveLength(1);
    expect((await parent('PATCH', '/auth/me', { body: { phone: null } })).status).toBe(202);
    await school.sync();
    expect(await phones()).toEqual(after);
  });

  it('answers a stale If-Match with 412', async () => {
    const first = await change({ locale: 'en-GB' });
    const etag = first.headers.get('etag')!;
    expect((await change({ locale: 'fr' }, { 'if-match': etag })).status).toBe(202);
    expect(await change({ locale: 'de' }, { 'if-match': etag })).toMatchObject({
      status: 412,
      body: { code: 'VERSION_CONFLICT' },
    });
    expect((await seen()).locale).toBe('fr');
  });

  it("takes a ready image of one's own as an avatar", async () => {
    const add = async (login: string, mime: string): Promise<string> => {
      const id = newId();
      await school.rows(
        `INSERT INTO files (id, owner_user_id, purpose, bucket, object_key, file_name, mime, size_bytes, status)
         SELECT $1::uuid, id, 'avatar', 'schools24', $1::text, 'me', $3, 1000, 'ready' FROM users WHERE login = $2`,
        [id, login, mime],
      );
      return id;
    };
    const avatar = await add('teacher001', 'image/png');
    expect((await change({ avatar_file_id: avatar })).body.data.avatar_file_id).toBe(avatar);
    expect(await change({ avatar_file_id: await add('teacher002', 'image/png') })).toMatchObject({
      status: 422,
      body: { code: 'FILE_NOT_READY' },
    });
    expect(await change({ avatar_file_id: await add('teacher001', 'application/pdf') })).toMatchObject({
      status: 422,
      body: { code: 'FILE_TYPE' },
    });
    expect((await change({ avatar_file_id: null })).status).toBe(202);
  });

  it('refuses what it does not know, and nothing at all', async () => {
    for (const body of [
      {},
      { prefs: {} },
      { roles: ['admin'] },
      { login: 'r' },
      { prefs: { theme: 'dark' } },
      { phone: 'call me' },
      { locale: 5 },
    ]) {
      expect(await change(body)).toMatchObject({ status: 400, body: { code: 'VALIDATION_FAILED' } });
    }
  });

  it('is written in the log by the names of its fields only', async () => {
    await change({ phone: '+49 30 123456' });
    const [line] = (await school.as('admin')('GET', '/activity-logs?action=profile.update&limit=1')).body.data;
    expect(line.after).toEqual({ fields: ['phone'] });
  });

  it('is changed while PostgreSQL is down', async () => {
    await whileDatabaseIsDown(school, async () => {
      expect(await change({ locale: 'ta-IN' })).toMatchObject({ status: 202, body: { data: { locale: 'ta-IN' } } });
    });
    await school.sync();
    expect((await row()).prefs).toMatchObject({ locale: 'ta-IN' });
  });

  it('of somebody archived meanwhile is dropped', async () => {
    const other = school.as('teacher003');
    const id = (await other('GET', '/auth/me')).body.data.id;
    const read = () => school.rows('SELECT prefs FROM users WHERE id = $1', [id]);
    const before = await read();
    await other('PATCH', '/auth/me', { body: { locale: 'it' } });
    await school.rows(`UPDATE users SET status = 'archived' WHERE id = $1`, [id]);
    expect((await school.sync()).failed).toBe(0);
    expect(await read()).toEqual(before);
  });
});
