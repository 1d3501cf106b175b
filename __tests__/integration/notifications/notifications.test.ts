import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Job } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { useStreams } from '../../support/school-streams.ts';
import { TODAY } from '../../support/template.ts';
import { until } from '../../support/until.ts';

const DATA_DIR = mkdtempSync(join(tmpdir(), 'schools24-mail-'));
const school = useSchool({ DATA_DIR });
const listen = useStreams(school);
const MORNING = `${TODAY}T08:30:00+05:30`;
let teacher: Call;
let student: Call;
let classSubject: { id: string; class: { id: string } };

interface Told {
  id: string;
  topic: string;
  title: string;
  data: Record<string, string>;
  read_at: string | null;
}
const toldTo = async (call: Call, topic: string, about: string): Promise<Told[]> =>
  (await call('GET', '/notifications?limit=100')).body.data.filter(
    (told: Told) => told.topic === topic && Object.values(told.data).includes(about),
  );
const hears = (call: Call, topic: string, about: string) =>
  until(`${topic} of ${about}`, async () => (await toldTo(call, topic, about))[0]);
const give = async (fields: object = {}): Promise<string> =>
  (
    await teacher('POST', '/homework', {
      body: { class_subject_ids: [classSubject.id], title: 'Fractions', due_at: '2025-09-12T18:00:00.000Z', ...fields },
    })
  ).body.data.id;
/** The job of a topic that waits for its time. */
const waiting = (topic: string, about: string): Promise<Job> =>
  until(`a waiting ${topic}`, async () =>
    (await school.engine.queues.notifications.getDelayed()).find(
      ({ data }) => 'topic' in data && data.topic === topic && Object.values(data.about).includes(about),
    ),
  );
/** All events are handled, and what they asked for is done. */
const idle = () =>
  until('no event and no job under way', async () => {
    const { queues, eventLog } = school.engine;
    await eventLog.trim(0, Date.now());
    if ((await eventLog.length()) > 0) return undefined;
    const { active, waiting: queued } = await queues.notifications.getJobCounts('active', 'waiting');
    return active === 0 && queued === 0 ? true : undefined;
  });

afterAll(() => rmSync(DATA_DIR, { recursive: true, force: true }));
beforeAll(async () => {
  teacher = school.as('teacher001');
  student = school.as('student0001');
  const mine = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  const own = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
  classSubject = mine.find((subject: { class: { id: string } }) => subject.class.id === own);
});

