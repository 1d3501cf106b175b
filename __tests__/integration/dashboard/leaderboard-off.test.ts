import { expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';

const school = useSchool();

it('DB4: a school may show no leaderboards', async () => {
  await school.rows(`UPDATE schools SET settings = settings || '{"leaderboard_enabled": false}'`);
  const [row] = await school.rows("SELECT id FROM classes WHERE name = '6 A'");
  expect(await school.as('admin')('GET', `/leaderboards/classes/${row!.id}`)).toMatchObject({
    status: 403,
    body: { code: 'LEADERBOARD_OFF' },
  });
  const { body } = await school.as('student0001')('GET', '/dashboard/student');
  expect(body.data.cards.rank).toMatchObject({ points: null, rank: null });
});
