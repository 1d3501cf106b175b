import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { type Call, useSchool } from '../../support/harness.ts';

const school = useSchool();
let teacher: Call;
let student: Call;
let classSubject: string;

const DUE = '2025-09-12T18:00:00.000Z';

beforeAll(async () => {
  teacher = school.as('teacher001');
  student = school.as('student0001');
  const mine = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  const own = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
  classSubject = mine.find((subject: { class: { id: string } }) => subject.class.id === own).id;
});

async function addFile(
  login: string,
  purpose: string,
  fields: { status?: string; mime?: string } = {},
): Promise<string> {
  const id = newId();
  await school.rows(
    `INSERT INTO files (id, owner_user_id, purpose, bucket, object_key, file_name, mime, size_bytes, status)
     SELECT $1::uuid, id, $3, 'schools24', $1::text, 'sheet.pdf', $4, 1000, $5 FROM users WHERE login = $2`,
    [id, login, purpose, fields.mime ?? 'application/pdf', fields.status ?? 'ready'],
  );
  return id;
}

const give = (fields: object = {}) =>
  teacher('POST', '/homework', {
    body: { class_subject_ids: [classSubject], title: 'With material', due_at: DUE, ...fields },
  });

const linked = (homeworkId: string) =>
  school.rows('SELECT file_id, position FROM homework_files WHERE homework_id = $1 ORDER BY position', [homeworkId]);

describe('files of homework', () => {
  it('H5 refuses files that are not ready, of somebody else or of another purpose or type', async () => {
    const bad = {
      pending: await addFile('teacher001', 'homework', { status: 'pending' }),
      foreign: await addFile('teacher002', 'homework'),
      avatar: await addFile('teacher001', 'avatar'),
      absent: newId(),
    };
    for (const id of Object.values(bad)) {
      expect(await give({ file_ids: [id] })).toMatchObject({
        status: 422,
        body: { code: 'FILE_NOT_READY', errors: [{ pointer: '/file_ids' }] },
      });
    }
    const program = await addFile('teacher001', 'homework', { mime: 'application/x-msdownload' });
    expect(await give({ file_ids: [program] })).toMatchObject({ status: 422, body: { code: 'FILE_TYPE' } });
  });

  it('keeps their order, shows them at once and stores, replaces and clears them with their homework', async () => {
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => addFile('teacher001', 'homework')));
    const { data } = (await give({ file_ids: [second, first] })).body;
    expect(data.file_ids).toEqual([second, first]);
    expect((await teacher('GET', `/homework/${data.id}`)).body.data.file_ids).toEqual([second, first]);
    await school.sync();
    expect(await linked(data.id)).toEqual([
      { file_id: second, position: 1 },
      { file_id: first, position: 2 },
    ]);
    expect((await student('GET', `/homework/${data.id}`)).body.data.file_ids).toEqual([second, first]);

    await teacher('PATCH', `/homework/${data.id}`, { body: { file_ids: [third, second] } });
    await school.sync();
    expect(await linked(data.id)).toEqual([
      { file_id: third, position: 1 },
      { file_id: second, position: 2 },
    ]);

    await teacher('PATCH', `/homework/${data.id}`, { body: { title: 'Files stay' } });
    await school.sync();
    expect(await linked(data.id)).toHaveLength(2);

    await teacher('PATCH', `/homework/${data.id}`, { body: { file_ids: [] } });
    await school.sync();
    expect(await linked(data.id)).toEqual([]);
    expect((await teacher('GET', `/homework/${data.id}`)).body.data).toMatchObject({
      title: 'Files stay',
      file_ids: [],
    });
  });

  it('stores the other homework of a batch when a file has gone meanwhile, and tells why one failed', async () => {
    const file = await addFile('teacher001', 'homework');
    const bad = (await give({ file_ids: [file] })).body.data;
    const good = (await give()).body.data;
    await school.rows('DELETE FROM files WHERE id = $1', [file]);
    const run = await school.sync();
    expect(run.failed).toBe(1);
    expect(await school.rows('SELECT id FROM homework WHERE id = ANY($1)', [[bad.id, good.id]])).toEqual([
      { id: good.id },
    ]);
    const failed = (await school.as('admin')('GET', '/admin/failed-writes?entity=homework')).body.data;
    expect(failed).toMatchObject([{ key: bad.id, code: '23503' }]);
  });
});

describe('files of submissions', () => {
  it('H5 belong to a revision; those of earlier ones stay as history', async () => {
    const { id } = (await give()).body.data;
    const [first, second] = await Promise.all([1, 2].map(() => addFile('student0001', 'submission')));
    const handIn = (file_ids: unknown[]) =>
      student('PUT', `/homework/${id}/submission`, { body: { file_ids, final: true } });
    expect((await handIn([first])).body.data.file_ids).toEqual([first]);
    await school.sync();
    expect((await handIn([second])).status).toBe(202);
    await school.sync();
    const { data } = (await student('GET', `/homework/${id}/submission`)).body;
    expect(data).toMatchObject({ revision: 2, file_ids: [second], pending: false });
    const rows = await school.rows(
      'SELECT file_id, revision FROM homework_submission_files WHERE submission_id = $1 ORDER BY revision',
      [data.id],
    );
    expect(rows).toEqual([
      { file_id: first, revision: 1 },
      { file_id: second, revision: 2 },
    ]);
    expect(await handIn([await addFile('student0002', 'submission')])).toMatchObject({
      status: 422,
      body: { code: 'FILE_NOT_READY' },
    });
  });

  it('asks for the content that the homework wants', async () => {
    const { id } = (await give({ submission_kind: 'file', max_files: 1 })).body.data;
    const files = await Promise.all([1, 2].map(() => addFile('student0001', 'submission')));
    const put = (body: object) => student('PUT', `/homework/${id}/submission`, { body });
    expect(await put({ body: 'only words', final: true })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/file_ids' }] },
    });
    expect(await put({ file_ids: files, final: true })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/file_ids' }] },
    });
    expect((await put({ file_ids: [] })).status).toBe(202);
    expect((await put({ file_ids: files.slice(0, 1), final: true })).status).toBe(202);
  });
});