describe('notifications', () => {
  it('tell the students of a class of new homework, at once on their streams, and nobody else', async () => {
    const stream = await listen('student0001');
    await stream.next('stream.ready');
    const id = await give();
    const event = await until('the event', async () =>
      stream.events.find(({ name, data }) => name === 'notification.created' && data.data.homework_id === id),
    );
    expect(event.data).toMatchObject({
      topic: 'homework.published',
      title: 'New homework: Fractions',
      severity: 'info',
    });
    const told = await hears(student, 'homework.published', id);
    expect(told).toMatchObject({ id: event.data.id, data: { homework_id: id }, read_at: null });
    const roster = (await teacher('GET', `/classes/${classSubject.class.id}/students`)).body.data;
    await idle();
    const pending = await school.engine.buffer.pendingAll('notification');
    expect(pending.filter(({ document }) => (document.data as Told['data']).homework_id === id)).toHaveLength(
      roster.length,
    );
    expect(await toldTo(teacher, 'homework.published', id)).toEqual([]);
  });

  it('are told once, however often the event comes', async () => {
    const id = await give();
    const { id: first } = await hears(student, 'homework.published', id);
    const { notifications } = school.container;
    await notifications.deliver({ topic: 'homework.published', about: { homework_id: id } });
    await school.sync();
    await notifications.deliver({ topic: 'homework.published', about: { homework_id: id } });
    expect((await toldTo(student, 'homework.published', id)).map((told) => told.id)).toEqual([first]);
  });

  it('wait until homework is visible, and are silent when it is taken back before', async () => {
    const shown = await give({ publish_at: '2025-09-11T03:00:00.000Z' });
    const taken = await give({ publish_at: '2025-09-11T03:00:00.000Z' });
    const job = await waiting('homework.published', shown);
    expect(job.delay).toBe(Date.parse('2025-09-11T03:00:00.000Z') - Date.parse(MORNING));
    await teacher('DELETE', `/homework/${taken}`);
    school.clock.set('2025-09-11T03:00:00.000Z');
    try {
      for (const id of [taken, shown]) await (await waiting('homework.published', id)).promote();
      await hears(student, 'homework.published', shown);
      await idle();
      expect(await toldTo(student, 'homework.published', taken)).toEqual([]);
    } finally {
      school.clock.set(MORNING);
    }
  });

  it('remind those who have not handed in a day before it is due, by its last date', async () => {
    const id = await give();
    await student('PUT', `/homework/${id}/submission`, { body: { body: 'done', final: true } });
    const old = await waiting('homework.due', id);
    await teacher('PATCH', `/homework/${id}`, { body: { due_at: '2025-09-13T18:00:00.000Z' } });
    const moved = await until('the new reminder', async () =>
      (await school.engine.queues.notifications.getDelayed()).find(
        ({ data }) =>
          'topic' in data && data.about.homework_id === id && data.about.due_at === '2025-09-13T18:00:00.000Z',
      ),
    );
    await old.promote();
    await moved.promote();
    const [classmate] = (await teacher('GET', `/homework/${id}/submissions`)).body.data.filter(
      ({ state }: { state: string }) => state !== 'submitted' && state !== 'late',
    );
    const [user] = await school.rows(
      'SELECT u.login FROM users u JOIN students s ON s.user_id = u.id WHERE s.id = $1',
      [classmate.student_id],
    );
    const other = school.as(String(user!.login));
    await hears(other, 'homework.due', id);
    await idle();
    expect(await toldTo(other, 'homework.due', id)).toHaveLength(1);
    expect(await toldTo(student, 'homework.due', id)).toEqual([]);
  });

  it('wait for the morning at night, school time', async () => {
    school.clock.set(`${TODAY}T21:00:00+05:30`);
    try {
      const id = await give({ due_at: '2025-09-20T18:00:00.000Z' });
      const job = await waiting('homework.published', id);
      expect(job.delay).toBe(9 * 3_600_000);
      expect(await toldTo(student, 'homework.published', id)).toEqual([]);
      school.clock.set('2025-09-11T06:00:00+05:30');
      await job.promote();
      await hears(student, 'homework.published', id);
    } finally {
      school.clock.set(MORNING);
    }
  });

  it('are not lost when a worker whose clock is behind takes a job whose time has come', async () => {
    try {
      const soon = await give({ title: 'Soon', publish_at: '2025-09-10T10:00:00.000Z' });
      const early = await waiting('homework.published', soon);
      school.clock.set('2025-09-10T09:59:59.990Z');
      await early.promote();
      await hears(student, 'homework.published', soon);
      school.clock.set(`${TODAY}T21:30:00+05:30`);
      const held = await give({ title: 'Held', due_at: '2025-09-20T18:00:00.000Z' });
      const job = await waiting('homework.published', held);
      school.clock.set('2025-09-11T05:59:59.990+05:30');
      await job.promote();
      await hears(student, 'homework.published', held);
    } finally {
      school.clock.set(MORNING);
    }
  });

  it('go by mail to those who want it, with the address in no job and no log', async () => {
    const login = 'student0002';
    const address = 'somebody.private@example.org';
    await school.rows(
      `UPDATE users SET email = $1, prefs = prefs || '{"email_notifications": true}' WHERE login = $2`,
      [address, login],
    );
    const id = await give({ title: 'By mail' });
    const told = await hears(school.as(login), 'homework.published', id);
    const file = join(DATA_DIR, 'mails', `${told.id}.eml`);
    const mail = await until('the mail', async () =>
      readdirSync(DATA_DIR).includes('mails') && readdirSync(join(DATA_DIR, 'mails')).includes(`${told.id}.eml`)
        ? readFileSync(file, 'utf8')
        : undefined,
    );
    expect(mail).toContain(`To: ${address}`);
    expect(mail).toContain('Subject: New homework: By mail');
    expect(JSON.stringify(school.log.lines)).not.toContain(address);
    const jobs = await school.engine.queues.notifications.getJobs();
    expect(JSON.stringify(jobs.map((job) => job?.data))).not.toContain(address);
  });
});

