import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobView } from '../../../src/services/imports/imports.routes.ts';
import { type Answer, type Call, useSchool } from '../../support/harness.ts';
import { expectShape } from '../../support/shape.ts';
import { until } from '../../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'schools24-imports-'));
afterAll(() => rmSync(folder, { recursive: true }));
const school = useSchool({ DATA_DIR: folder });
let admin: Call;
let principal: Call;
let className: string;

const HEADER = 'admission_no,full_name,birth_on,admitted_on,class,guardian_name,guardian_relation,guardian_phone';

beforeAll(async () => {
  admin = school.as('admin');
  principal = school.as('principal01');
  className = (await admin('GET', '/classes')).body.data[3].name;
});

async function fileOf(content: string | Buffer): Promise<string> {
  const bytes = Buffer.from(content);
  const body = { purpose: 'import', name: 'people.csv', mime: 'text/csv', size: bytes.length };
  const { data } = (await admin('POST', '/files', { body })).body;
  await fetch(school.baseUrl + data.upload_url, {
    method: 'PUT',
    headers: data.upload_headers,
    body: new Uint8Array(bytes),
  });
  expect((await admin('POST', `/files/${data.file_id}/complete`)).status).toBe(200);
  return data.file_id;
}
const ask = async (content: string | Buffer, { kind = 'students', dry_run = false } = {}): Promise<Answer> =>
  admin('POST', `/imports/${kind}`, { body: { file_id: await fileOf(content), dry_run } });
const finished = (id: string) =>
  until('the import', async () => {
    const { data } = (await admin('GET', `/jobs/${id}`)).body;
    expectShape(jobView, data);
    return data.state === 'completed' || data.state === 'failed' ? data : undefined;
  });
async function run(content: string | Buffer, options?: { kind?: string; dry_run?: boolean }) {
  const answer = await ask(content, options);
  expect(answer.status).toBe(202);
  return finished(answer.body.data.id);
}
const count = async (prefix: string): Promise<number> => {
  const [row] = await school.rows('SELECT count(*)::int AS n FROM students WHERE admission_no LIKE $1', [`${prefix}%`]);
  return row!.n as number;
};

