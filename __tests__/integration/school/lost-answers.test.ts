import { beforeAll, describe, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';
import { useMailFolder } from '../../support/mails.ts';

const mails = useMailFolder();
const school = useSchool({ DATA_DIR: mails.dataDir });
let admin: Call;
let adminId: string;

beforeAll(async () => {
  admin = school.as('admin');
  adminId = (await admin('GET', '/auth/me')).body.data.id;
});

/** What is left when a process dies between its commit and the note of its answer. */
async function loseAnswer(key: string): Promise<void> {
  const { redis, keys } = school.engine;
  const name = keys.cache(`idem:${adminId}:${key}`);
  const { reply: _, ...record } = JSON.parse((await redis.get(name))!);
  await redis.set(name, JSON.stringify(record), 'KEEPTTL');
}

const student = { admission_no: 'L-1', full_name: 'Lost Answer', birth_on: '2013-05-01', admitted_on: '2025-04-01' };

describe('POST /users that is repeated because its answer was lost', () => {
  it.each([
    [
      'staff',
      async () => ({ staff: { employee_no: 'L1', full_name: 'A', designation: 'x', joined_on: '2025-06-01' } }),
    ],
    [
      'student',
      async () => {
        const { body } = await admin('POST', '/students', { body: { ...student, admission_no: 'L-0' } });
        return { student: { id: body.data.id } };
      },
    ],
  ])('makes one account of a %s, and sends the same link again', async (kind, person) => {
    const email = `${kind}@lost.example`;
    const role = kind === 'staff' ? 'driver' : kind;
    const body = { login: `lost.${kind}`, email, roles: [role], person: await person() };
    const headers = { 'idempotency-key': `lost-${kind}` };
    const first = await admin('POST', '/users', { body, headers });
    expect(first.status).toBe(201);
    const token = await mails.token(email);
    await loseAnswer(headers['idempotency-key']);
    const again = await admin('POST', '/users', { body, headers });
    expect(again).toMatchObject({ status: 201, body: { data: { id: first.body.data.id, invite: { is_sent: true } } } });
    expect([mails.to(email).length, await mails.token(email)]).toEqual([1, token]);
    const reset = { body: { token, new_password: 'k7vQ2mZp4x' } };
    expect((await school.as(undefined)('POST', '/auth/password/reset', reset)).status).toBe(204);
    // Accepted meanwhile, there is nobody to invite.
    await loseAnswer(headers['idempotency-key']);
    const late = await admin('POST', '/users', { body, headers });
    expect(late).toMatchObject({ status: 201, body: { data: { status: 'active', invite: null } } });
  });
});

describe('a request that is repeated because its answer was lost', () => {
  it.each([
    ['POST /students', async () => ({ path: '/students', body: student, status: 201 })],
    ['POST /subjects', async () => ({ path: '/subjects', body: { code: 'LOST', name: 'Lost' }, status: 201 })],
    [
      'POST /academic-years',
      async () => ({
        path: '/academic-years',
        body: { name: '2030-31', starts_on: '2030-04-01', ends_on: '2031-03-31' },
        status: 201,
      }),
    ],
    [
      'POST /terms',
      async () => {
        const years = (await admin('GET', '/academic-years')).body.data;
        const body = {
          academic_year_id: years[0].id,
          seq: 1,
          name: 'T',
          starts_on: '2030-04-01',
          ends_on: '2030-08-31',
        };
        return { path: '/terms', body, status: 201 };
      },
    ],
    [
      'POST /classes',
      async () => {
        const [{ academic_year_id }] = (await admin('GET', '/classes')).body.data;
        return { path: '/classes', body: { academic_year_id, grade: 12, section: 'L', capacity: 9 }, status: 201 };
      },
    ],
    [
      'POST /files',
      async () => ({
        path: '/files',
        body: { purpose: 'avatar', name: 'a.png', mime: 'image/png', size: 8 },
        status: 201,
      }),
    ],
    [
      'POST /students/{id}/enrollments',
      async () => {
        const [{ id }] = (await admin('GET', '/students?q=L-1')).body.data;
        const [{ id: class_id }] = (await admin('GET', '/classes')).body.data;
        return { path: `/students/${id}/enrollments`, body: { class_id, starts_on: '2025-09-01' }, status: 201 };
      },
    ],
    [
      'POST /students/{id}/leave',
      async () => {
        const [{ id }] = (await admin('GET', '/students?q=L-1')).body.data;
        return { path: `/students/${id}/leave`, body: { left_on: '2025-09-09', reason: 'moved' }, status: 200 };
      },
    ],
    [
      'POST /classes/{id}/substitutions',
      async () => {
        const [{ id }] = (await admin('GET', '/classes')).body.data;
        const [a, b] = (await admin('GET', `/classes/${id}/subjects`)).body.data;
        const body = { on_date: '2025-09-15', absent_staff_id: a.staff_id, staff_id: b.staff_id };
        return { path: `/classes/${id}/substitutions`, body, status: 201 };
      },
    ],
  ])('%s finds what it has stored', async (key, prepare) => {
    const { path, body, status } = await prepare();
    const headers = { 'idempotency-key': key.replaceAll(' ', '-') };
    const first = await admin('POST', path, { body, headers });
    expect(first.status).toBe(status);
    const events = async () => (await school.rows('SELECT count(*)::int AS n FROM outbox_events'))[0]!.n;
    const before = await events();
    await loseAnswer(headers['idempotency-key']);
    const again = await admin('POST', path, { body, headers });
    expect(again.status).toBe(status);
    expect(again.headers.get('idempotency-replayed')).toBeNull();
    // A new link is made for the same file.
    const { upload_url: _a, ...one } = first.body.data;
    const { upload_url: _b, ...other } = again.body.data;
    expect(other).toEqual(one);
    expect(await events()).toBe(before);
  });
});
