import ICAL from 'ical.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Call, useSchool } from '../../support/harness.ts';

const school = useSchool();
let admin: Call;
let principal: Call;
let teacher: Call;
let student: Call;
let parent: Call;
let classId: string;

const SCHOOL = [{ kind: 'school' }];
const add = async (fields: object, as: Call = admin) => {
  const answer = await as('POST', '/events', {
    body: { title: 'Event', start_local: '2025-11-03T10:00', duration_min: 60, audiences: SCHOOL, ...fields },
  });
  if (answer.status === 201) return answer.body.data;
  return answer;
};
const range = async (from: string, to: string, as: Call = admin, more = '') =>
  (await as('GET', `/events?from=${from}&to=${to}&limit=100${more}`)).body.data;
const startsOf = async (id: string, from: string, to: string, as: Call = admin): Promise<string[]> =>
  (await range(from, to, as))
    .filter((one: { event_id: string }) => one.event_id === id)
    .map((one: { start_local: string }) => one.start_local);

beforeAll(async () => {
  admin = school.as('admin');
  principal = school.as('principal01');
  teacher = school.as('teacher001');
  student = school.as('student0001');
  parent = school.as('parent0001');
  classId = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
});

describe('series', () => {
  it('C1: names an unknown part and refuses a million occurrences, storing nothing', async () => {
    const unknown = await add({ title: 'never', rrule: 'FREQ=DAILY;BYSETPOS=1' });
    expect(unknown).toMatchObject({ status: 422, body: { code: 'BAD_RRULE', errors: [{ pointer: '/rrule' }] } });
    expect(unknown.body.detail).toContain('BYSETPOS');
    const million = await add({ title: 'never', rrule: 'FREQ=DAILY;COUNT=1000000' });
    expect(million).toMatchObject({ status: 422, body: { code: 'TOO_MANY' } });
    expect(await school.rows("SELECT 1 FROM events WHERE title = 'never'")).toEqual([]);
  });

  it('C2: expands on the wall clock of its zone, over a gap and an overlap', async () => {
    const gap = await add({ tz: 'Europe/Berlin', start_local: '2025-03-30T02:30' });
    expect(gap.event.starts_at).toBe('2025-03-30T01:30:00.000Z');
    const overlap = await add({ tz: 'Europe/Berlin', start_local: '2025-10-26T02:30' });
    expect(overlap.event.starts_at).toBe('2025-10-26T00:30:00.000Z');
    const { event } = await add({ start_local: '2025-06-02T09:00', rrule: 'FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4' });
    expect(await startsOf(event.id, '2025-06-01', '2025-07-01')).toEqual([
      '2025-06-02T09:00',
      '2025-06-04T09:00',
      '2025-06-09T09:00',
      '2025-06-11T09:00',
    ]);
  });

  it('C3: this writes an exception, following splits, all returns exceptions that no longer fit', async () => {
    const { event } = await add({ start_local: '2025-11-03T10:00', rrule: 'FREQ=DAILY;COUNT=6' });
    const path = `/events/${event.id}`;
    const moved = await admin('PATCH', `${path}?scope=this&occurrence=2025-11-04T10:00`, {
      body: { start_local: '2025-11-04T15:00', title: 'Moved' },
      headers: { 'if-match': `"${event.version}"` },
    });
    expect(moved.body.data.event.exceptions).toMatchObject([{ action: 'changed', new_title: 'Moved' }]);
    expect((await admin('DELETE', `${path}?scope=this&occurrence=2025-11-05T10:00`)).status).toBe(200);
    expect(await startsOf(event.id, '2025-11-03', '2025-11-10')).toEqual([
      '2025-11-03T10:00',
      '2025-11-04T15:00',
      '2025-11-06T10:00',
      '2025-11-07T10:00',
      '2025-11-08T10:00',
    ]);
    expect(
      await admin('PATCH', `${path}?scope=this&occurrence=2025-11-05T10:00`, { body: { title: 'x' } }),
    ).toMatchObject({
      status: 422,
      body: { code: 'NO_SUCH_OCCURRENCE' },
    });
    const split = (
      await admin('PATCH', `${path}?scope=following&occurrence=2025-11-07T10:00`, { body: { title: 'New series' } })
    ).body.data;
    expect(split.event).toMatchObject({ split_from_id: event.id, rrule: 'FREQ=DAILY;COUNT=2', title: 'New series' });
    expect(await startsOf(event.id, '2025-11-03', '2025-11-10')).toHaveLength(3);
    expect(await startsOf(split.event.id, '2025-11-03', '2025-11-10')).toEqual([
      '2025-11-07T10:00',
      '2025-11-08T10:00',
    ]);
    const all = (await admin('PATCH', path, { body: { start_local: '2025-11-03T11:00' } })).body.data;
    expect(all.dropped_exceptions.map((one: { occurrence_local: string }) => one.occurrence_local)).toEqual([
      '2025-11-04T10:00',
      '2025-11-05T10:00',
    ]);
    expect(await admin('PATCH', path, { body: { title: 'x' }, headers: { 'if-match': '"1"' } })).toMatchObject({
      status: 412,
    });
  });

  it('C6: a range has what overlaps it, by start then title, page by page; 100 days at most', async () => {
    for (const title of ['b', 'a']) await add({ title, start_local: '2026-08-03T10:00' });
    await add({ title: 'before', start_local: '2026-08-02T23:30' });
    await add({ title: 'ends there', start_local: '2026-08-02T23:00' });
    const titles = (await range('2026-08-03', '2026-08-04')).map((one: { title: string }) => one.title);
    expect(titles).toEqual(['before', 'a', 'b']);
    const first = await admin('GET', '/events?from=2026-08-03&to=2026-08-04&limit=2');
    const second = await admin(
      'GET',
      `/events?from=2026-08-03&to=2026-08-04&limit=2&cursor=${first.body.meta.next_cursor}`,
    );
    expect(second.body.data.map((one: { title: string }) => one.title)).toEqual(['b']);
    expect(await admin('GET', '/events?from=2026-01-01&to=2026-06-01')).toMatchObject({
      status: 422,
      body: { code: 'RANGE_TOO_WIDE' },
    });
    const month = (await admin('GET', '/events/month/2026-08')).body.data;
    expect(month.map((one: { title: string }) => one.title)).toEqual(['ends there', 'before', 'a', 'b']);
  });
});

