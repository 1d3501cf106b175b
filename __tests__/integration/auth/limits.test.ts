import { describe, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';

const school = useSchool({ RATE_LIMIT_FACTOR: '1' });
const nobody = school.as(undefined);

describe('limits of guessing', () => {
  it('asking for a password and setting one: ten a minute together, for each address', async () => {
    const attempts = Array.from({ length: 14 }, (_, index) =>
      index % 2 === 0
        ? nobody('POST', '/auth/password/reset', { body: { token: `guess-${index}`, new_password: 'k7vQ2mZp4x' } })
        : nobody('POST', '/auth/password/forgot', { body: { login: `nobody-${index}` } }),
    );
    const answers = await Promise.all(attempts);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(4);
    expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('refreshes: 120 a minute for each address', async () => {
    const attempts = Array.from({ length: 125 }, () =>
      nobody('POST', '/auth/refresh', { body: { refresh_token: 'guess' } }),
    );
    const statuses = (await Promise.all(attempts)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 429)).toHaveLength(5);
    expect(statuses.filter((status) => status === 401)).toHaveLength(120);
  });
});
