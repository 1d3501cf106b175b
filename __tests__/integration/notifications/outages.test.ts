import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../scripts/services/ports.ts';
import { whileDatabaseIsDown } from '../../support/database-outage.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { FakeMailServer } from '../../support/mail-server.ts';
import { until } from '../../support/until.ts';

const mailPort = await freePort();
const mailServer = new FakeMailServer();
const school = useSchool({ MAIL_URL: `smtp://127.0.0.1:${mailPort}` });
const LOGIN = 'student0001';
let teacher: Call;
let student: Call;
let classSubjectId: string;

const give = async (title: string): Promise<string> =>
  (
    await teacher('POST', '/homework', {
      body: { class_subject_ids: [classSubjectId], title, due_at: '2025-09-12T18:00:00.000Z' },
    })
  ).body.data.id;
const hears = (id: string) =>
  until('the notification', async () =>
    (await student('GET', '/notifications')).body.data?.find(({ data }: { data: object }) =>
      Object.values(data).includes(id),
    ),
  );
/** A job that was tried and waits, though it was to run at once. */
const putOff = (isIt: (data: Record<string, unknown>) => boolean) =>
  until('a job that waits', async () =>
    (await school.engine.queues.notifications.getDelayed()).find(
      ({ data, attemptsStarted }) => attemptsStarted > 0 && isIt(data as unknown as Record<string, unknown>),
    ),
  );

beforeAll(async () => {
  [teacher, student] = [school.as('teacher001'), school.as(LOGIN)];
  const mine = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  const own = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
  classSubjectId = mine.find((subject: { class: { id: string } }) => subject.class.id === own).id;
});
afterAll(() => mailServer.close().catch(() => {}));

describe('notifications in an outage', () => {
  it('wait for a database that is away, however long that is, and use up no attempt', async () => {
    await hears(await give('Before'));
    const { id, job } = await whileDatabaseIsDown(school, async () => {
      const given = await give('While it is away');
      return {
        id: given,
        job: await putOff(({ about }) => (about as { homework_id?: string })?.homework_id === given),
      };
    });
    expect(job.attemptsMade).toBe(0);
    await job.promote();
    await hears(id);
  });

  it('are in the application while the mail server is away, and mailed when it is back', async () => {
    await school.rows(
      `UPDATE users SET email = 'reader@example.org', prefs = prefs || '{"email_notifications": true}' WHERE login = $1`,
      [LOGIN],
    );
    const told = await hears(await give('By mail, later'));
    const job = await putOff(({ notificationId }) => notificationId === told.id);
    expect(job.attemptsMade).toBe(0);
    // Tried often enough: thousands of others wait as well, and each try asks the databases.
    const { notifications } = school.engine.queues;
    await school.engine.redis.hset(notifications.toKey(job.id!), 'ats', 20);
    await until('a longer wait', async () => {
      await job.promote().catch(() => {});
      return (await notifications.getJob(job.id!))?.delay === 600_000 || undefined;
    });
    await mailServer.open(mailPort);
    await until('the mail', async () => {
      await job.promote().catch(() => {});
      return mailServer.messages.length > 0 ? true : undefined;
    });
    expect(mailServer.messages[0]).toContain('Subject: New homework: By mail, later');
    await until('the job to go', async () =>
      (await school.engine.queues.notifications.getJob(job.id!)) === undefined ? true : undefined,
    );
    expect(mailServer.messages).toHaveLength(1);
  });
});