describe('closing events', () => {
  const holiday = (on: string, more: object = {}) => ({
    title: `Closed on ${on}`,
    kind: 'holiday',
    is_all_day: true,
    start_local: `${on}T00:00`,
    duration_min: 1440,
    ...more,
  });
  const day = async (on: string) => (await admin('GET', `/school-days?from=${on}&to=${on}`)).body.data[0];

  it('C5: rewrites school days, voids sheets (AT8), warns of exams; deleting it opens the day again', async () => {
    const on = '2025-09-10';
    const homeroom = (await teacher('GET', '/auth/me')).body.data.scopes.homerooms[0].id;
    const sheet = `/attendance/classes/${homeroom}/sheets/${on}`;
    expect((await teacher('PUT', sheet, { body: { entries: [], rest: 'present' } })).status).toBe(202);
    const exam = await add({ title: 'Exam', kind: 'exam', start_local: `${on}T11:00` });
    const made = await add(holiday(on));
    expect(made.warnings).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ code: 'EXAM_ON_CLOSED_DAY', event_id: exam.event.id, on }),
        expect.objectContaining({ code: 'SHEETS_VOID' }),
      ]),
    );
    expect(await day(on)).toEqual({ date: on, is_open: false, reason: `Closed on ${on}`, event_id: made.event.id });
    expect((await teacher('GET', sheet)).body.data.status).toBe('void');
    expect(await teacher('PUT', sheet, { body: { entries: [], rest: 'present' } })).toMatchObject({
      status: 422,
      body: { code: 'NOT_SCHOOL_DAY' },
    });
    const [kept] = await school.rows(
      'SELECT count(*)::int AS entries FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id WHERE s.class_id = $1 AND s.on_date = $2',
      [homeroom, on],
    );
    expect(kept!.entries).toBeGreaterThan(0);
    const emitted = await school.rows("SELECT payload FROM outbox_events WHERE name = 'calendar.holiday.changed'");
    expect(JSON.stringify(emitted)).toContain(on);
    await admin('DELETE', `/events/${made.event.id}`);
    expect(await day(on)).toMatchObject({ is_open: true, reason: null });
    expect((await teacher('GET', sheet)).body.data.status).toBe('open');
  });

  it('C5: warns of exams that the closed days lie in, whole days or over a midnight', async () => {
    const fields = { kind: 'exam', is_all_day: true, start_local: '2026-01-06T00:00', duration_min: 4 * 1440 };
    const exam = await add({ title: 'Exam of four days', ...fields });
    const night = await add({
      title: 'Exam at night',
      kind: 'exam',
      start_local: '2026-01-07T23:00',
      duration_min: 120,
    });
    const { warnings } = await add(holiday('2026-01-08', { duration_min: 2880 }));
    const warned = ({ event }: { event: { id: string } }): string[] =>
      warnings
        .filter(({ event_id }: { event_id: string }) => event_id === event.id)
        .map(({ on }: { on: string }) => on);
    expect(warned(exam)).toEqual(['2026-01-08', '2026-01-09']);
    expect(warned(night)).toEqual(['2026-01-08']);
  });

  it('C5: the demo school’s days are what its closing events say', async () => {
    const path = '/school-days?from=2025-04-01&to=2026-03-31';
    const before = (await admin('GET', path)).body.data;
    expect(before).toHaveLength(365);
    const [saturday] = await school.rows("SELECT id FROM events WHERE rrule LIKE 'FREQ=MONTHLY;BYDAY=2SA,4SA%'");
    const other = 'Two Saturdays';
    expect((await admin('PATCH', `/events/${saturday!.id}`, { body: { title: other } })).status).toBe(200);
    const renamed = (await admin('GET', path)).body.data;
    expect(renamed.filter((day: { reason: string }) => day.reason === other).length).toBeGreaterThan(15);
    await admin('PATCH', `/events/${saturday!.id}`, { body: { title: 'Second and fourth Saturday' } });
    expect((await admin('GET', path)).body.data).toEqual(before);
  });

  it('C5: the past is an admin’s to close', async () => {
    const refused = await add(holiday('2025-09-09'), principal);
    expect(refused).toMatchObject({ status: 403 });
    expect(await day('2025-09-09')).toMatchObject({ is_open: true });
    expect((await add(holiday('2025-09-09'))).event.id).toBeTruthy();
    expect(await day('2025-09-09')).toMatchObject({ is_open: false });
    expect((await add(holiday('2025-09-11'), principal)).event.id).toBeTruthy();
  });

  it('C4: a series that skips closed days leaves them out, and counts them', async () => {
    const fields = { start_local: '2025-12-01T09:00', rrule: 'FREQ=DAILY;COUNT=3', is_skip_closed: true };
    const { event } = await add(fields);
    expect(await startsOf(event.id, '2025-12-01', '2025-12-10')).toHaveLength(3);
    const made = await add(holiday('2025-12-02'));
    expect(await startsOf(event.id, '2025-12-01', '2025-12-10')).toEqual(['2025-12-01T09:00', '2025-12-03T09:00']);
    await admin('DELETE', `/events/${made.event.id}`);
    expect(await startsOf(event.id, '2025-12-01', '2025-12-10')).toHaveLength(3);
  });
});

