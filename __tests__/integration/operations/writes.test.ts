import { describe, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';

const school = useSchool();

describe('GET /writes/{id}', () => {
  it('tells the writer until when it is stored, and when it is', async () => {
    const teacher = school.as('teacher001');
    const before = Date.now();
    const posted = await teacher('PATCH', '/auth/me', { body: { locale: 'en-GB' } });
    expect(posted.status).toBe(202);
    const { stored_by, writes } = posted.body.meta;
    expect(Date.parse(stored_by)).toBeGreaterThanOrEqual(before + 3_600_000);
    expect(writes).toEqual([expect.stringMatching(/^profile~[0-9a-f-]{36}~\d{16}$/)]);
    const state = async () => (await teacher('GET', `/writes/${writes[0]}`)).body.data;
    expect(await state()).toMatchObject({ id: writes[0], entity: 'profile', state: 'buffered', database: 'postgres' });
    await school.sync();
    expect(await state()).toMatchObject({ state: 'stored' });
  });

  it.each(['nothing~1~5', 'profile~x', 'profile~x~y', 'profile~not-a-key~5', '~~'])('answers 404 to %s', async (id) => {
    expect(await school.as('teacher001')('GET', `/writes/${encodeURIComponent(id)}`)).toMatchObject({
      status: 404,
      body: { code: 'NOT_FOUND' },
    });
  });

  it('is not for strangers', async () => {
    expect((await school.as(undefined)('GET', '/writes/profile~1~5')).status).toBe(401);
  });
});
