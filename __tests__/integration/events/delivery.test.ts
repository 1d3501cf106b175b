import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toStoreWrites } from '../../../src/buffer/store-writes.ts';
import { startEventWorkers } from '../../../src/event-workers.ts';
import type { DomainEvent, EventConsumer } from '../../../src/lib/events.ts';
import { newId } from '../../../src/lib/ids.ts';
import { EVERYTHING } from '../../../src/lib/reach.ts';
import { attendanceEntity, sheetKey } from '../../../src/services/attendance/attendance.entity.ts';
import { MailNotSentError } from '../../../src/stores/mail/mailer.ts';
import { buildEvent } from '../../support/build-event.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const handled: DomainEvent[] = [];
/** What the handler does instead, for some events. */
let trouble: (event: DomainEvent) => void | Promise<void> = () => {};

const recorder: EventConsumer = {
  name: 'test-recorder',
  service: 'homework',
  on: [
    'homework.published',
    'homework.changed',
    'homework.submitted',
    'attendance.saved',
    'attendance.stored',
    'leave.decided',
  ],
  async handle(event) {
    await trouble(event);
    handled.push(event);
  },
};
const elsewhere: EventConsumer = {
  ...recorder,
  name: 'test-elsewhere',
  service: 'attendance',
  on: ['leave.decided'],
  handle: async () => {},
};

const school = useSchool({}, [recorder, elsewhere]);
let teacher: Call;
let student: Call;
let classSubject: { id: string; class: { id: string } };

const of = (aggregateId: string) => handled.filter((event) => event.aggregateId === aggregateId);
const numbersOf = (aggregateId: string) => of(aggregateId).map(({ payload }) => payload.number);
const arrived = (aggregateId: string, count: number) =>
  until(`${count} events of ${aggregateId}`, async () =>
    of(aggregateId).length >= count ? of(aggregateId) : undefined,
  );
const give = (fields: object = {}) =>
  teacher('POST', '/homework', {
    body: { class_subject_ids: [classSubject.id], title: 'Events', due_at: '2025-09-12T18:00:00.000Z', ...fields },
  });

beforeAll(async () => {
  teacher = school.as('teacher001');
  student = school.as('student0001');
  const mine = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  const own = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
  classSubject = mine.find((subject: { class: { id: string } }) => subject.class.id === own);
});
beforeEach(() => {
  trouble = () => {};
});