describe('audiences', () => {
  it('C7: an event shows to whom any audience matches, to parents through their children', async () => {
    const childId = (await student('GET', '/auth/me')).body.data.id;
    const stranger = school.as('student0099');
    const seen = async (audiences: object[]) => {
      const { event } = await add({ audiences });
      const statuses = await Promise.all(
        [student, parent, stranger, teacher].map(async (as) => (await as('GET', `/events/${event.id}`)).status),
      );
      const inMonth = (await student('GET', '/events/month/2025-11')).body.data.some(
        (one: { event_id: string }) => one.event_id === event.id,
      );
      expect(inMonth).toBe(statuses[0] === 200);
      return statuses;
    };
    expect(await seen([{ kind: 'class', class_id: classId }])).toEqual([200, 200, 404, 200]);
    expect(await seen([{ kind: 'user', user_id: childId }])).toEqual([200, 200, 404, 404]);
    expect(await seen([{ kind: 'role', role: 'teacher' }])).toEqual([404, 404, 404, 200]);
    expect(
      await seen([
        { kind: 'role', role: 'teacher' },
        { kind: 'class', class_id: classId },
      ]),
    ).toEqual([200, 200, 404, 200]);
  });

  it('lets teachers change events of their own classes only', async () => {
    const own = await add({ audiences: [{ kind: 'class', class_id: classId }] }, teacher);
    expect((await teacher('PATCH', `/events/${own.event.id}`, { body: { title: 'Ours' } })).status).toBe(200);
    expect(await add({}, teacher)).toMatchObject({ status: 403 });
    const { event } = await add({});
    expect((await teacher('PATCH', `/events/${event.id}`, { body: { title: 'x' } })).status).toBe(404);
    expect(await add({}, student)).toMatchObject({ status: 403 });
  });
});

