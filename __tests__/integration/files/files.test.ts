import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileView, linkedFileView, uploadView } from '../../../src/services/school/files.routes.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { expectShape } from '../../support/shape.ts';

const folder = mkdtempSync(join(tmpdir(), 'schools24-files-'));
afterAll(() => rmSync(folder, { recursive: true }));
const school = useSchool({ DATA_DIR: folder });
let teacher: Call;
let student: Call;

const PDF = Buffer.from('%PDF-1.7 exercise');
const announce = (call: Call, fields: object = {}) =>
  call('POST', '/files', {
    body: { purpose: 'homework', name: 'Exercise 3.pdf', mime: 'application/pdf', size: PDF.length, ...fields },
  });
const upload = (link: { upload_url: string; upload_headers: Record<string, string> }, content = PDF) =>
  fetch(school.baseUrl + link.upload_url, {
    method: 'PUT',
    headers: link.upload_headers,
    body: new Uint8Array(content),
  });
async function ready(call: Call, fields: object = {}, content = PDF): Promise<string> {
  const { data } = (await announce(call, { size: content.length, ...fields })).body;
  expect((await upload(data, content)).status).toBe(204);
  expect((await call('POST', `/files/${data.file_id}/complete`)).status).toBe(200);
  return data.file_id;
}

beforeAll(() => {
  teacher = school.as('teacher001');
  student = school.as('student0001');
});