describe('events of buffered writes', () => {
  it('tell of homework that is published, changed, handed in and deleted, before any of it is stored', async () => {
    const { id } = (await give()).body.data;
    await student('PUT', `/homework/${id}/submission`, { body: { body: 'done', final: true } });
    await teacher('PATCH', `/homework/${id}`, { body: { due_at: '2025-09-13T18:00:00.000Z' } });
    const [published, changed] = await arrived(id, 2);
    expect(published).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'homework.published',
      v: 1,
      at: school.clock.now().toISOString(),
      actorId: expect.any(String),
      requestId: expect.any(String),
      aggregateId: id,
      payload: {
        homework_id: id,
        class_id: classSubject.class.id,
        due_at: '2025-09-12T18:00:00.000Z',
        publish_at: school.clock.now().toISOString(),
        status: 'published',
      },
    });
    expect(changed).toMatchObject({ name: 'homework.changed', payload: { due_at: '2025-09-13T18:00:00.000Z' } });
    const submitted = await until('the submission', async () =>
      handled.find(({ name }) => name === 'homework.submitted'),
    );
    expect(submitted.payload).toMatchObject({ homework_id: id, late: false, revision: 1 });
    const { id: other } = (await give()).body.data;
    await teacher('DELETE', `/homework/${other}`);
    expect((await arrived(other, 2))[1]).toMatchObject({ name: 'homework.changed', payload: { status: 'deleted' } });
    expect(await school.rows('SELECT 1 FROM homework WHERE id = ANY($1)', [[id, other]])).toEqual([]);
  });

  it('say nothing of a draft until it is published', async () => {
    const { id } = (await give({ status: 'draft' })).body.data;
    await teacher('PATCH', `/homework/${id}`, { body: { title: 'Still a draft' } });
    await teacher('PATCH', `/homework/${id}`, { body: { status: 'published' } });
    expect((await arrived(id, 1)).map(({ name }) => name)).toEqual(['homework.published']);
  });

  it('tell whose attendance a save has changed, from what to what, and nothing when none has', async () => {
    const { scopes } = (await teacher('GET', '/auth/me')).body.data;
    const classId = scopes.homerooms[0].id;
    const [one, two] = (await teacher('GET', `/classes/${classId}/students`)).body.data.map(
      ({ student_id }: { student_id: string }) => student_id,
    );
    const save = (entries: object[]) =>
      teacher('PUT', `/attendance/classes/${classId}/sheets/${TODAY}`, { body: { entries } });
    const aggregate = `${classId}:${TODAY}:0`;
    await save([
      { student_id: one, status: 'absent' },
      { student_id: two, status: 'present' },
    ]);
    await save([{ student_id: two, status: 'present', remark: 'the same' }]);
    await save([{ student_id: one, status: 'late', minutes_late: 5 }]);
    const [first, second] = await arrived(aggregate, 2);
    expect(first!.payload).toEqual({
      class_id: classId,
      date: TODAY,
      period: 0,
      changed: [
        { student: one, old: null, new: 'absent' },
        { student: two, old: null, new: 'present' },
      ],
    });
    expect(second!.payload.changed).toEqual([{ student: one, old: 'absent', new: 'late' }]);
    // Once they are stored, what the rows have become in one.
    await school.sync();
    const [, , stored] = await arrived(aggregate, 3);
    expect(stored).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'attendance.stored',
      v: 1,
      at: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/),
      actorId: null,
      requestId: null,
      aggregateId: aggregate,
      payload: {
        class_id: classId,
        date: TODAY,
        period: 0,
        changed: [
          { student: one, old: null, new: 'late' },
          { student: two, old: null, new: 'present' },
        ].sort((a, b) => (a.student < b.student ? -1 : 1)),
      },
    });
    await save([{ student_id: one, status: 'absent' }]);
    await save([{ student_id: two, status: 'present', remark: 'the same again' }]);
    await school.sync();
    expect((await arrived(aggregate, 5))[4]).toMatchObject({
      name: 'attendance.stored',
      payload: { changed: [{ student: one, old: 'late', new: 'absent' }] },
    });
  });

  it('I1, I3: of stored rows reach consumers once, though a worker dies between its statement and the acknowledgement', async () => {
    const { scopes } = (await teacher('GET', '/auth/me')).body.data;
    const classId = scopes.homerooms[0].id;
    const [{ student_id: studentId }] = (await teacher('GET', `/classes/${classId}/students`)).body.data;
    const on = '2025-09-09';
    const key = sheetKey(classId, on, 0);
    await school.rows('DELETE FROM attendance_sheets WHERE class_id = $1 AND on_date = $2', [classId, on]);
    const save = { entries: [{ student_id: studentId, status: 'late', minutes_late: 5 }] };
    expect((await teacher('PUT', `/attendance/classes/${classId}/sheets/${on}`, { body: save })).status).toBe(202);
    const { buffer, stores } = school.engine;
    // All that the worker has done before it died: its statement.
    const writes = toStoreWrites(attendanceEntity, await buffer.fetch('attendance', [key]));
    await stores.postgres.sink.write(attendanceEntity, writes);
    expect(await buffer.fetch('attendance', [key])).toHaveLength(1);
    // Another stores it again, and acknowledges.
    expect(await school.sync()).toMatchObject({ failed: 0, left: 0 });
    expect((await buffer.fetch('attendance', [key])).filter(({ state }) => state === 'dirty')).toEqual([]);
    await until('the outbox to be sent', async () =>
      (await school.rows('SELECT 1 FROM outbox_events WHERE published_at IS NULL')).length === 0 ? true : undefined,
    );
    await school.engine.eventLog.append([buildEvent(key, 9)]);
    await until('the last', async () => (numbersOf(key).at(-1) === 9 ? true : undefined));
    expect(of(key).map(({ name }) => name)).toEqual(['attendance.saved', 'attendance.stored', 'leave.decided']);
  });

  it('W3: are kept in the same step as their write, and not at all when it is refused', async () => {
    const { id } = (await give()).body.data;
    await arrived(id, 1);
    const { redis, keys, buffer } = school.engine;
    const { document, version } = (await school.engine.reader.get('homework', id, EVERYTHING))!;
    const event = { ...buildEvent(id, 1), name: 'homework.changed' as const, payload: { number: 1, homework_id: id } };
    await expect(
      buffer.put('homework', document, { ifMatch: version - 1, base: version, events: [event] }),
    ).rejects.toThrow();
    await buffer.put('homework', document, { ifMatch: version, base: version, events: [{ ...event, id: newId() }] });
    await arrived(id, 2);
    expect(numbersOf(id)).toEqual([undefined, 1]);
    expect(await redis.ttl(keys.events(keys.shardOf(id)))).toBe(-1);
  });

  it('of a repeated request are one', async () => {
    const key = { 'idempotency-key': newId() };
    const body = { class_subject_ids: [classSubject.id], title: 'Twice', due_at: '2025-09-12T18:00:00.000Z' };
    const first = await teacher('POST', '/homework', { body, headers: key });
    // Its answer was lost, and so was what Redis kept of it.
    for (const name of await school.engine.redis.keys(`*${school.prefix}*idem*`)) await school.engine.redis.del(name);
    const second = await teacher('POST', '/homework', { body, headers: key });
    const { id } = first.body.data;
    expect(second.body.data.id).toBe(id);
    await school.engine.eventLog.append([buildEvent(id, 9)]);
    await until('the last', async () => (numbersOf(id).at(-1) === 9 ? true : undefined));
    expect(of(id).map(({ name }) => name)).toEqual(['homework.published', 'leave.decided']);
  });
});