describe('answers', () => {
  it('are buffered, read at once, taken back, and dropped with a line in the log once the event is cancelled', async () => {
    const { event } = await add({ start_local: '2025-11-20T10:00' });
    const path = `/events/${event.id}`;
    const given = await student('PUT', `${path}/rsvp`, { body: { answer: 'yes', note: 'coming' } });
    expect(given).toMatchObject({ status: 202, body: { data: { answer: 'yes' } } });
    await parent('PUT', `${path}/rsvp`, { body: { answer: 'no' } });
    expect((await admin('GET', `${path}/rsvps`)).body.data.counts).toEqual({ yes: 1, no: 1, maybe: 0 });
    expect((await student('GET', `${path}/rsvps`)).body.data.answers).toHaveLength(1);
    await school.sync();
    expect(await school.rows('SELECT answer FROM event_rsvps WHERE event_id = $1 ORDER BY answer', [event.id])).toEqual(
      [{ answer: 'no' }, { answer: 'yes' }],
    );
    await student('PUT', `${path}/rsvp`, { body: { answer: null } });
    expect((await admin('GET', `${path}/rsvps`)).body.data.counts).toEqual({ yes: 0, no: 1, maybe: 0 });
    await school.sync();
    expect((await admin('GET', `${path}/rsvps`)).body.data.counts).toEqual({ yes: 0, no: 1, maybe: 0 });
    await parent('PUT', `${path}/rsvp`, { body: { answer: 'maybe' } });
    await admin('PATCH', path, { body: { status: 'cancelled' } });
    expect(await student('PUT', `${path}/rsvp`, { body: { answer: 'yes' } })).toMatchObject({
      status: 422,
      body: { code: 'RSVP_CLOSED' },
    });
    const run = await school.sync();
    expect(JSON.stringify(run)).not.toContain('"failed":1');
    expect(await school.rows("SELECT 1 FROM event_rsvps WHERE event_id = $1 AND answer = 'maybe'", [event.id])).toEqual(
      [],
    );
    expect(school.log.lines.some(({ message }) => message === 'write dropped')).toBe(true);
  });
});

describe('a split series', () => {
  it('C3: takes its answers and fitting exceptions along', async () => {
    const { event } = await add({ start_local: '2026-05-04T10:00', rrule: 'FREQ=WEEKLY;COUNT=4' });
    const path = `/events/${event.id}`;
    await student('PUT', `${path}/rsvp`, { body: { occurrence: '2026-05-18T10:00', answer: 'maybe' } });
    await admin('PATCH', `${path}?scope=this&occurrence=2026-05-25T10:00`, { body: { title: 'Last one' } });
    const { event: next, dropped_exceptions } = (
      await admin('PATCH', `${path}?scope=following&occurrence=2026-05-18T10:00`, { body: { location: 'Hall' } })
    ).body.data;
    expect(dropped_exceptions).toEqual([]);
    expect(next.exceptions).toMatchObject([{ occurrence_local: '2026-05-25T10:00', new_title: 'Last one' }]);
    const answers = (await admin('GET', `/events/${next.id}/rsvps?occurrence=2026-05-18T10:00`)).body.data;
    expect(answers.counts).toEqual({ yes: 0, no: 0, maybe: 1 });
    const rest = await admin('DELETE', `${path}?scope=following&occurrence=2026-05-11T10:00`);
    expect(rest.body.data.event.rrule).toContain('UNTIL=');
    expect(await startsOf(event.id, '2026-05-01', '2026-06-01')).toEqual(['2026-05-04T10:00']);
  });
});