describe('importing students', () => {
  it('stores fit rows, tells what is wrong with the others by line and column, and says nothing of what is in them', async () => {
    const job = await run(
      [
        HEADER,
        `I1,Anil Rao,2013-04-02,2025-06-02,${className},"Rao, Meera",mother,+91 98765 43210`,
        `I2,=HYPERLINK(A1),2013-04-02,2025-06-02,${className},,,`,
        `I3,Bina Rao,2013-02-30,2025-06-02,${className},,,`,
        'I4,Chand Rao,2013-04-02,2025-06-02,99 Z,,,',
        `S24-00001,Dev Rao,2013-04-02,2025-06-02,${className},,,`,
        'I6,Esha Rao,2013-04-02',
        `I7,Farah Rao,2013-04-02,2025-06-02,${className},Someone,uncle,not a secret phone`,
        '',
        `I9,Gita Rao,2013-04-02,2025-06-02,,,,`,
      ].join('\r\n'),
    );
    expect(job).toMatchObject({ state: 'completed', progress_bp: 10_000, dry_run: false });
    const { errors, ...counts } = job.result;
    expect(counts).toEqual({ rows: 8, stored: 2, failed: 6, errors_left_off: 0 });
    expect(errors.map((e: Record<string, unknown>) => [e.line, e.column, e.code])).toEqual([
      [3, 'full_name', 'VALIDATION_FAILED'],
      [4, 'birth_on', 'VALIDATION_FAILED'],
      [5, 'class', 'NOT_FOUND'],
      [6, 'admission_no', 'TAKEN'],
      [7, null, 'VALIDATION_FAILED'],
      [8, 'guardian_phone', 'VALIDATION_FAILED'],
    ]);
    expect(JSON.stringify(job)).not.toMatch(/secret|HYPERLINK|Rao/);
    expect(
      await school.rows(`SELECT full_name FROM students WHERE admission_no LIKE 'I%' ORDER BY admission_no`),
    ).toEqual([{ full_name: 'Anil Rao' }, { full_name: 'Gita Rao' }]);
    const guardians = await school.rows(`SELECT phone FROM guardians WHERE full_name = 'Rao, Meera'`);
    expect(guardians).toEqual([{ phone: '+91 98765 43210' }]);
    const found = (await admin('GET', '/students?q=I1')).body.data[0];
    expect((await admin('GET', `/activity-logs?entity=${found.id}`)).body.data).toMatchObject([
      { action: 'student.create', actor: { roles: ['admin'] } },
    ]);
    // The queue knows the file, never its rows.
    const queued = await school.engine.queues.imports.getJob(job.id);
    expect(Object.keys(queued!.data).sort()).toEqual(['fileId', 'isDryRun', 'kind', 'requestId', 'roles', 'userId']);
  });

  it('checks everything and stores nothing in a dry run', async () => {
    await school.rows(
      'UPDATE classes SET capacity = (SELECT count(*) + 1 FROM enrollments WHERE class_id = classes.id) WHERE name = $1',
      [className],
    );
    const job = await run(
      [
        HEADER,
        `D1,Anil,2013-04-02,2025-06-02,${className},,,`,
        `D2,Bina,2013-04-02,2025-06-02,${className},,,`,
        'D1,Chand,2013-04-02,2025-06-02,,,,',
        'S24-00002,Dev,2013-04-02,2025-06-02,,,,',
      ].join('\n'),
      { dry_run: true },
    );
    expect(job.result).toMatchObject({ rows: 4, stored: 1, failed: 3 });
    expect(job.result.errors.map((e: Record<string, unknown>) => [e.line, e.column, e.code])).toEqual([
      [3, 'class', 'CLASS_FULL'],
      [4, 'admission_no', 'TAKEN'],
      [5, 'admission_no', 'TAKEN'],
    ]);
    expect(await count('D')).toBe(0);
  });

  it('links brothers and sisters to one guardian', async () => {
    const guardian = 'Nila Rao,mother,+91 11111';
    const job = await run(
      [
        HEADER,
        `B1,Om Rao,2013-04-02,2025-06-02,,${guardian}`,
        `B2,Pia Rao,2014-04-02,2025-06-02,,${guardian.replace('Nila', 'NILA')}`,
        `B3,Ravi Rao,2014-04-02,2025-06-02,,Another Person,aunt,+91 11111`,
      ].join('\n'),
    );
    expect(job.result).toMatchObject({ stored: 3, errors: [] });
    const rows = await school.rows(
      `SELECT g.full_name, count(*)::int AS children FROM student_guardians l JOIN guardians g ON g.id = l.guardian_id
       WHERE g.phone = '+91 11111' GROUP BY g.id, g.full_name ORDER BY 2 DESC`,
    );
    expect(rows).toEqual([
      { full_name: 'Nila Rao', children: 2 },
      { full_name: 'Another Person', children: 1 },
    ]);
  });

  it('takes the mark that spreadsheets put before UTF-8, and letters of any script', async () => {
    const job = await run(`\ufeff${HEADER}\r\nU1,आशा वर्मा,2013-04-02,2025-06-02,,,,\r\n`);
    expect(job.result).toMatchObject({ rows: 1, stored: 1, errors: [] });
    expect(await school.rows(`SELECT full_name FROM students WHERE admission_no = 'U1'`)).toEqual([
      { full_name: 'आशा वर्मा' },
    ]);
  });

  it.each([
    ['a missing column', 'admission_no,full_name\nX1,Anil', 'BAD_HEADER', 'has no column birth_on'],
    ['an unknown column', `${HEADER},salary\n`, 'BAD_HEADER', 'column 9 is not one of'],
    ['a column twice', `${HEADER},class\nX`, 'BAD_HEADER', 'has the column class more than once'],
    ['another separator', HEADER.replaceAll(',', ';'), 'BAD_HEADER', 'has no column admission_no'],
    ['no rows', HEADER, 'BAD_CSV', 'has no rows'],
    ['Latin-1', Buffer.from(`${HEADER}\nX1,Ren\xe9,2013-04-02,,,,,`, 'latin1'), 'BAD_CSV', 'is not UTF-8'],
    ['UTF-16', Buffer.from(`\ufeff${HEADER}`, 'utf16le'), 'BAD_CSV', 'is UTF-16'],
    ['broken quotes', `${HEADER}\nX1,"Anil"x,2013-04-02,,,,,`, 'BAD_CSV', 'cannot be read at line 2'],
    [
      'a line without end',
      `${HEADER}\nX1,${'a'.repeat(30_000)},2013-04-02,,,,,`,
      'BAD_CSV',
      'cannot be read at line 2',
    ],
    ['two million rows', `${HEADER}\n${'x\n'.repeat(2_000_000)}`, 'BAD_CSV', 'has more than 5000 rows'],
    ['5,001 rows', `${HEADER}\n${'X1,Anil,2013-04-02,,,,,\n'.repeat(5_001)}`, 'BAD_CSV', 'has more than 5000 rows'],
  ])('refuses %s at once', async (_, content, code, detail) => {
    const answer = await ask(content);
    expect(answer).toMatchObject({ status: 422, body: { code } });
    expect(answer.body.errors[0]).toEqual({ pointer: '/file_id', detail: expect.stringContaining(detail) });
  });

  it('takes 5,000 rows', async () => {
    const rows = Array.from({ length: 5_000 }, (_, index) => `M${index},Anil,2013-04-02,,,,,`);
    const job = await run([HEADER, ...rows].join('\n'), { dry_run: true });
    expect(job.result).toMatchObject({ rows: 5_000, stored: 5_000, failed: 0 });
  });

  it('lists 500 errors at most, and says how many there are', async () => {
    const rows = Array.from({ length: 600 }, (_, index) => `N${index},Anil,yesterday,,,,,`);
    const job = await run([HEADER, ...rows].join('\n'));
    expect(job.result).toMatchObject({ rows: 600, stored: 0, failed: 600, errors_left_off: 100 });
    expect(job.result.errors).toHaveLength(500);
  });

  it('begins again where it was cut off, without storing a row twice', async () => {
    const content = [HEADER, ...Array.from({ length: 5 }, (_, i) => `R${i},Name ${i},2013-04-02,2025-06-02,,,,`)].join(
      '\n',
    );
    const job = await run(content);
    const { data } = (await school.engine.queues.imports.getJob(job.id))!;
    const again = await school.container.jobs.runImport(job.id, data, async () => {});
    expect(again).toMatchObject({ rows: 5, stored: 5, failed: 0, errors: [] });
    expect(await count('R')).toBe(5);
  });

  it('is for admins; a job is seen by who asked and by admins', async () => {
    const file_id = await fileOf(`${HEADER}\nQ1,Anil,2013-04-02,,,,,`);
    expect((await principal('POST', '/imports/students', { body: { file_id } })).status).toBe(403);
    const { id } = (await admin('POST', '/imports/students', { body: { file_id, dry_run: true } })).body.data;
    await finished(id);
    expect((await school.as('admin02')('GET', `/jobs/${id}`)).status).toBe(200);
    expect((await principal('GET', `/jobs/${id}`)).status).toBe(404);
    expect((await admin('GET', `/jobs/${crypto.randomUUID()}`)).status).toBe(404);
    const other = await school.as('admin02')('POST', '/imports/students', { body: { file_id } });
    expect(other).toMatchObject({ status: 422, body: { code: 'FILE_NOT_READY' } });
    expect((await admin('POST', '/imports/students', { body: { file_id: crypto.randomUUID() } })).status).toBe(422);
  });

  it('is asked once by one Idempotency-Key', async () => {
    const body = { file_id: await fileOf(`${HEADER}\nK1,Anil,2013-04-02,,,,,`) };
    const headers = { 'idempotency-key': 'import-1' };
    const first = await admin('POST', '/imports/students', { body, headers });
    const again = await admin('POST', '/imports/students', { body, headers });
    expect(again.body.data.id).toBe(first.body.data.id);
    expect((await finished(first.body.data.id)).result).toMatchObject({ stored: 1 });
  });
});

