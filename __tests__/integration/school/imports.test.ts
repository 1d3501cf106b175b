import { beforeAll, describe, expect, it } from 'vitest';
import type { DomainEvent } from '../../../src/lib/events.ts';
import { jobView } from '../../../src/services/imports/imports.routes.ts';
import { type Answer, type Call, useSchool } from '../../support/harness.ts';
import { useMailFolder } from '../../support/mails.ts';
import { expectShape } from '../../support/shape.ts';
import { until } from '../../support/until.ts';
import { endedJob, uploadTable } from '../../support/uploads.ts';

const mails = useMailFolder();
const school = useSchool({ DATA_DIR: mails.dataDir });
let admin: Call;
let principal: Call;
let className: string;

const HEADER = 'admission_no,full_name,birth_on,admitted_on,class,guardian_name,guardian_relation,guardian_phone';

beforeAll(async () => {
  admin = school.as('admin');
  principal = school.as('principal01');
  className = (await admin('GET', '/classes')).body.data[3].name;
});

const fileOf = (content: string | Buffer): Promise<string> => uploadTable(school, admin, content);
const ask = async (content: string | Buffer, { kind = 'students', dry_run = false } = {}): Promise<Answer> =>
  admin('POST', `/imports/${kind}`, { body: { file_id: await fileOf(content), dry_run } });
