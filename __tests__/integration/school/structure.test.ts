import { beforeAll, describe, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

const school = useSchool();
let admin: Call;

beforeAll(() => {
  admin = school.as('admin');
});

describe('school structure', () => {
  it('lists years, terms, subjects and classes', async () => {
    const [years, terms, subjects, classes] = await Promise.all(
      ['/academic-years', '/terms', '/subjects', '/classes'].map(async (path) => (await admin('GET', path)).body.data),
    );
    expect(years).toMatchObject([
      { is_current: true, name: '2025-26', starts_on: '2025-04-01', ends_on: '2026-03-31' },
    ]);
    expect(terms.map(({ name }: { name: string }) => name)).toHaveLength(3);
    const [counts] = await school.rows(
      'SELECT (SELECT count(*)::int FROM subjects) AS subjects, (SELECT count(*)::int FROM classes) AS classes',
    );
    expect({ subjects: subjects.length, classes: classes.length }).toEqual(counts);
  });

  it('shows each caller its own classes', async () => {
    const student = school.as('student0001');
    const { own_class } = (await student('GET', '/auth/me')).body.data.scopes;
    expect((await student('GET', '/classes')).body.data).toMatchObject([{ id: own_class.id, name: own_class.name }]);
    expect((await school.as(undefined)('GET', '/classes')).status).toBe(401);
  });

  it('lists the students of a class on a date: who left is there before, who joined after', async () => {
    const [row] = await school.rows(
      `SELECT e.class_id, e.student_id, e.roll_no FROM enrollments e WHERE e.ends_on IS NULL ORDER BY e.class_id, e.roll_no DESC LIMIT 1`,
    );
    await school.rows(`UPDATE enrollments SET ends_on = '2025-09-05' WHERE student_id = $1 AND ends_on IS NULL`, [
      row!.student_id,
    ]);
    const on = async (date?: string) =>
      (await admin('GET', `/classes/${row!.class_id}/students${date ? `?on=${date}` : ''}`)).body.data.map(
        (line: { student_id: string }) => line.student_id,
      );
    expect(await on('2025-09-05')).toContain(row!.student_id);
    expect(await on('2025-09-06')).not.toContain(row!.student_id);
    expect(await on()).toEqual(await on(TODAY));
    expect((await school.as('student0001')('GET', `/classes/${crypto.randomUUID()}/students`)).status).toBe(404);
  });
});
