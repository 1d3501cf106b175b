import { beforeAll, describe, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';

const school = useSchool();
const ID = '0190c0de-0000-7000-8000-000000000001';
const cursorOf = (value: unknown, id: unknown = ID): string =>
  Buffer.from(JSON.stringify([value, id])).toString('base64url');
let admin: Call;
/** Addresses of all lists that have pages, with what they cannot do without. */
let lists: string[];

beforeAll(async () => {
  admin = school.as('admin');
  const { paths } = (await admin('GET', '/openapi.json')).body;
  lists = Object.keys(paths)
    .filter((path) => paths[path].get?.parameters?.some(({ name }: { name: string }) => name === 'cursor'))
    .map(
      (path) => `${path.replace('/api/v1', '')}?${path.endsWith('/events') ? 'from=2025-09-01&to=2025-10-01&' : ''}`,
    );
});

describe('pages of lists', () => {
  it('refuse what is no cursor, and break at none', async () => {
    expect(lists.length).toBeGreaterThan(7);
    const broken: string[] = [];
    for (const list of lists) {
      for (const cursor of ['x', cursorOf('x', 'x'), cursorOf(null), cursorOf({}), 'W10', cursorOf('a\0b')])
        if ((await admin('GET', `${list}cursor=${cursor}`)).status !== 400) broken.push(`${list} takes ${cursor}`);
      for (const value of [
        'abc',
        '',
        5,
        -1e308,
        '2025-99-99T00:00:00.000Z',
        '2025-09-10T00:00:00.000Z',
        '1x',
        'ß'.repeat(200),
      ])
        if (![200, 400].includes((await admin('GET', `${list}cursor=${cursorOf(value)}`)).status))
          broken.push(`${list} breaks at ${value}`);
    }
    expect(broken).toEqual([]);
  });

  it.each(['/homework', '/notifications', '/activity-logs', '/announcements'])(
    '%s, which is sorted by time, refuses the cursor of a list of names',
    async (list) => {
      const { next_cursor } = (await admin('GET', '/students?limit=1')).body.meta;
      const { status, body } = await admin('GET', `${list}?cursor=${next_cursor}`);
      expect({ status, errors: body.errors }).toEqual({
        status: 400,
        errors: [{ pointer: '/query/cursor', detail: 'is not a cursor of this list' }],
      });
    },
  );

  it('say of a cursor that is too long what is wrong, whatever its script', async () => {
    const { status, body } = await admin('GET', `/homework?cursor=${encodeURIComponent('🏫'.repeat(2_001))}`);
    expect({ status, pointer: body.errors?.[0].pointer }).toEqual({ status: 400, pointer: '/query/cursor' });
  });

  it('go on after the longest names and titles, in any script', async () => {
    const title = '😀'.repeat(200);
    const event = (start_local: string) => ({
      title,
      kind: 'event',
      start_local,
      duration_min: 60,
      audiences: [{ kind: 'school' }],
    });
    for (const start of ['2031-05-05T10:00', '2031-05-05T11:00'])
      expect((await admin('POST', '/events', { body: event(start) })).status).toBe(201);
    const range = '/events?from=2031-05-05&to=2031-05-06&limit=1';
    const first = await admin('GET', range);
    const second = await admin('GET', `${range}&cursor=${first.body.meta.next_cursor}`);
    expect([first, second].map(({ body }) => body.data?.[0]?.title)).toEqual([title, title]);
    expect(second.body.data[0].starts_at > first.body.data[0].starts_at).toBe(true);
  });
});
