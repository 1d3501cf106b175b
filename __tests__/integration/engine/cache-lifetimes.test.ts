import { beforeAll, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

const DEFAULT_SECONDS = 100_000;
const school = useSchool({ REDIS_DEFAULT_TTL: String(DEFAULT_SECONDS) });
/** Seconds that each kept answer stays fresh, by name. */
const lives = new Map<string, number>();

beforeAll(async () => {
  const teacher = school.as('teacher001');
  const { homerooms } = (await teacher('GET', '/auth/me')).body.data.scopes;
  await teacher('GET', '/homework');
  await teacher('GET', `/attendance/classes/${homerooms[0].id}/sheets/${TODAY}`);
  await school.as('admin')('GET', `/attendance/missing?date=${TODAY}`);
  const { redis, keys } = school.engine;
  const start = keys.copy('').slice(0, -1);
  for (const key of await redis.keys(`*${school.prefix}:copy:*`)) {
    const { freshUntilMs } = JSON.parse((await redis.get(key))!);
    lives.set(key.slice(start.length, -1), (freshUntilMs - Date.now()) / 1000);
  }
});

it.each([
  ['a list', 'list:homework:', DEFAULT_SECONDS],
  ['a sheet', 'sheet:attendance:', DEFAULT_SECONDS],
  ['rolls taken', 'attendance:taken:', DEFAULT_SECONDS],
  ['a session', 'session:', 1_800],
  ['a profile', 'user:profile:', 3_600],
  ['a roster', 'class:roster:', 3_600],
  ['approved leave', 'class:leave:', 60],
  ["the school's own row", 'school:row', 600],
])('%s lives as long as its kind says, or else as REDIS_DEFAULT_TTL', (_what, start, seconds) => {
  const found = [...lives].filter(([name]) => name.startsWith(start)).map(([, life]) => life);
  expect(found, start).not.toEqual([]);
  for (const life of found) {
    // Ten percent of jitter, and some seconds since.
    expect(life).toBeGreaterThan(seconds * 0.9 - 10);
    expect(life).toBeLessThanOrEqual(seconds * 1.1);
  }
});