const LONG_MS = 120_000;
async function finished(id: string) {
  const job = await endedJob(admin, id);
  expectShape(jobView, job);
  return job;
}
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
    ['another separator', HEADER.replaceAll(',', ';'), 'BAD_HEADER', 'has no commas between its columns'],
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

  it('passes over rows that were emptied, and tells what a guardian lacks in the words of the table', async () => {
    const job = await run(
      `${HEADER}\nG1,Anil,2013-04-02,,,,,\n,,,,,,,\n\nG2,Anil,2013-04-02,,,,,\nG3,Anil,2013-04-02,,,,mother,98765\nG4,Anil,2013-04-02,,,Tara,,\n`,
    );
    expect(job.result).toMatchObject({ rows: 4, stored: 2 });
    expect(job.result.errors).toEqual([
      { line: 6, column: 'guardian_name', code: 'VALIDATION_FAILED', detail: 'is required of a guardian' },
      { line: 7, column: 'guardian_phone', code: 'VALIDATION_FAILED', detail: 'is required of a guardian' },
    ]);
  });

  it.each([' =1+1', '\u00a0=1+1', '\uff1d1+1', '  @x'])(
    'takes no formula behind blanks or in wide letters: %j',
    async (cell) => {
      const job = await run(`${HEADER}\nF1,"${cell}",2013-04-02,,,,,\n`);
      expect(job.result).toMatchObject({ rows: 1, stored: 0, errors: [{ line: 2, column: 'full_name' }] });
    },
  );

  it('takes 5,000 rows', { timeout: LONG_MS }, async () => {
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

  it('I5: a row that only the database refuses fails alone, in words that tell nothing of it', async () => {
    await school.rows("ALTER TABLE students ADD CONSTRAINT no_poison CHECK (full_name <> 'Poison')");
    const content = [HEADER, 'W1,Anil,2013-04-02,,,,,', 'W2,Poison,2013-04-02,,,,,', 'W3,Chand,2013-04-02,,,,,'].join(
      '\n',
    );
    for (const dry_run of [true, false]) {
      const job = await run(content, { dry_run });
      expect(job.result).toMatchObject({ rows: 3, stored: 2, failed: 1, errors: [{ line: 3, code: 'REFUSED' }] });
      expect(JSON.stringify(job)).not.toContain('Poison');
    }
    expect(await count('W')).toBe(2);
    expect(JSON.stringify(school.log.lines)).not.toContain('Poison');
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

const errorsOf = (job: { result: { errors: { line: number; column: string; code: string }[] } }) =>
  job.result.errors.map(({ line, column, code }) => [line, column, code]);

describe('a dry run', () => {
  it('says of students exactly what the real run says, the last seats of a class included', async () => {
    await school.rows(
      'UPDATE classes SET capacity = (SELECT count(*) + 2 FROM enrollments WHERE class_id = classes.id) WHERE name = $1',
      [className],
    );
    const content = [
      HEADER,
      `E1,Anil,2013-04-02,2025-06-02,${className},Tara Rao,mother,+91 22222`,
      'S24-00003,Bina,2013-04-02,2025-06-02,,,,',
      `E3,Chand,2013-04-02,2013-06-02,${className},,,`,
      `E4,Dev,2013-04-02,2025-06-02,${className},Tara Rao,mother,+91 22222`,
      `E5,Esha,2013-04-02,2025-06-02,${className},,,`,
      'E1,Farah,2013-04-02,2025-06-02,,,,',
      'E7,Gita,2013-04-02,2025-06-02,,,,not a phone',
    ].join('\n');
    const dry = await run(content, { dry_run: true });
    expect(errorsOf(dry)).toEqual([
      [3, 'admission_no', 'TAKEN'],
      [4, 'starts_on', 'RULE_BROKEN'],
      [6, 'class', 'CLASS_FULL'],
      [7, 'admission_no', 'TAKEN'],
      [8, 'guardian_phone', 'VALIDATION_FAILED'],
      [8, 'guardian_name', 'VALIDATION_FAILED'],
    ]);
    expect(await count('E')).toBe(0);
    expect(await school.rows("SELECT 1 FROM guardians WHERE phone = '+91 22222'")).toEqual([]);
    const real = await run(content);
    expect(real.result).toEqual(dry.result);
    const numbers = await school.rows(
      `SELECT e.roll_no FROM enrollments e JOIN students s ON s.id = e.student_id WHERE s.admission_no IN ('E1', 'E4') ORDER BY s.admission_no`,
    );
    expect(Number(numbers[1]!.roll_no)).toBe(Number(numbers[0]!.roll_no) + 1);
  });
});

const STAFF = 'login,roles,email,full_name,employee_no,designation,joined_on,phone,admission_no';
const usersIn = async (logins: string[]) =>
  (await school.rows('SELECT login FROM users WHERE login = ANY($1) ORDER BY login', [logins])).map(
    ({ login }) => login,
  );

describe('importing users', () => {
  it('makes them as POST /users does: roles, person, event, line of the log, and an invite that sets the password', async () => {
    const job = await run(
      [
        STAFF,
        'new.teacher,teacher,hari@x.example,Hari Rao,N1,Teacher,2025-06-02,,',
        'both,teacher|accountant,,Indu Rao,N2,Teacher,2025-06-02,,',
      ].join('\n'),
      { kind: 'users' },
    );
    expect(job.result).toMatchObject({ rows: 2, stored: 2, failed: 0, errors: [] });
    const find = async (login: string) =>
      (await admin('GET', `/users?q=${login}`)).body.data.find((user: { login: string }) => user.login === login);
    const user = await find('new.teacher');
    expect(user).toMatchObject({
      status: 'invited',
      roles: ['teacher'],
      email: 'hari@x.example',
      person: { staff: { employee_no: 'N1', full_name: 'Hari Rao', joined_on: '2025-06-02' }, guardian: null },
    });
    expect(await find('both')).toMatchObject({ status: 'invited', roles: ['accountant', 'teacher'], email: null });
    expect((await admin('GET', `/activity-logs?entity=${user.id}`)).body.data).toMatchObject([
      { action: 'user.create', after: { roles: ['teacher'] } },
    ]);
    const events = await school.rows('SELECT name, payload FROM outbox_events WHERE aggregate_id = $1 ORDER BY seq', [
      user.id,
    ]);
    expect(events.map(({ name }) => name)).toEqual(['auth.user.changed', 'auth.user.invited']);
    expect(JSON.stringify(events)).not.toMatch(/hari@|Rao/);
    const token = await mails.token('hari@x.example');
    const nobody = school.as(undefined);
    const reset = { body: { token, new_password: 'k7vQ2mZp4x' } };
    expect((await nobody('POST', '/auth/password/reset', reset)).status).toBe(204);
    const login = await nobody('POST', '/auth/login', { body: { login: 'new.teacher', password: 'k7vQ2mZp4x' } });
    expect(login.body.data.user).toMatchObject({ name: 'Hari Rao', roles: ['teacher'] });
  });

  it('links parents to the guardian of that name and phone, and students by their admission number', async () => {
    await run([HEADER, 'P1,Isha Nair,2013-04-02,2025-06-02,,Anu Nair,mother,+91 33333'].join('\n'));
    const job = await run(
      [
        STAFF,
        'anu.nair,parent,anu@x.example,ANU NAIR,,,,+91 33333,',
        'new.parent,parent,,Ben Nair,,,,+91 44444,',
        'isha.nair,student,,,,,,,P1',
        'teacher.parent,teacher parent,,Cara Nair,N7,Teacher,2025-06-02,+91 55555,',
      ].join('\n'),
      { kind: 'users' },
    );
    expect(job.result).toMatchObject({ stored: 4, errors: [] });
    const linked = await school.rows(
      `SELECT u.login, g.full_name, (SELECT count(*)::int FROM student_guardians l WHERE l.guardian_id = g.id) AS children
       FROM guardians g JOIN users u ON u.id = g.user_id
       WHERE u.login IN ('anu.nair', 'new.parent', 'teacher.parent') ORDER BY u.login`,
    );
    expect(linked).toEqual([
      { login: 'anu.nair', full_name: 'Anu Nair', children: 1 },
      { login: 'new.parent', full_name: 'Ben Nair', children: 0 },
      { login: 'teacher.parent', full_name: 'Cara Nair', children: 0 },
    ]);
    expect(
      await school.rows(`SELECT u.login FROM students s JOIN users u ON u.id = s.user_id WHERE s.admission_no = 'P1'`),
    ).toEqual([{ login: 'isha.nair' }]);
  });

  it('tells by line, column and rule what POST /users would refuse, the same in a dry run, which stores and mails nothing', async () => {
    const content = [
      STAFF,
      'fresh,teacher,fresh@x.example,A B,Z1,Teacher,2025-06-02,,',
      'Teacher001,teacher,,A B,Z2,Teacher,2025-06-02,,',
      'taken.mail,teacher,ADMIN@schools24.example,A B,Z3,Teacher,2025-06-02,,',
      'taken.number,teacher,,A B,E0001,Teacher,2025-06-02,,',
      'FRESH,teacher,,A B,Z5,Teacher,2025-06-02,,',
      'same.mail,teacher,Fresh@x.example,A B,Z6,Teacher,2025-06-02,,',
      'same.number,teacher,,A B,Z1,Teacher,2025-06-02,,',
      'root,root|teacher,,A B,Z8,Teacher,2025-06-02,,',
      'a,teacher,nobody,A B,Z9,Teacher,2025-02-30,,',
      'incomplete,teacher,,A B,,,2025-06-02,,',
      'pupil,student,,Kiran Rao,Z11,,,,S24-99999',
      'pupil.again,student,,,,,,,S24-00001',
      'formula,teacher,,=A1,Z13,Teacher,2025-06-02,,',
      'twice,teacher|teacher,,A B,Z14,Teacher,2025-06-02,,',
      'no.role,,,A B,Z15,Teacher,2025-06-02,,',
      ',teacher,,A B,Z16,Teacher,2025-06-02,,',
    ].join('\n');
    const dry = await run(content, { kind: 'users', dry_run: true });
    expect(errorsOf(dry)).toEqual([
      [3, 'login', 'TAKEN'],
      [4, 'email', 'TAKEN'],
      [5, 'employee_no', 'TAKEN'],
      [6, 'login', 'TAKEN'],
      [7, 'email', 'TAKEN'],
      [8, 'employee_no', 'TAKEN'],
      [9, 'roles', 'VALIDATION_FAILED'],
      [10, 'login', 'VALIDATION_FAILED'],
      [10, 'email', 'VALIDATION_FAILED'],
      [10, 'joined_on', 'VALIDATION_FAILED'],
      [11, 'employee_no', 'VALIDATION_FAILED'],
      [11, 'designation', 'VALIDATION_FAILED'],
      [12, 'full_name', 'VALIDATION_FAILED'],
      [12, 'employee_no', 'VALIDATION_FAILED'],
      [12, 'admission_no', 'NOT_FOUND'],
      [13, 'admission_no', 'TAKEN'],
      [14, 'full_name', 'VALIDATION_FAILED'],
      [15, 'roles', 'VALIDATION_FAILED'],
      [16, 'roles', 'VALIDATION_FAILED'],
      [17, 'login', 'VALIDATION_FAILED'],
    ]);
    expect(JSON.stringify(dry)).not.toMatch(/A B|Kiran|nobody|=A1/);
    expect(dry.result).toMatchObject({ rows: 16, stored: 1 });
    expect(await usersIn(['fresh'])).toEqual([]);
    const real = await run(content, { kind: 'users' });
    expect(real.result).toEqual(dry.result);
    await mails.token('fresh@x.example');
    expect(mails.to('fresh@x.example')).toHaveLength(1);
  });

  it('I8: the same file again makes nobody a second time and mails nobody a second time', async () => {
    const content = [STAFF, 'once,driver,once@x.example,Om Rao,N20,Driver,2025-06-02,,'].join('\n');
    expect((await run(content, { kind: 'users' })).result).toMatchObject({ stored: 1 });
    const token = await mails.token('once@x.example');
    // The event may be delivered again: it is the same mail with the same link.
    const [row] = await school.rows(
      "SELECT id, payload FROM outbox_events WHERE name = 'auth.user.invited' ORDER BY seq DESC LIMIT 1",
    );
    const invites = school.container.consumers.find(({ name }) => name === 'account-invites')!;
    await invites.handle({ ...(row!.payload as DomainEvent), id: String(row!.id) });
    expect(await mails.token('once@x.example')).toBe(token);
    const again = await run(content, { kind: 'users' });
    expect(errorsOf(again)).toEqual([[2, 'login', 'TAKEN']]);
    expect(await usersIn(['once'])).toEqual(['once']);
    expect(mails.to('once@x.example')).toHaveLength(1);
  });

  it('I8: a run whose worker dies in the middle goes on: each user once, each mailed once', async () => {
    const rows = Array.from(
      { length: 120 },
      (_, i) => `cut${i},driver,cut${i}@x.example,Name ${i},C${i},Driver,2025-06-02,,`,
    );
    const { id } = (await ask([STAFF, ...rows].join('\n'), { kind: 'users', dry_run: true })).body.data;
    await finished(id);
    const data = { ...(await school.engine.queues.imports.getJob(id))!.data, isDryRun: false };
    const steps: number[] = [];
    // A worker that is killed between two rows.
    const cut = school.container.jobs.runImport(id, data, async (bp) => {
      steps.push(bp);
      if (steps.length === 3) throw new Error('killed');
    });
    await expect(cut).rejects.toThrow('killed');
    expect(steps).toEqual([0, 4_166, 8_333]);
    const logins = rows.map((_, i) => `cut${i}`);
    expect(await usersIn(logins)).toHaveLength(100);
    const again = await school.container.jobs.runImport(id, data, async () => {});
    expect(again).toMatchObject({ rows: 120, stored: 120, failed: 0 });
    expect(await usersIn(logins)).toHaveLength(120);
    expect(await school.rows("SELECT count(*)::int AS n FROM staff WHERE employee_no LIKE 'C%'")).toEqual([{ n: 120 }]);
    await until('the mails', async () =>
      mails.all().filter((mail) => /To: cut\d/.test(mail)).length >= 120 ? true : undefined,
    );
    const [events] = await school.rows(
      `SELECT count(*)::int AS n FROM outbox_events o JOIN users u ON u.id::text = o.aggregate_id
       WHERE o.name = 'auth.user.invited' AND u.login LIKE 'cut%'`,
    );
    expect(events!.n).toBe(120);
    expect(mails.all().filter((mail) => /To: cut\d/.test(mail))).toHaveLength(120);
  });

  it('wants columns for the login and its roles only, and knows no others', async () => {
    const bad = await ask('login,full_name\nx,A', { kind: 'users' });
    expect(bad).toMatchObject({ status: 422, body: { code: 'BAD_HEADER' } });
    expect((await ask(`${STAFF},password\nx`, { kind: 'users' })).body.code).toBe('BAD_HEADER');
    const long = `${STAFF}\n${'x,teacher,,,,,,,\n'.repeat(5_001)}`;
    expect((await ask(long, { kind: 'users' })).body.code).toBe('BAD_CSV');
  });
});