describe('delivery', () => {
  it('keeps the order of an aggregate when one fails, and holds up no other', async () => {
    const [slow, quick] = [newId(), newId()];
    let failures = 0;
    trouble = ({ aggregateId, payload }) => {
      if (aggregateId !== slow || payload.number !== 1 || failures >= 3) return;
      failures++;
      throw new Error('not yet');
    };
    await school.engine.eventLog.append(
      [1, 2, 3].flatMap((number) => [buildEvent(slow, number), buildEvent(quick, number)]),
    );
    await arrived(quick, 3);
    await arrived(slow, 3);
    expect(failures).toBe(3);
    expect(numbersOf(slow)).toEqual([1, 2, 3]);
    expect(numbersOf(quick)).toEqual([1, 2, 3]);
  });

  it('knows an event it has handled by its id', async () => {
    const aggregate = newId();
    const event = buildEvent(aggregate, 1);
    await school.engine.eventLog.append([event, event]);
    await school.engine.eventLog.append([event, buildEvent(aggregate, 2)]);
    await arrived(aggregate, 2);
    expect(numbersOf(aggregate)).toEqual([1, 2]);
  });

  it.each([
    ['a database', Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })],
    ['the mail server', new MailNotSentError('m-1', { code: 'ECONNECTION' })],
  ])('waits for %s that is away, however often it has looked', async (_what, error) => {
    const aggregate = newId();
    let failures = 0;
    trouble = ({ aggregateId, payload }) => {
      if (aggregateId !== aggregate || payload.number !== 1 || failures >= 8) return;
      failures++;
      throw error;
    };
    await school.engine.eventLog.append([buildEvent(aggregate, 1), buildEvent(aggregate, 2)]);
    await arrived(aggregate, 2);
    expect(numbersOf(aggregate)).toEqual([1, 2]);
    expect(failures).toBe(8);
  });

  it('gives up an event that cannot be handled, goes on with the next, and lets an admin try it again', async () => {
    const aggregate = newId();
    let isBroken = true;
    trouble = ({ aggregateId, payload }) => {
      if (isBroken && aggregateId === aggregate && payload.number === 1) throw new Error('no such thing');
    };
    await school.engine.eventLog.append([buildEvent(aggregate, 1), buildEvent(aggregate, 2)]);
    await arrived(aggregate, 1);
    expect(numbersOf(aggregate)).toEqual([2]);
    const queue = school.engine.queues['failed-events'];
    const job = await until('the failed job', async () =>
      (await queue.getFailed()).find(({ data }) => data.event.aggregateId === aggregate),
    );
    expect(job).toMatchObject({ failedReason: 'no such thing', data: { consumer: 'test-recorder' } });
    isBroken = false;
    await job.retry();
    await arrived(aggregate, 2);
    expect(numbersOf(aggregate)).toEqual([2, 1]);
    await until('the job to go', async () => ((await queue.getFailedCount()) === 0 ? true : undefined));
  });

  it('handles what an admin tries again in whichever process takes it, beside workers of other services', async () => {
    const { knex, notifications } = school.container;
    const consumers = [...school.container.consumers, recorder, elsewhere];
    const options = { consumers, services: ['attendance'], knex, notifications, log: school.log, retryMs: 10 };
    const others = await startEventWorkers(school.engine, options);
    const queue = school.engine.queues['failed-events'];
    const aggregates = Array.from({ length: 20 }, () => newId());
    let isBroken = true;
    trouble = ({ aggregateId }) => {
      if (isBroken && aggregates.includes(aggregateId)) throw new Error('no such thing');
    };
    try {
      await school.engine.eventLog.append(aggregates.map((aggregate) => buildEvent(aggregate, 1)));
      await until('all to be given up', async () => ((await queue.getFailedCount()) >= 20 ? true : undefined));
      const jobs = await queue.getFailed();
      expect(new Set(jobs.map(({ failedReason }) => failedReason))).toEqual(new Set(['no such thing']));
      isBroken = false;
      await Promise.all(jobs.map((job) => job.retry()));
      await until('all to be handled', async () =>
        aggregates.every((one) => of(one).length === 1) ? true : undefined,
      );
    } finally {
      await others.close();
    }
  });

  it('removes events that all consumers have handled, and no other', async () => {
    const { redis, keys, eventLog } = school.engine;
    const key = keys.events(0);
    const aggregate = newId();
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    trouble = ({ aggregateId }) => (aggregateId === aggregate ? gate : undefined);
    await eventLog.append([buildEvent(aggregate, 1)]);
    await until('it to be taken', async () =>
      ((await redis.xpending(key, 'test-recorder')) as [number])[0] === 1 ? true : undefined,
    );
    await eventLog.trim(0, Date.now());
    expect(await redis.xlen(key)).toBe(1);
    open();
    await arrived(aggregate, 1);
    await until('the log to be empty', async () => {
      await eventLog.trim(0, Date.now());
      return (await redis.xlen(key)) === 0 ? true : undefined;
    });
  });

  it('share an entry with those of the same commit, and each is handled by itself', async () => {
    const { redis, keys, eventLog } = school.engine;
    const events = [newId(), newId(), newId()].map((aggregate) => buildEvent(aggregate, 1));
    const [good, bad, far] = events.map(({ aggregateId }) => aggregateId) as [string, string, string];
    const key = keys.events(keys.shardOf(good));
    let isBroken = true;
    trouble = ({ aggregateId }) => {
      if (aggregateId === bad && isBroken) throw new Error('not yet');
    };
    await eventLog.append(events);
    await arrived(good, 1);
    await arrived(far, 1);
    await eventLog.trim(0, Date.now());
    expect(await redis.xlen(key)).toBe(1);
    isBroken = false;
    await arrived(bad, 1);
    await until('the entry to go', async () => {
      await eventLog.trim(0, Date.now());
      return (await redis.xlen(key)) === 0 ? true : undefined;
    });
    expect(events.map(({ aggregateId }) => numbersOf(aggregateId))).toEqual([[1], [1], [1]]);
  });

  it('goes on in another process with what one has left', async () => {
    const names: string[] = [];
    const shared = (who: string): EventConsumer => ({
      name: 'test-shared',
      service: 'homework',
      on: ['leave.decided'],
      handle: async ({ aggregateId }) => {
        if (aggregateId === done) names.push(`${who}, the one before`);
        if (aggregateId === aggregate) names.push(who);
        if (aggregateId === aggregate && who === 'first') throw new Error('dies with it');
      },
    });
    const [done, aggregate] = [newId(), newId()];
    const { knex, notifications } = school.container;
    const options = { services: ['homework'], knex, notifications, log: school.log, retryMs: 10_000 };
    // Every process knows all consumers; those of the other workers are not this test's.
    const all = [...school.container.consumers, recorder, elsewhere];
    const first = await startEventWorkers(school.engine, {
      ...options,
      consumers: [...all, shared('first')],
      services: [],
    });
    const second = await startEventWorkers(school.engine, { ...options, consumers: [...all, shared('second')] });
    await school.engine.eventLog.append([buildEvent(done, 1), buildEvent(aggregate, 1)]);
    await until('the first attempt', async () => (names.includes('first') ? true : undefined));
    await first.close();
    await until('the second process', async () => (names.includes('second') ? true : undefined));
    await second.close();
    expect(names.sort()).toEqual(['first', 'first, the one before', 'second']);
    await school.engine.eventLog.prepare(all.map(({ name }) => name));
  });
});

describe('events of committed changes', () => {
  const insert = `INSERT INTO outbox_events (id, name, aggregate_id, payload, created_at)
    VALUES (?, 'leave.decided', ?, ?, now())`;
  const values = (aggregateId: string, number: number) => {
    const { id, payload, v, actorId, requestId } = buildEvent(aggregateId, number);
    return [id, aggregateId, JSON.stringify({ payload, v, actorId, requestId })];
  };

  it('are sent in order, once each, also those that are committed after higher numbers', async () => {
    const { knex } = school.container;
    const [late, early] = [newId(), newId()];
    const slow = await knex.transaction();
    await slow.raw(insert, values(late, 1));
    await knex.transaction(async (quick) => {
      for (const number of [1, 2, 3]) await quick.raw(insert, values(early, number));
    });
    await arrived(early, 3);
    expect(numbersOf(early)).toEqual([1, 2, 3]);
    expect(of(late)).toEqual([]);
    await slow.commit();
    await arrived(late, 1);
    await until('the mark', async () => {
      const open = await school.rows('SELECT 1 FROM outbox_events WHERE published_at IS NULL');
      return open.length === 0 ? true : undefined;
    });
    expect(numbersOf(late)).toEqual([1]);
  });
});
