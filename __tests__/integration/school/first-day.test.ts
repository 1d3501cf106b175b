import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Call, useEmptySchool } from '../../support/harness.ts';
import { useMailFolder } from '../../support/mails.ts';
import { DEMO_PASSWORD, TODAY } from '../../support/template.ts';
import { endedJob, uploadTable } from '../../support/uploads.ts';

const mails = useMailFolder();
const school = useEmptySchool({ DATA_DIR: mails.dataDir });
let admin: Call;
let yearId: string;
let classes: Record<string, string>;
let subjects: Record<string, string>;
let staff: Record<string, string>;

const post = async (path: string, body: object): Promise<{ id: string }> => {
  const answer = await admin('POST', path, { body });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.data;
};
const imported = async (kind: 'users' | 'students', lines: readonly string[]) => {
  const file_id = await uploadTable(school, admin, lines.join('\n'));
  const asked = await admin('POST', `/imports/${kind}`, { body: { file_id } });
  expect(asked.status).toBe(202);
  return (await endedJob(admin, asked.body.data.id)).result;
};
/** Takes an invite: chooses the password that the harness logs in with. */
const accept = async (address: string): Promise<void> => {
  const body = { token: await mails.token(address), new_password: DEMO_PASSWORD };
  expect((await school.as(undefined)('POST', '/auth/password/reset', { body })).status).toBe(204);
};
const ids = (rows: { id: string; name?: string; code?: string }[]): Record<string, string> =>
  Object.fromEntries(rows.map(({ id, name, code }) => [code ?? name, id]));

beforeAll(() => {
  admin = school.as('admin');
});

