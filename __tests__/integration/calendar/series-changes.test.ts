import { beforeAll, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';

const school = useSchool();
let admin: Call;

const add = (fields: object) =>
  admin('POST', '/events', {
    body: {
      title: 'Series',
      start_local: '2025-11-03T10:00',
      duration_min: 60,
      audiences: [{ kind: 'school' }],
      ...fields,
    },
  });
const idOf = async (fields: object): Promise<string> => (await add(fields)).body.data.event.id;
const startsOf = async (id: string): Promise<string[]> =>
  (await admin('GET', '/events?from=2025-11-01&to=2025-12-01&limit=100')).body.data
    .filter((one: { event_id: string }) => one.event_id === id)
    .map((one: { start_local: string }) => one.start_local);
const days = (first: number, last: number, time: string): string[] =>
  Array.from({ length: last - first + 1 }, (_, index) => `2025-11-${String(first + index).padStart(2, '0')}T${time}`);

beforeAll(() => {
  admin = school.as('admin');
});

it('C3: occurrences that are cancelled and changed at the same time are all kept', async () => {
  const id = await idOf({ rrule: 'FREQ=DAILY;COUNT=12' });
  const answers = await Promise.all(
    days(3, 12, '10:00').map((occurrence, index) =>
      index % 2 === 0
        ? admin('DELETE', `/events/${id}?scope=this&occurrence=${occurrence}`)
        : admin('PATCH', `/events/${id}?scope=this&occurrence=${occurrence}`, { body: { title: occurrence } }),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  const { exceptions } = (await admin('GET', `/events/${id}`)).body.data;
  expect(exceptions.map((one: { occurrence_local: string }) => one.occurrence_local)).toEqual(days(3, 12, '10:00'));
});

it('C2: a zone keeps the name that it was given', async () => {
  for (const tz of ['Asia/Kolkata', 'Europe/Kyiv', 'Europe/Berlin', 'UTC'])
    expect((await add({ tz })).body.data.event.tz).toBe(tz);
  expect((await add({ tz: 'europe/berlin' })).body.data.event.tz).toBe('Europe/Berlin');
  for (const tz of ['+05:30', 'Nowhere/Land'])
    expect((await add({ tz })).body.errors).toEqual([
      { pointer: '/tz', detail: 'must be a time zone such as Asia/Kolkata' },
    ]);
});

it('C6: what starts at the same time comes by title, also where one title begins as the other', async () => {
  const on = '2025-11-24T10:00';
  for (const title of ['Sports day (juniors)', 'Sports day', 'Sports']) await idOf({ title, start_local: on });
  const { data } = (await admin('GET', '/events?from=2025-11-24&to=2025-11-25')).body;
  expect(data.map((one: { title: string }) => one.title)).toEqual(['Sports', 'Sports day', 'Sports day (juniors)']);
});
