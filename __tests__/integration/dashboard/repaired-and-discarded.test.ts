import { beforeAll, expect, it } from 'vitest';
import type { Document } from '../../../src/lib/entity.ts';
import { namedId } from '../../../src/lib/ids.ts';
import { EVERYTHING } from '../../../src/lib/reach.ts';
import { quiet } from '../../support/freshness.ts';
import { type Answer, useSchool } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';
import { until } from '../../support/until.ts';

/* Failed writes are shown as acknowledged; what an admin makes of them shows at once wherever they do. */

const school = useSchool();
const admin = school.as('admin');
const student = school.as('student0001');
const STUDENT = namedId('student:student0001');
let classSubject: string;

const ok = (answer: Answer): Answer => {
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer;
};

beforeAll(async () => {
  const own = (await student('GET', '/auth/me')).body.data.scopes.own_class.id;
  classSubject = (await admin('GET', `/classes/${own}/subjects`)).body.data[0].id;
});

const give = async (title: string): Promise<string> => {
  const body = { class_subject_ids: [classSubject], title, due_at: `${TODAY}T03:30:00.000Z`, max_x100: 1_000 };
  return ok(await admin('POST', '/homework', { body })).body.data.id;
};
/** As no service would write it: the database refuses it. */
const spoil = async (entity: string, key: string, changes: Document): Promise<string> => {
  const found = await school.engine.reader.get(entity, key, EVERYTHING);
  await school.engine.buffer.put(entity, { ...found!.document, ...changes }, { base: found!.version });
  expect((await school.sync()).failed).toBe(1);
  await quiet(school);
  return `/admin/failed-writes/${entity}~${key}`;
};
const titles = async (): Promise<string[]> =>
  ok(await student('GET', '/dashboard/student')).body.data.cards.homework.next_due.map(
    ({ title }: { title: string }) => title,
  );
const pointsOf = (id: string) =>
  school.rows("SELECT points FROM point_entries WHERE student_id = $1 AND source = 'homework' AND source_id = $2", [
    STUDENT,
    id,
  ]);

it('DB1: a failed write is shown, its repair at once, and after it is discarded what there was before', async () => {
  const failed = await spoil('homework', await give('Fractions'), { title: 'bad\0title' });
  expect((await titles())[0]).toBe('bad\0title');
  ok(await admin('PATCH', failed, { body: { document: { title: 'Decimals' } } }));
  expect((await titles())[0]).toBe('Decimals');
  ok(await admin('DELETE', `${failed}?reason=given%20by%20mistake`));
  expect(await titles()).not.toContain('Decimals');
});

it('DB3: work that is given up earns nothing, and is not shown as handed in', async () => {
  const id = await give('Never stored');
  ok(await student('PUT', `/homework/${id}/submission`, { body: { body: 'done', final: true } }));
  await until('the points', async () => ((await pointsOf(id)).length === 1 ? true : undefined));
  const failed = await spoil('homework_submission', `${id}:${STUDENT}`, { body: 'bad\0text' });
  const handedIn = async () =>
    ok(await student('GET', '/dashboard/student')).body.data.cards.homework.next_due.find(
      ({ homework_id }: { homework_id: string }) => homework_id === id,
    ).handed_in;
  expect(await handedIn()).toBe(true);
  ok(await admin('DELETE', `${failed}?reason=cannot%20be%20stored`));
  expect(await handedIn()).toBe(false);
  await until('the points to go', async () => ((await pointsOf(id)).length === 0 ? true : undefined));
});

it('a notification that is given up is not counted as unread', async () => {
  const { id: userId } = (await student('GET', '/auth/me')).body.data;
  const unread = async () => ok(await student('GET', '/notifications')).body.meta.unread;
  const before = await unread();
  await give('To be told of');
  await until('the notification', async () => ((await unread()) === before + 1 ? true : undefined));
  const { id } = ok(await student('GET', '/notifications?unread=true')).body.data.find(
    ({ title }: { title: string }) => title === 'New homework: To be told of',
  );
  const { failedWrites, buffer } = school.engine;
  const [write] = await buffer.fetch('notification', [`${userId}:${id}`]);
  await failedWrites.record('notification', write!, { code: 'TEST', message: 'refused' }, { nowMs: Date.now() });
  expect(await unread()).toBe(before + 1);
  ok(await admin('DELETE', `/admin/failed-writes/notification~${userId}:${id}?reason=not%20wanted`));
  await until('the count', async () => ((await unread()) === before ? true : undefined));
});