describe('months', () => {
  it('show a change where the event was and where it is, at once', async () => {
    const { event } = await add({ title: 'Wanders', start_local: '2027-01-31T23:30', duration_min: 60 });
    const has = async (month: string): Promise<boolean> =>
      (await student('GET', `/events/month/${month}`)).body.data.some(
        (one: { event_id: string }) => one.event_id === event.id,
      );
    const shown = async () => [await has('2027-01'), await has('2027-02'), await has('2027-03')];
    expect(await shown()).toEqual([true, true, false]);
    await admin('PATCH', `/events/${event.id}`, { body: { start_local: '2027-03-01T10:00' } });
    expect(await shown()).toEqual([false, false, true]);
    await admin('PATCH', `/events/${event.id}`, { body: { audiences: [{ kind: 'role', role: 'teacher' }] } });
    expect(await shown()).toEqual([false, false, false]);
    expect((await admin('DELETE', `/events/${event.id}`)).body.data.event).toBeNull();
    expect((await admin('GET', `/events/${event.id}`)).status).toBe(404);
  });
});

describe('feed', () => {
  it('is read back by another parser with the same occurrences, until its address is ended', async () => {
    const fields = { tz: 'Europe/Berlin', start_local: '2026-03-27T02:30', rrule: 'FREQ=DAILY;COUNT=5' };
    const title = `Long; with, a \\ and ${'ü'.repeat(80)}\nand a line`;
    const { event } = await add({ ...fields, title: 'Feed', description: title });
    await admin('PATCH', `/events/${event.id}?scope=this&occurrence=2026-03-28T02:30`, {
      body: { start_local: '2026-03-28T09:00' },
    });
    await admin('DELETE', `/events/${event.id}?scope=this&occurrence=2026-03-30T02:30`);
    await add({ tz: 'Europe/Berlin', rrule: 'FREQ=YEARLY' });
    const opened = await student('POST', '/calendar/feed');
    const { url } = opened.body.data;
    const nobody = school.as(undefined);
    const feed = await nobody('GET', url);
    expect(feed.status).toBe(200);
    expect(feed.headers.get('content-type')).toBe('text/calendar; charset=utf-8');
    for (const line of feed.body.split('\r\n')) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75);
    const calendar = new ICAL.Component(ICAL.parse(feed.body));
    for (const zone of calendar.getAllSubcomponents('vtimezone')) ICAL.TimezoneService.register(zone);
    const own = calendar
      .getAllSubcomponents('vevent')
      .filter((one) => one.getFirstPropertyValue('uid') === `${event.id}@schools24`);
    const series = new ICAL.Event(own.find((one) => !one.hasProperty('recurrence-id'))!, {
      exceptions: own.filter((one) => one.hasProperty('recurrence-id')),
    });
    expect(series.description).toBe(title);
    const iterator = series.iterator();
    const read: string[] = [];
    for (let next = iterator.next(); next; next = iterator.next())
      read.push(series.getOccurrenceDetails(next).startDate.toString().slice(0, 16));
    expect(read).toEqual(await startsOf(event.id, '2026-03-20', '2026-04-10', student));
    expect(feed.body).not.toMatch(/DTSTART:20(29|[3-9])/);
    expect((await student('POST', '/calendar/feed')).body.data.url).toBe(url);
    expect((await nobody('GET', `${url.slice(0, -1)}${url.endsWith('A') ? 'B' : 'A'}x`)).status).toBe(401);
    expect((await student('DELETE', '/calendar/feed')).status).toBe(204);
    expect(await nobody('GET', url)).toMatchObject({ status: 401, body: { code: 'BAD_FEED_TOKEN' } });
  });
});