/** From an empty database to the first roll, by the API alone: each step stands on those before it. */
describe('the first day of a new school', () => {
  it('begins with nothing', async () => {
    for (const path of ['/academic-years', '/classes', '/subjects', '/students'])
      expect((await admin('GET', path)).body.data).toEqual([]);
    expect((await admin('GET', '/users')).body.data).toMatchObject([{ login: 'admin' }]);
  });

  it('has a year with its terms, subjects and classes', async () => {
    const year = { name: '2025-26', starts_on: '2025-04-01', ends_on: '2026-03-31', is_current: true };
    yearId = (await post('/academic-years', year)).id;
    await post('/terms', {
      academic_year_id: yearId,
      seq: 1,
      name: 'Term 1',
      starts_on: '2025-04-01',
      ends_on: '2025-09-30',
    });
    await post('/terms', {
      academic_year_id: yearId,
      seq: 2,
      name: 'Term 2',
      starts_on: '2025-10-01',
      ends_on: '2026-03-31',
    });
    subjects = ids([
      { ...(await post('/subjects', { code: 'MAT', name: 'Mathematics' })), code: 'MAT' },
      { ...(await post('/subjects', { code: 'ENG', name: 'English' })), code: 'ENG' },
    ]);
    for (const section of ['A', 'B'])
      await post('/classes', { academic_year_id: yearId, grade: 6, section, capacity: 2 });
    classes = ids((await admin('GET', '/classes')).body.data);
    expect(Object.keys(classes)).toEqual(['6 A', '6 B']);
  });

  it('gets its staff from a table, each with an invite', async () => {
    const result = await imported('users', [
      'login,roles,email,full_name,employee_no,designation,joined_on',
      'asha.rao,teacher,asha@new.example,Asha Rao,T1,Teacher,2025-04-01',
      'binu.das,teacher,binu@new.example,Binu Das,T2,Teacher,2025-04-01',
      'head,principal|teacher,head@new.example,Chitra Sen,P1,Principal,2025-04-01',
    ]);
    expect(result).toMatchObject({ rows: 3, stored: 3, errors: [] });
    const users = (await admin('GET', '/users?role=teacher')).body.data;
    staff = ids(users.map(({ login, person }: Answer['body']) => ({ id: person.staff.id, name: login })));
    expect(Object.keys(staff).sort()).toEqual(['asha.rao', 'binu.das', 'head']);
    for (const address of ['asha@new.example', 'binu@new.example', 'head@new.example']) await accept(address);
  });

  it('knows who teaches and leads which class, and when', async () => {
    for (const [name, homeroom] of [
      ['6 A', 'asha.rao'],
      ['6 B', 'binu.das'],
    ] as const) {
      const taught = [
        { subject_id: subjects.MAT, staff_id: staff['asha.rao'] },
        { subject_id: subjects.ENG, staff_id: staff['binu.das'] },
      ];
      const path = `/classes/${classes[name]}`;
      const answer = await admin('PUT', `${path}/subjects`, { body: { subjects: taught } });
      expect(answer.status).toBe(200);
      expect((await admin('PATCH', path, { body: { homeroom_staff_id: staff[homeroom] } })).status).toBe(200);
      const [english, maths] = answer.body.data.map(({ id }: { id: string }) => id);
      // In both classes at once nobody could teach.
      const lessons = name === '6 A' ? [maths, english] : [english, maths];
      const slots = lessons.map((class_subject_id: string, index: number) => ({
        weekday: 3,
        period_no: index + 1,
        class_subject_id,
        starts_at: `${9 + index}:00`.padStart(5, '0'),
        ends_at: `${9 + index}:45`.padStart(5, '0'),
      }));
      expect((await admin('PUT', `${path}/timetable`, { body: { slots } })).status).toBe(200);
    }
  });

  it('admits its students from a table, as many as there are seats', async () => {
    const result = await imported('students', [
      'admission_no,full_name,birth_on,admitted_on,class,guardian_name,guardian_relation,guardian_phone',
      'S1,Dev Nair,2013-05-01,2025-04-01,6 A,Esha Nair,mother,+91 900001',
      'S2,Farah Khan,2013-06-01,2025-04-01,6 A,Gul Khan,father,+91 900002',
      'S3,Hari Nair,2013-07-01,2025-04-01,6 B,Esha Nair,mother,+91 900001',
      'S4,Indu Roy,2013-08-01,2025-04-01,6 A,Jaya Roy,mother,+91 900003',
    ]);
    expect(result).toMatchObject({ rows: 4, stored: 3, failed: 1 });
    expect(result.errors).toMatchObject([{ line: 5, column: 'class', code: 'CLASS_FULL' }]);
    const roster = (await admin('GET', `/classes/${classes['6 A']}/students`)).body.data;
    expect(roster.map((row: Answer['body']) => [row.roll_no, row.full_name])).toEqual([
      [1, 'Dev Nair'],
      [2, 'Farah Khan'],
    ]);
  });

  it('gives logins to parents and students, who find their own', async () => {
    const result = await imported('users', [
      'login,roles,email,full_name,phone,admission_no',
      'esha.nair,parent,esha@new.example,Esha Nair,+91 900001,',
      'dev.nair,student,dev@new.example,,,S1',
    ]);
    expect(result).toMatchObject({ rows: 2, stored: 2, errors: [] });
    for (const address of ['esha@new.example', 'dev@new.example']) await accept(address);
    const parent = (await school.as('esha.nair')('GET', '/auth/me')).body.data;
    expect(parent).toMatchObject({
      name: 'Esha Nair',
      roles: ['parent'],
      scopes: { children: [{ name: 'Dev Nair' }, { name: 'Hari Nair' }] },
    });
    const student = (await school.as('dev.nair')('GET', '/auth/me')).body.data;
    expect(student.scopes.own_class).toEqual({ id: classes['6 A'], name: '6 A' });
  });

  it('lets a teacher in, who sees what there is to teach and which roll to take', async () => {
    const teacher = school.as('asha.rao');
    const { scopes } = (await teacher('GET', '/auth/me')).body.data;
    expect(scopes.homerooms).toEqual([{ id: classes['6 A'], name: '6 A' }]);
    expect(scopes.class_subjects.map((one: Answer['body']) => [one.class.name, one.subject.name])).toEqual([
      ['6 A', 'Mathematics'],
      ['6 B', 'Mathematics'],
    ]);
    expect((await teacher('GET', `/classes/${classes['6 A']}/timetable`)).body.data).toHaveLength(2);
    // What a login may not do it may not do on the first day either.
    expect((await teacher('POST', '/subjects', { body: { code: 'X', name: 'X' } })).status).toBe(403);
  });

  it('has homework, which the class sees at once', async () => {
    const teacher = school.as('asha.rao');
    const [{ id }] = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
    const body = { class_subject_ids: [id], title: 'Fractions', due_at: '2025-09-12T18:00:00Z' };
    expect((await teacher('POST', '/homework', { body })).status).toBe(202);
    const seen = (await school.as('dev.nair')('GET', '/homework')).body.data;
    expect(seen.map(({ title }: { title: string }) => title)).toEqual(['Fractions']);
  });

  it('takes its first roll, and the parent sees it', async () => {
    const parent = school.as('esha.nair');
    const today = async () =>
      (await parent('GET', '/dashboard/parent')).body.data.children.map(({ name, cards }: Answer['body']) => [
        name,
        cards.attendance.today,
      ]);
    expect(await today()).toEqual([
      ['Dev Nair', null],
      ['Hari Nair', null],
    ]);
    const teacher = school.as('asha.rao');
    const [dev] = (await teacher('GET', `/classes/${classes['6 A']}/students`)).body.data;
    const entries = [{ student_id: dev.student_id, status: 'late' }];
    const sheet = `/attendance/classes/${classes['6 A']}/sheets/${TODAY}`;
    const taken = await teacher('PUT', sheet, { body: { entries, rest: 'present' } });
    expect(taken.status, JSON.stringify(taken.body)).toBe(202);
    expect(await today()).toEqual([
      ['Dev Nair', 'late'],
      ['Hari Nair', null],
    ]);
    await school.sync();
    expect(await school.rows('SELECT status FROM attendance_entries ORDER BY status')).toEqual([
      { status: 'late' },
      { status: 'present' },
    ]);
  });
});