describe('importing users', () => {
  it('makes staff with their roles, invited and without a password', async () => {
    const job = await run(
      [
        'login,roles,full_name,employee_no,designation,joined_on,email,phone',
        'new.teacher,teacher,Hari Rao,N1,Teacher,2025-06-02,hari@example.org,+91 98',
        'both,teacher|accountant,Indu Rao,N2,Teacher,2025-06-02,,',
        'ADMIN,teacher,Jaya Rao,N3,Teacher,2025-06-02,,',
        'pupil,student,Kiran Rao,N4,Pupil,2025-06-02,,',
        'twice,teacher,Lata Rao,N1,Teacher,2025-06-02,,',
      ].join('\n'),
      { kind: 'users' },
    );
    expect(job.result).toMatchObject({ rows: 5, stored: 2, failed: 3 });
    expect(job.result.errors.map((e: Record<string, unknown>) => [e.line, e.column, e.code])).toEqual([
      [4, 'login', 'TAKEN'],
      [5, 'roles', 'VALIDATION_FAILED'],
      [6, 'employee_no', 'TAKEN'],
    ]);
    const rows = await school.rows(
      `SELECT u.login, u.status, u.password_hash, s.employee_no, array(SELECT role FROM user_roles r WHERE r.user_id = u.id ORDER BY role) AS roles
       FROM users u JOIN staff s ON s.user_id = u.id WHERE u.login IN ('new.teacher', 'both') ORDER BY u.login`,
    );
    expect(rows).toEqual([
      { login: 'both', status: 'invited', password_hash: null, employee_no: 'N2', roles: ['accountant', 'teacher'] },
      { login: 'new.teacher', status: 'invited', password_hash: null, employee_no: 'N1', roles: ['teacher'] },
    ]);
  });

  it('finds in a dry run what is taken, in the school and in the file', async () => {
    const job = await run(
      [
        'login,roles,full_name,employee_no,designation,joined_on',
        'Teacher001,teacher,A B,Z1,Teacher,2025-06-02',
        'fresh,teacher,A B,E0001,Teacher,2025-06-02',
        'again,teacher,A B,Z3,Teacher,2025-06-02',
        'AGAIN,teacher,A B,Z4,Teacher,2025-06-02',
      ].join('\n'),
      { kind: 'users', dry_run: true },
    );
    expect(job.result.errors.map((e: Record<string, unknown>) => [e.line, e.column, e.code])).toEqual([
      [2, 'login', 'TAKEN'],
      [3, 'employee_no', 'TAKEN'],
      [5, 'login', 'TAKEN'],
    ]);
    expect(job.result.stored).toBe(1);
    expect(await school.rows(`SELECT 1 FROM users WHERE login IN ('fresh', 'again')`)).toEqual([]);
  });
});
