import { beforeAll, describe, expect, it } from 'vitest';
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

describe('C3: a series that is moved keeps its last date', () => {
  const move = async (id: string, changes: object, more = '') => {
    const moved = await admin('PATCH', `/events/${id}${more}`, { body: changes });
    expect(moved.status).toBe(200);
    return moved.body.data.event.id as string;
  };

  it('to a later hour', async () => {
    const id = await idOf({ rrule: 'FREQ=DAILY;UNTIL=20251106T100000' });
    await move(id, { start_local: '2025-11-03T15:00' });
    expect(await startsOf(id)).toEqual(days(3, 6, '15:00'));
  });

  it('to a later hour, once the rest was split off', async () => {
    const id = await idOf({ rrule: 'FREQ=DAILY;COUNT=6' });
    await move(id, { title: 'Rest' }, '?scope=following&occurrence=2025-11-06T10:00');
    await move(id, { start_local: '2025-11-03T15:00' });
    expect(await startsOf(id)).toEqual(days(3, 5, '15:00'));
  });

  it('from one occurrence on', async () => {
    const id = await idOf({ rrule: 'FREQ=DAILY;UNTIL=20251106T043000Z' });
    const rest = await move(id, { start_local: '2025-11-05T18:00' }, '?scope=following&occurrence=2025-11-05T10:00');
    expect(await startsOf(id)).toEqual(days(3, 4, '10:00'));
    expect(await startsOf(rest)).toEqual(days(5, 6, '18:00'));
  });

  it('into another zone', async () => {
    const id = await idOf({ start_local: '2025-11-03T06:00', rrule: 'FREQ=DAILY;UNTIL=20251106' });
    await move(id, { tz: 'Pacific/Auckland' });
    expect(await startsOf(id)).toEqual(days(3, 6, '06:00'));
    await move(id, { tz: 'America/Los_Angeles' });
    expect(await startsOf(id)).toEqual(days(3, 6, '06:00'));
  });

  it('not counting a date on which it would have started after its end', async () => {
    const id = await idOf({ rrule: 'FREQ=DAILY;UNTIL=20251106T090000' });
    await move(id, { start_local: '2025-11-03T08:00' });
    expect(await startsOf(id)).toEqual(days(3, 5, '08:00'));
  });

  it('to whole days and back', async () => {
    const id = await idOf({ rrule: 'FREQ=DAILY;UNTIL=20251106T100000' });
    await move(id, { is_all_day: true, start_local: '2025-11-03T00:00', duration_min: 1440 });
    expect(await startsOf(id)).toEqual(days(3, 6, '00:00'));
    await move(id, { is_all_day: false, start_local: '2025-11-03T16:00', duration_min: 60 });
    expect(await startsOf(id)).toEqual(days(3, 6, '16:00'));
  });
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

describe('an event that begins or ends beyond the years of the API', () => {
  const tooFar = { status: 422, body: { code: 'RULE_BROKEN', errors: [{ pointer: '/start_local' }] } };

  it.each([
    { start_local: '2199-12-31T00:00', is_all_day: true, duration_min: 2880 },
    { start_local: '2199-12-31T23:30', tz: 'UTC' },
    { start_local: '2199-12-31T20:00', tz: 'America/New_York' },
    { start_local: '2199-12-30T20:00', tz: 'America/New_York', rrule: 'FREQ=DAILY;COUNT=2' },
    { start_local: '1900-01-01T00:00' },
  ])('is refused: %o', async (fields) => {
    expect(await add(fields)).toMatchObject(tooFar);
  });

  it('is not what a series without an end comes to', async () => {
    const eve = { start_local: '2025-12-31T23:00', tz: 'America/New_York', rrule: 'FREQ=YEARLY', duration_min: 1440 };
    expect((await add(eve)).status).toBe(201);
  });

  it('is refused for one occurrence, too', async () => {
    const id = await idOf({ tz: 'UTC', rrule: 'FREQ=DAILY;COUNT=3' });
    const path = `/events/${id}?scope=this&occurrence=2025-11-04T10:00`;
    expect(await admin('PATCH', path, { body: { start_local: '2199-12-31T23:30' } })).toMatchObject(tooFar);
  });
});
