import { describe, expect, it } from 'vitest';
import { type SchoolHarness, useSchool } from '../../support/harness.ts';
import { DEMO_PASSWORD } from '../../support/template.ts';

const pause = async (school: SchoolHarness) =>
  fetch(`${school.baseUrl}/admin/queues/api/queues/sync/pause`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${await school.token('admin')}` },
  });

describe('Bull Board', () => {
  const school = useSchool({ RATE_LIMIT_FACTOR: '1' });
  const page = (headers: Record<string, string> = {}, path = '') =>
    fetch(`${school.baseUrl}/admin/queues${path}`, { headers, redirect: 'manual' });
  const logIn = (login: string, password = DEMO_PASSWORD) =>
    fetch(`${school.baseUrl}/admin/queues/login`, {
      method: 'POST',
      body: new URLSearchParams({ login, password }),
      redirect: 'manual',
    });

  it('shows a login page to whoever is not logged in, and nothing of the queues', async () => {
    for (const path of ['', '/api/queues', '/queue/sync']) {
      const response = await page({}, path);
      expect(response.status).toBe(401);
      expect(await response.text()).not.toMatch(/write-batches/);
    }
  });

  it('lets an admin in by bearer token and refuses others', async () => {
    const as = async (login: string) => page({ authorization: `Bearer ${await school.token(login)}` }, '/api/queues');
    const queues = await as('admin');
    expect(queues.status).toBe(200);
    expect(await queues.text()).toContain('write-batches');
    expect((await as('teacher001')).status).toBe(403);
  });

  it('lets an admin in by the cookie that its own login sets', async () => {
    const response = await logIn('admin');
    expect(response.status).toBe(303);
    const cookie = response.headers.get('set-cookie')!;
    expect(cookie).toMatch(/HttpOnly/i);
    expect(cookie).toMatch(/SameSite=Strict/i);
    expect(cookie).toMatch('Path=/admin/queues');
    expect((await page({ cookie: cookie.split(';')[0]! }, '/api/queues')).status).toBe(200);
  });

  it('sets no cookie for a wrong password or another role', async () => {
    for (const [login, password, status] of [
      ['admin', 'not the password', 401],
      ['teacher001', DEMO_PASSWORD, 403],
    ] as const) {
      const response = await logIn(login, password);
      expect({ status: response.status, cookie: response.headers.get('set-cookie') }).toEqual({ status, cookie: null });
    }
  });

  it('is read-only', async () => {
    expect((await pause(school)).status).toBe(405);
    expect(await school.engine.queues.sync.isPaused()).toBe(false);
  });

  it('counts logins by address like the API does', async () => {
    const statuses: number[] = [];
    for (let index = 0; index < 12; index++) statuses.push((await logIn(`nobody-${index}`, 'x')).status);
    expect(statuses.at(-1)).toBe(429);
  });
});

describe('Bull Board with BULL_BOARD_WRITABLE=true', () => {
  const school = useSchool({ BULL_BOARD_WRITABLE: 'true' });

  it('pauses a queue', async () => {
    expect((await pause(school)).status).toBe(200);
    expect(await school.engine.queues.sync.isPaused()).toBe(true);
  });
});