describe('a file', () => {
  it('is announced, uploaded, made ready and read again by its owner', async () => {
    const announced = await announce(teacher);
    expect(announced.status).toBe(201);
    const { data } = announced.body;
    expectShape(uploadView, data);
    expect(data).toMatchObject({ status: 'pending', upload_method: 'PUT' });
    expect(Date.parse(data.expires_at) - school.clock.now().getTime()).toBe(600_000);
    const path = `/files/${data.file_id}`;
    expect((await teacher('GET', path)).body.data).toMatchObject({ status: 'pending', download_url: null });
    expect(await teacher('POST', `${path}/complete`)).toMatchObject({ status: 422, body: { code: 'NOT_UPLOADED' } });
    expect((await upload(data)).status).toBe(204);
    const completed = await teacher('POST', `${path}/complete`);
    expectShape(fileView, completed.body.data);
    expect(completed).toMatchObject({ status: 200, body: { data: { status: 'ready' } } });
    expect((await teacher('POST', `${path}/complete`)).body.data.status).toBe('ready');
    const found = await teacher('GET', path);
    expectShape(linkedFileView, found.body.data);
    const download = await fetch(school.baseUrl + found.body.data.download_url);
    expect(Buffer.from(await download.arrayBuffer())).toEqual(PDF);
    expect(download.headers.get('content-disposition')).toContain('Exercise 3.pdf');
    expect(download.headers.get('x-content-type-options')).toBe('nosniff');
    school.clock.set('2025-09-10T08:41:00+05:30');
    expect((await fetch(school.baseUrl + found.body.data.download_url)).status).toBe(403);
    school.clock.set('2025-09-10T08:30:00+05:30');
  });

  it('can be given with homework; whoever sees that, sees the file', async () => {
    const id = await ready(teacher);
    const { scopes } = (await teacher('GET', '/auth/me')).body.data;
    const own = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
    const taught = scopes.class_subjects.find((subject: { class: { id: string } }) => subject.class.id === own);
    expect((await student('GET', `/files/${id}`)).status).toBe(404);
    const body = { class_subject_ids: [taught.id], title: 'x', due_at: '2025-09-12T18:00:00Z', file_ids: [id] };
    expect((await teacher('POST', '/homework', { body })).status).toBe(202);
    const other = school.as('student0100');
    const check = async () => {
      expect((await student('GET', `/files/${id}`)).status).toBe(200);
      expect((await school.as('admin')('GET', `/files/${id}`)).status).toBe(200);
      expect((await other('GET', `/files/${id}`)).status).toBe(404);
    };
    await check();
    await school.sync();
    await check();
  });

  it('that is handed in is seen by the teacher, and by no classmate', async () => {
    const id = await ready(student, { purpose: 'submission' });
    const { scopes } = (await teacher('GET', '/auth/me')).body.data;
    const own = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
    const taught = scopes.class_subjects.find((subject: { class: { id: string } }) => subject.class.id === own);
    const given = { class_subject_ids: [taught.id], title: 'hand in', due_at: '2025-09-12T18:00:00Z' };
    const homework = (await teacher('POST', '/homework', { body: given })).body.data.id;
    const body = { file_ids: [id], final: true };
    expect((await student('PUT', `/homework/${homework}/submission`, { body })).status).toBe(202);
    const check = async () => {
      expect((await teacher('GET', `/files/${id}`)).status).toBe(200);
      expect((await school.as('student0005')('GET', `/files/${id}`)).status).toBe(404);
      expect((await school.as('parent0001')('GET', `/files/${id}`)).status).toBe(200);
    };
    await check();
    await school.sync();
    await check();
  });

  it('that is a student’s photo is seen by who sees the student; other pictures by everybody', async () => {
    const png = Buffer.from('\x89PNG\r\n\x1a\n and more', 'latin1');
    const picture = (call: Call) => ready(call, { purpose: 'avatar', name: 'me.png', mime: 'image/png' }, png);
    const see = async (login: string, id: string) => (await school.as(login)('GET', `/files/${id}`)).status;
    const admin = school.as('admin');
    const photo = await picture(admin);
    const [child] = await school.rows(
      `SELECT s.id FROM students s JOIN users u ON u.id = s.user_id WHERE u.login = 'student0003'`,
    );
    const body = { photo_file_id: photo };
    expect((await admin('PATCH', `/students/${child!.id}`, { body })).status).toBe(200);
    for (const login of ['student0003', 'parent0003', 'teacher001', 'accountant01'])
      expect(await see(login, photo)).toBe(200);
    // The second is the guardian from whom the school keeps the child.
    for (const login of ['student0002', 'parent0085', 'driver01']) expect(await see(login, photo)).toBe(404);
    const own = await picture(teacher);
    for (const login of ['student0002', 'driver01']) expect(await see(login, own)).toBe(200);
  });

  it('of another type or size than is taken is refused before it is uploaded', async () => {
    const refused = async (fields: object) => (await announce(teacher, fields)).body;
    expect(await refused({ mime: 'text/html' })).toMatchObject({ code: 'FILE_TYPE', errors: [{ pointer: '/mime' }] });
    expect(await refused({ purpose: 'avatar' })).toMatchObject({ code: 'FILE_TYPE' });
    expect(await refused({ size: 25 * 1024 * 1024 + 1 })).toMatchObject({
      code: 'FILE_SIZE',
      errors: [{ pointer: '/size' }],
    });
    expect(await refused({ size: 0 })).toMatchObject({ code: 'VALIDATION_FAILED' });
    for (const name of ['../up.pdf', '..', 'a\\b.pdf', 'a\nb.pdf', 'a\u202efdp.exe', 'a\u2028b']) {
      expect(await refused({ name })).toMatchObject({ code: 'VALIDATION_FAILED', errors: [{ pointer: '/name' }] });
    }
    expect(await refused({ purpose: 'report' })).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(await refused({ purpose: 'import', mime: 'text/csv' })).toMatchObject({ code: 'FORBIDDEN' });
  });

  it('whose content is not what was said is rejected for good', async () => {
    const program = Buffer.from('MZ this is no document');
    const { data } = (await announce(teacher, { size: program.length })).body;
    await upload(data, program);
    const path = `/files/${data.file_id}`;
    expect(await teacher('POST', `${path}/complete`)).toMatchObject({ status: 422, body: { code: 'FILE_TYPE' } });
    expect((await teacher('GET', path)).body.data).toMatchObject({ status: 'rejected', download_url: null });
    await upload(data, program);
    expect(await teacher('POST', `${path}/complete`)).toMatchObject({ status: 409, body: { code: 'BAD_STATE' } });
  });

  it('is taken by its link in its announced size and type only', async () => {
    const { data } = (await announce(teacher)).body;
    expect((await upload(data, PDF.subarray(1))).status).toBe(400);
    expect((await upload(data, Buffer.concat([PDF, PDF]))).status).toBe(413);
    const wrongType = { ...data, upload_headers: { 'Content-Type': 'text/html' } };
    expect((await upload(wrongType)).status).toBe(415);
    const forged = { ...data, upload_url: data.upload_url.replace(/signature=[^&]+/, `signature=${'A'.repeat(43)}`) };
    expect((await upload(forged)).status).toBe(403);
    const answer = await teacher('POST', `/files/${data.file_id}/complete`);
    expect(answer.body.code).toBe('NOT_UPLOADED');
  });

  it("is nobody else's to complete, and unknown ones do not exist", async () => {
    const { data } = (await announce(teacher)).body;
    await upload(data);
    expect((await student('POST', `/files/${data.file_id}/complete`)).status).toBe(404);
    expect((await student('GET', `/files/${data.file_id}`)).status).toBe(404);
    expect((await student('GET', `/files/${crypto.randomUUID()}`)).status).toBe(404);
  });

  it('becomes ready once, though completed twice at once', async () => {
    const { data } = (await announce(teacher)).body;
    await upload(data);
    const answers = await Promise.all([1, 2].map(() => teacher('POST', `/files/${data.file_id}/complete`)));
    expect(answers.map(({ status }) => status)).toContain(200);
    expect((await teacher('POST', `/files/${data.file_id}/complete`)).body.data.status).toBe('ready');
    const [row] = await school.rows('SELECT status FROM files WHERE id = $1', [data.file_id]);
    expect(row).toEqual({ status: 'ready' });
  });
});