describe('GET /notifications', () => {
  it('pages newest first over what is stored and what is pending, and counts what is unread', async () => {
    const call = school.as('student0003');
    school.clock.set('2025-09-12T08:30:00+05:30');
    const before = (await call('GET', '/notifications')).body.meta.unread;
    const ids: string[] = [];
    for (const title of ['One', 'Two', 'Three']) {
      school.clock.set(new Date(school.clock.now().getTime() + 1_000).toISOString());
      const id = await give({ title });
      await hears(call, 'homework.published', id);
      if (title === 'Two') await school.sync();
      ids.unshift(id);
    }
    expect((await call('GET', '/notifications')).body.meta.unread).toBe(before + 3);
    const seen: string[] = [];
    let next: string | null = '';
    while (next !== null && seen.length < 3) {
      const page = await call('GET', `/notifications?limit=1${next ? `&cursor=${next}` : ''}`);
      expect(page.body.data).toHaveLength(1);
      seen.push(page.body.data[0].data.homework_id);
      next = page.body.meta.next_cursor;
    }
    expect(seen).toEqual(ids);
    school.clock.set(MORNING);
  });

  it('knows what was read, pending or stored; the first reading counts', async () => {
    const call = school.as('student0004');
    const id = await give({ title: 'Read me' });
    const told = await hears(call, 'homework.published', id);
    const stream = await listen('student0004');
    await stream.next('stream.ready');
    const before = (await call('GET', '/notifications')).body.meta.unread;
    const answer = await call('POST', '/notifications/read', { body: { ids: [told.id] } });
    expect(answer).toMatchObject({ status: 202, body: { data: { read: [told.id] }, meta: { pending: true } } });
    expect((await stream.next('notification.read')).data).toEqual({ ids: [told.id] });
    const readAt = school.clock.now().toISOString();
    const look = async () => {
      expect((await hears(call, 'homework.published', id)).read_at).toBe(readAt);
      const unread = (await call('GET', '/notifications?unread=true&limit=100')).body;
      expect(unread.data.map((each: Told) => each.id)).not.toContain(told.id);
      expect(unread.meta.unread).toBe(before - 1);
      const read = (await call('GET', '/notifications?unread=false&limit=100')).body.data;
      expect(read.map((each: Told) => each.id)).toContain(told.id);
    };
    await look();
    expect(await school.sync()).toMatchObject({ failed: 0 });
    await look();
    school.clock.set(new Date(school.clock.now().getTime() + 60_000).toISOString());
    await call('POST', '/notifications/read', { body: { ids: [told.id] } });
    await school.sync();
    await look();
  });

  it('marks all, and nothing that is not one’s own', async () => {
    const [one, two] = [school.as('student0005'), school.as('student0006')];
    const id = await give({ title: 'Mine and yours' });
    const mine = await hears(one, 'homework.published', id);
    await hears(two, 'homework.published', id);
    expect((await two('POST', '/notifications/read', { body: { ids: [mine.id] } })).body.data.read).toEqual([]);
    await one('POST', '/notifications/read', { body: { all: true } });
    expect((await one('GET', '/notifications?unread=true')).body).toMatchObject({ data: [], meta: { unread: 0 } });
    expect((await hears(two, 'homework.published', id)).read_at).toBeNull();
  });

  it('marks all, however many have never been read', async () => {
    const login = 'student0007';
    const [user] = await school.rows('SELECT id FROM users WHERE login = $1', [login]);
    const created_at = new Date('2025-09-01T04:00:00.000Z');
    await school.container.db.collection<{ _id: string }>('notification_archive').insertMany(
      Array.from({ length: 1_001 }, (_, number) => ({
        _id: `${user!.id}:${newId()}`,
        user_id: user!.id,
        topic: 'homework.published',
        title: `${number}`,
        body: '',
        data: {},
        severity: 'info',
        channels: { in_app: true, email: false },
        dedupe_key: `old:${number}`,
        created_at,
        expire_at: new Date('2026-03-01T00:00:00.000Z'),
      })),
    );
    const reader = school.as(login);
    const { body } = await reader('POST', '/notifications/read', { body: { all: true } });
    expect(body.data.read.length).toBeGreaterThanOrEqual(1_001);
    expect((await reader('GET', '/notifications?unread=true')).body).toMatchObject({ data: [], meta: { unread: 0 } });
  });

  it.each([{}, { ids: [] }, { ids: ['x'] }, { all: false }, { all: true, ids: [] }])(
    'refuses to mark %j',
    async (body) => {
      expect((await student('POST', '/notifications/read', { body })).status).toBe(400);
    },
  );
});

describe('AT6', () => {
  const parentOf = async (studentId: string): Promise<Call> => {
    const [row] = await school.rows(
      `SELECT u.login FROM student_guardians sg JOIN guardians g ON g.id = sg.guardian_id JOIN users u ON u.id = g.user_id
       WHERE sg.student_id = $1 AND sg.is_notified AND sg.can_view AND NOT sg.is_blocked LIMIT 1`,
      [studentId],
    );
    return school.as(String(row!.login));
  };
  const homeroom = async () => (await teacher('GET', '/auth/me')).body.data.scopes.homerooms[0].id as string;
  const mark = async (studentId: string, status: string) =>
    teacher('PUT', `/attendance/classes/${await homeroom()}/sheets/${TODAY}`, {
      body: { entries: [{ student_id: studentId, status }] },
    });
  let children: string[];
  beforeAll(async () => {
    const rows = await school.rows(
      `SELECT DISTINCT e.student_id AS id FROM enrollments e JOIN student_guardians sg ON sg.student_id = e.student_id
       JOIN guardians g ON g.id = sg.guardian_id JOIN users u ON u.id = g.user_id
       WHERE e.class_id = $1 AND e.ends_on IS NULL AND sg.is_notified AND sg.can_view AND NOT sg.is_blocked AND u.status = 'active'`,
      [await homeroom()],
    );
    children = rows.map(({ id }) => String(id));
  });

  it('AT6: guardians hear of an absence ten minutes after the save, once a day', async () => {
    const child = children[0]!;
    const parent = await parentOf(child);
    await mark(child, 'absent');
    const job = await waiting('attendance.absence', child);
    expect(job.delay).toBe(10 * 60_000);
    await job.promote();
    await hears(parent, 'attendance.absence', child);
    await mark(child, 'present');
    await hears(parent, 'attendance.absence.corrected', child);
    await mark(child, 'absent');
    await (await waiting('attendance.absence', child)).promote();
    await idle();
    expect(await toldTo(parent, 'attendance.absence', child)).toHaveLength(1);
    expect(JSON.stringify(job.data)).not.toMatch(/name|title/);
  });

  it('AT6: an absence that is corrected before is never heard of', async () => {
    const child = children[1]!;
    const parent = await parentOf(child);
    await mark(child, 'absent');
    const job = await waiting('attendance.absence', child);
    await mark(child, 'late');
    await job.promote();
    await until('the job', async () =>
      (await job.getState().catch(() => 'unknown')) === 'unknown' ? true : undefined,
    );
    await idle();
    expect(await toldTo(parent, 'attendance.absence', child)).toEqual([]);
    expect(await toldTo(parent, 'attendance.absence.corrected', child)).toEqual([]);
  });
});
